"""The documentation as a site: ``python -m sphinx -W -b html docs docs/_build/html``."""

import re
from importlib.util import find_spec
from pathlib import Path

from docutils.nodes import SkipNode
from latex2mathml.converter import convert

import fastbp

project = "fastbp"
author = "The fastbp authors"
copyright = author
version = release = fastbp.__version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "numpydoc",
    "sphinx_gallery.gen_gallery",
]
exclude_patterns = ["_build", "examples", "auto_examples/*.py.md5"]
source_suffix = {".md": "markdown", ".rst": "restructuredtext"}
default_role = "py:obj"  # a name in a docstring links to what it names

html_theme = "pydata_sphinx_theme"
html_title = f"fastbp {version}"
html_show_sourcelink = False
html_math_renderer = "mathml"
html_static_path = ["_static"]
html_favicon = "_static/favicon.svg"
html_context = {"default_mode": "auto"}
html_css_files = ["site.css"]
html_theme_options = {
    "header_links_before_dropdown": 3,
    "navigation_with_keys": False,
    "show_toc_level": 2,
    "secondary_sidebar_items": ["page-toc"],
}
html_sidebars = {
    path.stem: [] for path in Path(__file__).parent.glob("*.md")
}  # they have no subpages

myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 3
autodoc_member_order = "bysource"
autodoc_typehints = "none"  # docstrings say types in words
numpydoc_show_class_members = False

# Optuna is an extra of the documentation alone: without it, its page shows code and no results.
_EXECUTED = r"/plot_" if find_spec("optuna") else r"/plot_(?!10_optuna)"
sphinx_gallery_conf = {
    "examples_dirs": "examples",
    "gallery_dirs": "auto_examples",
    "filename_pattern": _EXECUTED,
    "within_subsection_order": "FileNameSortKey",
    "download_all_examples": False,
    "show_memory": False,
    "show_signature": False,
    "capture_repr": (),  # what is printed is shown, and no objects' addresses
    "write_computation_times": False,  # they are a machine's, and their page loads scripts from elsewhere
    "min_reported_time": 1e9,
    "abort_on_example_error": True,
}


def setup(app):
    """Equations become MathML, which browsers draw without any script; the theme reports nothing."""
    app.add_html_math_renderer("mathml", (_inline, None), (_block, None))
    app.connect("build-finished", _quiet)


def _inline(translator, node):
    translator.body.append(convert(node.astext()))
    raise SkipNode


def _block(translator, node):
    translator.body.append(convert(node.astext(), display="block"))
    raise SkipNode


def _quiet(app, exception):
    """Takes the theme's reports of its own workings out of the browser's console."""
    script = Path(app.outdir) / "_static" / "scripts" / "pydata-sphinx-theme.js"
    if script.exists():
        text = script.read_text("utf-8")
        script.write_text(
            re.sub(r'console\.log\((`[^`]*`|"[^"]*")\)', "void 0", text), "utf-8"
        )
