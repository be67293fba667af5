"""Scores of recipes: by folds of the data, or by the validation part, and a grid of recipes."""

import argparse
import itertools
import math
import statistics
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from . import data, recipe
from .failure import FAILED, REFUSED, Failure
from .interrupt import Interrupt
from .train_options import SEARCHED

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..network import Network


_LISTS = ("hidden", "activation", "dropout")  # options that take several values, with slashes between


class Candidate(NamedTuple):
    """A recipe of a grid: its options in words, and all options."""

    words: str
    options: argparse.Namespace

    def refused(self, error: Exception) -> Failure:
        """Names the recipe in an error, where there are several."""
        status = error.status if isinstance(error, Failure) else REFUSED
        return Failure(f"--search {self.words}: {error}" if self.words else error, status)


class Scored(NamedTuple):
    """A candidate with its score in each fold, or on the validation part; NaN where training diverged."""

    candidate: Candidate
    scores: list[float]

    @property
    def mean(self) -> float:
        return statistics.fmean(self.scores)

    @property
    def in_words(self) -> str:
        if math.isnan(self.mean):
            return "diverged"
        spread = f" +- {statistics.stdev(self.scores):.4f}" if len(self.scores) > 1 else ""
        return f"{self.mean:.4f}{spread}"


class Found(NamedTuple):
    """The candidates, best first, and the name of their scores."""

    score: str
    ranking: list[Scored]

    @property
    def best(self) -> argparse.Namespace:
        return self.ranking[0].candidate.options


def candidates(options: argparse.Namespace) -> list[Candidate]:
    """Returns the recipes of ``--search``, each with the options of the command beside its own."""
    if options.search is None:
        return []
    grid: dict[str, list[str]] = {}
    for word in " ".join(options.search).split():
        name, _, values = word.partition("=")
        option = name.strip("-").replace("-", "_")
        if option not in SEARCHED:
            raise Failure(f"--search: expected one of {', '.join(SEARCHED)}, got {name!r}")
        if option in grid:
            raise Failure(f"--search: expected each option once, got {name!r} twice")
        if not all(several := values.split(",")):
            raise Failure(f"--search: expected values, such as {name}=1,2, got {word!r}")
        grid[option] = several
    if "hidden" in grid and options.sizes:
        raise Failure("--search: expected no hidden beside --sizes, which has all layers")
    if not grid:
        raise Failure("--search: expected options and their values, such as hidden=30,60, got none")
    products = itertools.product(*grid.values())
    return [_candidate(dict(zip(grid, values, strict=True)), options) for values in products]


def _candidate(values: dict[str, str], options: argparse.Namespace) -> Candidate:
    """Parses the values as the options of the command are parsed."""
    arguments = []
    for name, value in values.items():
        parts = value.split("/")
        if any(part.startswith("-") for part in parts):
            raise Failure(f"--search: expected values without a dash before them, got '{name}={value}'")
        if parts[1:] and name not in _LISTS:
            raise Failure(
                f"--search: expected a slash in values of {', '.join(_LISTS)} alone, got '{name}={value}'; "
                "a comma is between different values"
            )
        arguments += [f"--{name.replace('_', '-')}", *parts]
    words = " ".join(f"{name}={value}" for name, value in values.items())
    try:
        return Candidate(words, options.parse(arguments, argparse.Namespace(**vars(options))))
    except Failure as error:
        raise Failure(f"--search: {error}") from error


def checked(several: Sequence[Candidate], dataset: data.Dataset) -> "Network":
    """Refuses recipes that make no network for the data; returns the network of the first."""
    net = _made(several[0], dataset)
    for candidate in several[1:]:
        _made(candidate, dataset)
    return net


def _made(candidate: Candidate, dataset: data.Dataset) -> "Network":
    """Makes the network of a recipe, after checking that the data fit it."""
    try:
        options, _ = recipe.completed(candidate.options, dataset)
        recipe.steps(options)
        net = recipe.described_network(options, dataset)
        data.check(dataset, net)
    except Failure as error:
        raise candidate.refused(error) from error
    return net


def run(
    several: Sequence[Candidate], dataset: data.Dataset, parts: dict[str, data.Rows], interrupt: Interrupt
) -> Found:
    """Scores the candidates, by folds if there are any, prints the scores, and returns them best first."""
    options = several[0].options
    name = "accuracy" if dataset.task == "labels" else "R^2"
    label = f"validation {name}" if not options.folds else name
    is_alone = len(several) == 1 and not several[0].words
    scored = []
    for number, candidate in enumerate(several, 1):
        scores = []
        for fold, split in enumerate(_splits(options, dataset, parts), 1):
            scores.append(_score(candidate, dataset, split, interrupt))
            if is_alone:
                print(f"fold {fold}/{options.folds}  {label} {scores[-1]:.4f}", flush=True)
        scored.append(Scored(candidate, scores))
        if not is_alone:
            print(f"{number}/{len(several)}  {label} {scored[-1].in_words}  {candidate.words}", flush=True)
    return _ranked(Found(label, scored), options, is_alone)


def _ranked(found: Found, options: argparse.Namespace, is_alone: bool) -> Found:
    """Prints the scores, best first; refuses a grid that diverged altogether."""
    ranking = sorted(found.ranking, key=lambda one: -one.mean if one.mean == one.mean else math.inf)
    if math.isnan(ranking[0].mean):
        raise Failure(
            f"training diverged{'' if is_alone else ' by every recipe'}. {smaller_steps(options)}", FAILED
        )
    if is_alone:
        print(f"{options.folds} folds: {found.score} {ranking[0].in_words} (mean and standard deviation)")
    else:
        by = f" (mean and standard deviation of {options.folds} folds)" if options.folds else ""
        print(f"best first, by {found.score}{by}:")
        print("\n".join(f"  {one.in_words}  {one.candidate.words}" for one in ranking), flush=True)
    return Found(found.score, ranking)


def _splits(
    options: argparse.Namespace, dataset: data.Dataset, parts: dict[str, data.Rows]
) -> Iterator[dict[str, data.Rows]]:
    """Yields the parts that a recipe is trained and scored on, as the test part, fold by fold."""
    if not options.folds:
        yield {**parts, "test": parts["validation"]}
        return
    needed = ["training"] + ["validation"] * (options.patience is not None)
    for fold, held_out in enumerate(data.folds(dataset, options.folds, options.seed), 1):
        parts = {"training": dataset.training.without(held_out)}
        rest = dataset._replace(name=f"{dataset.name} without fold {fold}", parts=parts)
        of_fold, _ = data.split(rest, options, needed)
        yield of_fold | {"test": dataset.training.at(held_out)}


def _score(
    candidate: Candidate, dataset: data.Dataset, parts: dict[str, data.Rows], interrupt: Interrupt
) -> float:
    """Trains a network on the training part and scores it on the test part; NaN where training diverged."""
    from ..engine.chunks import DivergenceError

    options, _ = recipe.completed(candidate.options, dataset)
    net = recipe.described_network(options, dataset)
    training, test = parts["training"], parts["test"]
    arguments = recipe.arguments(options, parts)
    try:
        net.fit(training.X, training.y, callbacks=recipe.stopping(options), **arguments)
        interrupt.check()
        weights = _balanced(test, training.y) if options.class_weight else test.weights
        score = net.score(test.X, test.y, sample_weight=weights)
    except DivergenceError:
        return math.nan
    except (TypeError, ValueError) as error:  # a recipe that makes no sense
        raise candidate.refused(error) from error
    interrupt.check()
    return float(score)


def _balanced(test: data.Rows, y: "NDArray[Any]") -> "NDArray[Any]":
    """Returns the weights of rows, times those that `fit` gives the classes of y, as in lines of epochs."""
    import numpy as np

    from ..data.weights import checked_class_weights

    different, indices = np.unique(y, return_inverse=True)
    labels = different.tolist()
    of_label = dict(zip(labels, checked_class_weights("balanced", indices, labels), strict=True))
    weights = np.array([of_label.get(label, 1.0) for label in test.y.tolist()])
    return weights if test.weights is None else weights * test.weights


def smaller_steps(options: argparse.Namespace) -> str:
    """Says what to do about a training that diverged."""
    return "Try a smaller --learning-rate" + ("" if options.scale_inputs else ", or --scale")
