"""The documentation as a site: ``python -m sphinx -W -b html docs docs/_build/html``."""

import fastbp
from latex2mathml.converter import convert

project = "fastbp"
author = "The fastbp authors"
copyright = author
version = release = fastbp.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "numpydoc", "sphinx_gallery.gen_gallery"]
exclude_patterns = ["_build", "examples", "auto_examples/*.py.md5"]
source_suffix = {".md": "markdown", ".rst": "restructuredtext"}
nitpicky = False

html_theme = "pydata_sphinx_theme"
html_title = f"fastbp {version}"
html_show_sourcelink = False
html_math_renderer = "mathml"
html_theme_options = {"navigation_with_keys": False, "show_toc_level": 2, "secondary_sidebar_items": ["page-toc"]}
html_sidebars = {"index": []}

myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 3
autodoc_member_order = "bysource"
autodoc_typehints = "none"  # docstrings say types in words
numpydoc_show_class_members = False

sphinx_gallery_conf = {
    "examples_dirs": "examples",
    "gallery_dirs": "auto_examples",
    "filename_pattern": r"/plot_",
    "within_subsection_order": "FileNameSortKey",
    "download_all_examples": False,
    "show_memory": False,
    "show_signature": False,
    "min_reported_time": 1e9,  # times are a machine's
    "plot_gallery": True,
    "abort_on_example_error": True,
}


def setup(app):
    """Equations become MathML, which browsers draw without any script."""

    def inline(self, node):
        self.body.append(convert(node.astext()))
        raise_skip()

    def block(self, node):
        self.body.append(f'<div class="math">{convert(node.astext(), display="block")}</div>')
        raise_skip()

    def raise_skip():
        from docutils.nodes import SkipNode

        raise SkipNode

    app.add_html_math_renderer("mathml", (inline, None), (block, None))
