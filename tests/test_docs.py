"""The examples of the README and of every page run as they stand, and links lead somewhere."""

import doctest
import inspect
import re
import warnings
from pathlib import Path

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning

import fastbp
from fastbp.activations import OUTPUT_ACTIVATIONS
from fastbp.costs import COSTS

ROOT = Path(__file__).parents[1]


def examples(name):
    text = (ROOT / name).read_text("utf-8")
    return re.findall(r"^```python\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)


def run(blocks, namespace):
    for block in blocks:
        exec(compile(block, block.partition("\n")[0], "exec"), namespace)
    return namespace


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_the_recipes(capsys):
    blocks = [block for block in examples("docs/recipes.md") if "sklearn" not in block]
    assert len(blocks) > 12
    found = run(blocks, {})
    assert found["net"].score(found["X"], found["y"]) > 0.9
    assert Path("log.csv").stat().st_size and Path("run.fastbp").exists()


def test_the_recipes_with_data_of_scikit_learn(capsys):
    blocks = [block for block in examples("docs/recipes.md") if "sklearn" in block]
    assert len(blocks) == 4
    assert all(len(block.splitlines()) < 15 for block in blocks)
    several = next(block for block in examples("docs/recipes.md") if "ThreadPool" in block)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        run([examples("docs/recipes.md")[0], several, *blocks], {})
    said = capsys.readouterr().out
    scores = [float(number) for number in re.findall(r"(\d\.\d+)$", said, re.MULTILINE)]
    assert np.greater(scores, [0.9, 0.5, 0.4, 0.4, 0.9]).all(), said


@pytest.mark.parametrize("number", range(len(examples("README.md"))))
def test_the_readme(number, monkeypatch, capsys):
    block = examples("README.md")[number]
    if "# after" in block:  # and what was before
        block = block[block.index("# after") :].replace("30, 10, 3.0", "1, 10, 3.0")
    block = block.replace("    30,\n    10,\n", "    1,\n    10,\n")
    run([block.replace("epochs=10,", "epochs=1,")], {})


PAGES = sorted(path.name for path in (ROOT / "docs").glob("*.md") if path.name != "recipes.md")


@pytest.mark.parametrize("page", PAGES)
def test_a_page(page, capsys):
    blocks = [block for block in examples(f"docs/{page}") if "# before" not in block]
    blocks = [block.replace("    30,\n    10,\n", "    1,\n    10,\n") for block in blocks]
    for block in blocks:
        run([block], {})


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


def anchors(text):
    """The names by which a page's headings are linked to."""
    titles = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize(
    "page", ["README.md", "README.zh.md", *(f"docs/{page}" for page in [*PAGES, "recipes.md"])]
)
def test_links_lead_somewhere(page):
    path = ROOT / page
    for target in re.findall(r"\]\(([^)#\s]*(?:#[^)\s]*)?)\)", path.read_text("utf-8")):
        if target.startswith("http"):
            continue
        name, _, anchor = target.partition("#")
        file = path.parent / name if name else path
        if page.startswith("docs/") and name and not file.exists():  # a page of the site, by its name there
            name = name.replace("auto_examples/plot", "examples/plot")
            files = [path.parent / f"{name}{end}" for end in (".md", ".rst", ".py")]
            file = next((each for each in files if each.exists()), None)
        assert file is not None and file.exists(), target
        if anchor:
            assert anchor in anchors(file.read_text("utf-8")), target


def test_features_name_tests_that_exist():
    rows = (ROOT / "docs" / "features.md").read_text("utf-8").splitlines()
    table = [row for row in rows if row.startswith("| ")][2:]
    for row in table:
        cells = [cell.strip() for cell in row.strip("|").split("|")]
        named = re.findall(r"`(tests/\w+\.py)`", cells[-1])
        assert named or cells[1] in ("no", "Python"), row
        assert all((ROOT / name).exists() for name in named), row
    assert len(table) > 20


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
