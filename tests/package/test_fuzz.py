"""Random cases, each trained in several ways; and a mismatch is found, made small and printed."""

import platform
import runpy

import pytest

from fastbp.options.optimizers import Momentum
from reproduce.fuzz import __main__ as fuzz
from reproduce.fuzz import cases, reference, ways

CASES = 12  # by default


@pytest.fixture(autouse=True)
def three_threads(monkeypatch):
    monkeypatch.setenv("FASTBP_NUM_THREADS", "3")


def test_random_cases_give_the_same_in_every_way(request, capsys):
    report = fuzz.Report()
    for seed in range(2000 if request.config.getoption("--full") else CASES):
        fuzz.check(seed, report)
    assert not report.wrong, report.wrong
    assert report.counts["reference"] > 0.7 * report.cases


def test_a_case_follows_from_its_seed():
    assert cases.draw(5) == cases.draw(5) != cases.draw(6)


def test_drawn_cases_are_valid_and_of_every_kind():
    drawn = [cases.draw(seed) for seed in range(400)]
    for part in ("network", "recipe"):
        names = {name for case in drawn for name in getattr(case, part)}
        texts = {text for case in drawn for text in getattr(case, part).values()}
        assert len(names) > 7 and len(texts) > 25, names
    suited = {name for case in drawn[:40] for name, way in ways.WAYS.items() if way.suits(case)}
    assert suited == {*ways.WAYS}


def seeds_of(optimizer):
    """Seeds of cases with that optimizer which the reference covers."""
    for seed in range(200):
        case = cases.draw(seed)
        if case.recipe.get("optimizer") == optimizer and "softmax" not in case.network["output_activation"]:
            yield seed


def test_a_wrong_number_of_an_optimizer_is_found_and_made_small(monkeypatch, capsys):
    own = Momentum._own
    monkeypatch.setattr(
        Momentum, "_own", lambda self, rates, first: {"momentum": 0.99 * own(self, rates, first)["momentum"]}
    )
    monkeypatch.setattr(fuzz.shrink, "_SECONDS", float("inf"))
    report = fuzz.Report()
    for seed in seeds_of("'nesterov'"):
        fuzz.check(seed, report)
        if report.wrong:
            break
    title, *script = report.wrong[0].splitlines()
    assert title.startswith("# reference: ") and f"(--seed {seed})" in title
    found = {}
    exec("\n".join(script).replace("print(", "what = ("), found)
    assert "allowed" in found["what"]
    smallest = found["case"]
    assert {"optimizer", "epochs", "batch_size", "learning_rate"} == {*smallest.recipe}
    assert max(smallest.sizes) <= 2 and smallest.n <= 3 and len(smallest.network) <= 1
    assert capsys.readouterr().out


def other_seed(X, y, network, recipe, number):
    return [ways.trained(network(seed=1 + number), X, y, **recipe())]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("way", ways.WAYS)
def test_the_script_of_a_mismatch_runs(way, tmp_path, capsys):
    """It prints the fingerprints of both ways, here the same."""
    seed = next(seed for seed in range(100) if ways.WAYS[way].suits(cases.draw(seed)))
    path = tmp_path / "script.py"
    path.write_text(cases.draw(seed).setup() + "\n\n" + ways.script(way, 3), "utf-8")
    runpy.run_path(str(path))
    lines = [line.split(" ", 1) for line in capsys.readouterr().out.splitlines()]
    half = len(lines) // 2
    assert half and [rest for _, rest in lines[:half]] == [rest for _, rest in lines[half:]]


def test_other_bits_are_a_mismatch(monkeypatch, capsys):
    monkeypatch.setitem(ways.WAYS, "threads", ways.Way(other_seed, ways.plain))
    case = cases.draw(next(seed for seed in range(99) if "seed" in cases.draw(seed).network))
    assert fuzz.mismatch(case, "threads", 77) in ("weights", "progress", "costs")
    assert fuzz.mismatch(case, "plain", 77) == ""


def test_what_raises_is_a_mismatch():
    case = cases.draw(0)
    case = case._replace(recipe=case.recipe | {"batch_size": "0"})
    assert fuzz.mismatch(case, "plain", 0) == "ValueError: batch_size: expected at least 1, got 0"


@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="haswell is one of x86-64")
def test_another_process_has_the_same_hashes(monkeypatch, capsys):
    report = fuzz.Report()
    monkeypatch.setattr(fuzz, "_OTHER_CPU", {})  # for which nothing is compiled
    fuzz.other_cpu([1, 2], report)
    assert not report.wrong
    hashes = fuzz.hashes
    monkeypatch.setattr(
        fuzz, "hashes", lambda seeds: {seed: text[::-1] for seed, text in hashes(seeds).items()}
    )
    fuzz.other_cpu([1, 2], report)
    assert [script.splitlines()[0][-11:] for script in report.wrong] == [" (--seed 1)", " (--seed 2)"]


def test_a_case_of_which_rounding_decides_is_no_mismatch():
    case = cases.draw(0)._replace(
        y="random(3).normal(size=(n, sizes[-1]))",
        network={"output_activation": "'linear'", "cost": "'absolute'"},
        recipe=dict(epochs="1", batch_size="1", learning_rate="0.1", optimizer="'irprop'"),
    )
    with pytest.raises(reference.IllConditioned):
        reference.difference(case, 0)
