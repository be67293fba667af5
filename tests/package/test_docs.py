"""Every block of the README and of the pages runs as it stands, in order, and links lead somewhere."""

import ast
import doctest
import importlib.util
import inspect
import os
import re
import runpy
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning

import fastbp
from command import ENVIRONMENT, POSIX
from fastbp.options.activations import OUTPUT_ACTIVATIONS
from fastbp.options.costs import COSTS
from fastbp.options.optimizers import OPTIMIZERS

ROOT = Path(__file__).parents[2]
BLOCK = re.compile(r"^```([^\s`]*).*?\n(.*?)^```$", re.DOTALL | re.MULTILINE)
NOT_RUN_HERE = (  # installations, which CI and newcomers run
    "python3 -m venv .venv && .venv/bin/pip install -q . && .venv/bin/fastbp train\n",
    "python3 -m venv .venv && .venv/bin/pip install -q -e '.[test]' && .venv/bin/python -m pytest\n",
)
SHORTER = (  # the book's 30 epochs, whose accuracies are random and not shown
    ("30, 10, 3.0", "1, 10, 3.0"),
    ("    30,\n    10,\n    0.5,\n", "    1,\n    10,\n    0.5,\n"),
)


def is_for_others(text):
    """Tells whether a block is about a library that is no extra of ours and that is not installed."""
    named = re.findall(r"^(?:import|from) (keras|optuna|torch)\b", text, re.MULTILINE)
    return not all(map(importlib.util.find_spec, named))


def blocks(name):
    """The fenced blocks of a page: language and text of each."""
    return BLOCK.findall((ROOT / name).read_text("utf-8"))


def examples(name):
    return [text for language, text in blocks(name) if language == "python"]


def by_the_shell(file):
    """Runs a file of shell commands; returns what it prints."""
    path = os.pathsep.join([str(Path(sys.executable).parent), ENVIRONMENT["PATH"]])
    done = subprocess.run(
        ["sh", "-e", file], env=ENVIRONMENT | {"PATH": path}, capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0 and "Warning" not in done.stderr, done.stderr
    return done.stdout


def paste(page, run, before=""):
    """Runs a page's blocks in order, each a file of its own, in this folder; returns what each prints.

    A block of text holds the last lines of the block above it.  Python begins with the block ``before``.
    """
    printed = []
    last = None  # output of the block above, if it ran
    for number, (language, text) in enumerate(blocks(page)):
        where = f"{page}, block {number}"
        if text == before or text in NOT_RUN_HERE or is_for_others(text):
            last = None
        elif language in ("python", "sh"):
            for long, short in SHORTER:
                text = text.replace(long, short)
            file = Path(f"{number:02}.{language}")
            file.write_text(before * (language == "python") + text, "utf-8")
            last = run(file) if language == "python" else by_the_shell(file)
            assert last, f"{where} prints nothing"
            printed.append(last)
        elif language == "text":
            assert last is None or f"\n{last}".endswith(f"\n{text}"), f"{where}: expected the end of {last}"
        else:
            assert language == "pycon" or language.startswith("{"), f"{where}: {language} is not run"
    return printed


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def in_this_process(capsys):
    """Runs a file of Python with names of its own; returns what it prints.  Warnings are errors."""

    def run(file):
        runpy.run_path(str(file), run_name="__main__")
        return capsys.readouterr().out

    return run


@POSIX
def test_the_readme(in_this_process):
    languages = [language for language, _ in blocks("README.md")]
    assert set(languages) == {"python", "sh", "text"}
    assert tuple(text for language, text in blocks("README.md") if language == "sh")[:2] == NOT_RUN_HERE
    printed = paste("README.md", in_this_process)
    assert len(printed) == languages.count("python") + languages.count("sh") - len(NOT_RUN_HERE)


def test_the_recipes(in_this_process):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # of the grid, which is small
        printed = paste("docs/recipes.md", in_this_process, before=examples("docs/recipes.md")[0])
    scores = [float(score) for score in re.findall(r"(\d\.\d+)$", "".join(printed), re.MULTILINE)]
    lowest = [0.9, 0.4, 0.6, 0.6, 0.9, 0.1, 0.9, 0.8, 0.8, 0.9, 0.8, 0.9, 0.9]
    lowest += [0.9, 0.9, 0.9, 0.8, 0.9, 0.9, 0.9, 0.9, 0.4, 0.3, 0.8]
    assert len(scores) == len(lowest) and np.greater(scores, lowest).all(), printed
    assert Path("log.csv").stat().st_size and Path("checkpoint.fastbp").exists()


DOCS = ROOT / "docs"
PAGES = sorted(
    path.relative_to(DOCS).as_posix() for path in (*DOCS.glob("*.md"), *(DOCS / "design").glob("*.md"))
)
OUR_FILES = re.compile(r"`((?:[\w.]+/)*[\w]+\.(?:py|md|json|toml))`")


@POSIX
@pytest.mark.parametrize("page", [page for page in PAGES if page != "recipes.md"])
def test_a_page(page, in_this_process):
    paste(f"docs/{page}", in_this_process)


@pytest.mark.parametrize(
    "page", [page for page in PAGES if "```pycon" in (ROOT / "docs" / page).read_text("utf-8")]
)
def test_what_a_page_shows_in_the_interpreter(page):
    text = (ROOT / "docs" / page).read_text("utf-8")
    session = "\n".join(re.findall(r"^```pycon\n(.*?)^```$", text, re.DOTALL | re.MULTILINE))
    found = doctest.DocTestParser().get_doctest(session, {}, page, page, 0)
    with np.printoptions():
        assert doctest.DocTestRunner().run(found).failed == 0
    assert len(found.examples) > 3


def test_nothing_is_installed_from_an_index_that_does_not_have_it():
    pages = [*ROOT.glob("README*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "fastbp").rglob("*.py")]
    named = [path for path in pages if re.search(r"pip install \S*fastbp", path.read_text("utf-8"))]
    assert not named and len(pages) > 60


def anchors(text):
    """The names by which a page's headings are linked to."""
    titles = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize(
    "page", ["README.md", "README.zh.md", "CONTRIBUTING.md", *(f"docs/{page}" for page in PAGES)]
)
def test_links_lead_somewhere(page):
    path = ROOT / page
    for target in re.findall(r"\]\(([^)#\s]*(?:#[^)\s]*)?)\)", path.read_text("utf-8")):
        if target.startswith("http"):
            continue
        name, _, anchor = target.partition("#")
        file = path.parent / name if name else path
        if page.startswith("docs/") and name and not file.exists():  # a page of the site, by its name there
            name = re.sub(r"auto_examples/(\w+/)?plot", r"examples/\1plot", name)
            files = [path.parent / f"{name}{end}" for end in (".md", ".rst", ".py")]
            file = next((each for each in files if each.exists()), None)
        assert file is not None and file.exists(), target
        if anchor:
            assert anchor in anchors(file.read_text("utf-8")), target


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md", *(f"docs/{page}" for page in PAGES)])
def test_code_fits_beside_the_navigation_of_the_site(page):
    """At most 83 columns, except output, such as digests, and the commands to install and to test."""
    wide = [
        line
        for language, text in blocks(page)
        for line in text.splitlines()
        if len(line) > 83 and language != "text" and text not in NOT_RUN_HERE
    ]
    assert not wide


@pytest.mark.parametrize("page", PAGES)
def test_included_code_exists(page):
    """A page that shows a function, or a few of its lines, names a file that still has them."""
    text = (DOCS / page).read_text("utf-8")
    for name, options in re.findall(
        r"^```{literalinclude} (\S+)\n(.*?)^```$", text, re.DOTALL | re.MULTILINE
    ):
        source = ((DOCS / page).parent / name).read_text("utf-8")
        (function,) = re.findall(r":pyobject: (\w+)", options)
        assert f"def {function}(" in source, (name, function)
        for line in re.findall(r':(?:start|end)-at: "?(.*?)"?$', options, re.MULTILINE):
            assert line in source, (name, line)


@pytest.mark.parametrize("page", ["CONTRIBUTING.md", *(f"docs/{page}" for page in PAGES if "design" in page)])
def test_named_files_exist(page):
    """Pages about the code name files by their path in the package or the repository."""
    named = set(OUR_FILES.findall((ROOT / page).read_text("utf-8")))
    missing = {name for name in named if not any((root / name).exists() for root in (ROOT, ROOT / "fastbp"))}
    assert named and not missing


def test_the_drawing_of_the_rooms_is_of_these_imports():
    """Otherwise draw it anew: ``python docs/rooms.py``."""
    drawing = runpy.run_path(str(DOCS / "rooms.py"))
    assert drawing["svg"]() == (DOCS / "design" / "rooms.svg").read_text("utf-8")


def test_features_name_tests_that_exist():
    rows = (ROOT / "docs" / "features.md").read_text("utf-8").splitlines()
    table = [row for row in rows if row.startswith("| ")][2:]
    for row in table:
        cells = [cell.strip() for cell in row.strip("|").split("|")]
        named = re.findall(r"`(tests/\w+/\w+\.py)`", cells[-1])
        assert named or cells[1] in ("no", "Python"), row
        assert all((ROOT / name).exists() for name in named), row
    assert len(table) > 20


def test_lines_of_tasks_are_those_of_their_snippets():
    def statements(body):
        return sum(1 + statements(getattr(node, "body", [])) for node in body)

    text = (DOCS / "tasks.md").read_text("utf-8")
    counted = [statements(ast.parse(text).body) for language, text in blocks("docs/tasks.md")]
    names = ("autoencoder", "imbalanced", "bands", "averaging")
    rows = [re.search(rf"^.*plot_\d+_{name}\) \| (\d+) \| \w+: (\d+) ", text, re.MULTILINE) for name in names]
    assert [int(number) for row in rows for number in row.groups()] == counted


def test_moving_names_parameters_that_exist():
    takers = (
        fastbp.Network,
        fastbp.Network.fit,
        fastbp.Adam,
        fastbp.Nesterov,
        fastbp.RMSprop,
        fastbp.EarlyStopping,
    )
    known = {name for taker in takers for name in inspect.signature(taker).parameters}
    rows = re.findall(r"^\| .* \| (.*) \|$", (ROOT / "docs" / "moving.md").read_text("utf-8"), re.MULTILINE)
    named = {name for row in rows for name in re.findall(r"(\w+)=", row)}
    assert named <= known, named - known
    assert len(named) > 20


def test_the_formulas_are_of_every_activation_and_cost():
    text = (ROOT / "docs" / "api" / "kinds.rst").read_text("utf-8")
    for title, kinds in (("Activations", OUTPUT_ACTIVATIONS), ("Costs", COSTS)):
        section = text[text.index(f"\n{title}\n") :].partition("autoclass")[0]
        assert set(re.findall(r'\* - ``"(\w+)"``', section)) == set(kinds)


@pytest.mark.parametrize(
    "names", [OUTPUT_ACTIVATIONS, COSTS, OPTIMIZERS], ids=["activations", "costs", "optimizers"]
)
def test_every_name_is_in_the_readme_and_in_a_docstring(names):
    readme = (ROOT / "README.md").read_text("utf-8")
    docstrings = f"{fastbp.Network.__doc__}{fastbp.Network.fit.__doc__}"
    for name in names:
        assert f"`{name}`" in readme and f'"{name}"' in docstrings, name


def test_the_chinese_readme_has_the_same_commands_and_figures():
    """Code, tables' figures, numbers and links are those of the English one; the words are Chinese."""
    english, chinese = ((ROOT / name).read_text("utf-8") for name in ("README.md", "README.zh.md"))
    blocks = re.compile(r"^```\w*\n.*?^```$", re.DOTALL | re.MULTILINE)
    assert blocks.findall(english) == blocks.findall(chinese)
    texts = [blocks.sub("", text) for text in (english, chinese)]
    for pattern in (
        r"`[^`\n]+`",  # names and commands
        r"(?<![\w.])\d[\d,.]*\d|(?<![\w.])\d",  # numbers
        r"\]\(((?!README)[^)]+)\)",  # links
        r"^(#+) ",
        r"^\| [^|]+ \| [\d.]+ \| [\d.]+ \|$",  # rows of figures
    ):
        found = [sorted(re.findall(pattern, text, re.MULTILINE)) for text in texts]
        assert found[0] == found[1], pattern
        assert found[0]
    prose = re.sub(r"`[^`]+`|\([^)]*\)", "", texts[1])
    assert len(re.findall(r"[\u4e00-\u9fff]", prose)) > 1000
