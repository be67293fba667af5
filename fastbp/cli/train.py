"""``fastbp train`` trains a network on digits or on a user's data."""

import argparse
import os
import shlex
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

from . import columns, data, recipe, report, saving, search, train_options
from .failure import FAILED, Failure
from .interrupt import Interrupt

if TYPE_CHECKING:
    from ..network import Network
    from ..training.history import History

_CHECKPOINT_SECONDS = 30.0
_NOTHING_EXPLAINED = 0.01  # an R^2 below it is none


class _Ended(NamedTuple):
    """How a training ended, if early, and its history, if an epoch ended."""

    early: str
    history: "History | None"


def add_to(commands: Any) -> None:
    """Adds the command and its options."""
    train = train_options.add_to(commands)
    train.set_defaults(run=_run, parse=train.parse_args)


def _run(options: argparse.Namespace, interrupt: Interrupt) -> int:
    _check_combination(options)
    target, page = _files(options)
    grid = search.candidates(options)
    candidates = grid or [search.Candidate("", options)]
    with _warnings_as_lines(interrupt):
        dataset = data.load(options)
        net = search.checked(candidates, dataset)
        parts, held_out = data.split(dataset, options, _needed(options, dataset))
        _introduce(options, dataset, net, _counts(dataset.name, parts, held_out))
        found = search.run(candidates, dataset, parts, interrupt) if options.folds or grid else None
        if options.folds and target is None:
            return 0
        chosen, note = recipe.completed(found.best if found else options, dataset)
        if found:
            net = recipe.described_network(chosen, dataset)
            if options.folds:
                print(f"training on all: {_counts(dataset.name, parts, held_out)}")
        print(recipe.described(chosen), flush=True)
        if note:
            print(note, flush=True)
        _compile(chosen, parts["training"], interrupt)
        ended = _fit(net, parts, chosen, interrupt)
    if target is not None:
        saving.save(net, target, options.save)  # before anything is printed: the output's reader may be gone
    verdict = _verdict(net, parts["test"], chosen) if "test" in parts else []
    early, saved = [ended.early] if ended.early else [], [options.save] if options.save else []
    try:
        if page is not None:
            lines = [*early, *verdict]
            report.write(page, report.Training(dataset, parts, chosen, net, ended.history, found, lines))
            saved.append(options.report)
    finally:  # a page that cannot be written takes no result with it
        lines = [*early, *(f"saved {path}" for path in saved), f"fingerprint {net.fingerprint()}", *verdict]
        print("\n".join(lines), flush=True)
    return interrupt.status if ended.early or interrupt.signum else 0


def _files(options: argparse.Namespace) -> tuple[str | None, str | None]:
    """Resolves the paths of the network and of the report to write; refuses those that cannot be written."""
    target = None if options.save is None else _writable("--save", options.save, options)
    if options.checkpoint is not None:
        _check_checkpoint(options)
    elif options.resume:
        raise Failure("--resume: expected --checkpoint PATH beside it")
    if options.report is None:
        return target, None
    for option, path in (("--save", options.save), ("--checkpoint", options.checkpoint)):
        if path is not None and os.path.realpath(path) == os.path.realpath(options.report):
            raise Failure(f"--report {options.report}: expected another file than {option} writes")
    page = saving.writable("--report", options.report, _files_read(options))
    report.check_pictures()
    return target, page


def _check_combination(options: argparse.Namespace) -> None:
    """Refuses options that need others, and arguments without an option."""
    if options.surplus:
        first = shlex.quote(options.surplus[0])
        raise Failure(f"unrecognized arguments: {first}; data are named by --data {first}")
    if options.validation_data == "none":
        hint = "got --validation-data none; leave it out"
        if options.patience is not None:
            raise Failure(f"--patience: expected validation data, {hint}")
        if options.search and not options.folds:
            raise Failure(f"--search: expected validation data to score by, {hint}, or pass --folds 5")
    if options.folds and not options.save:
        for option, value in (("--checkpoint", options.checkpoint), ("--report", options.report)):
            if value is not None:
                raise Failure(
                    f"{option}: expected --save beside --folds, as folds alone leave no network behind"
                )


def _needed(options: argparse.Namespace, dataset: data.Dataset) -> list[str]:
    """Lists the parts that a training needs; with folds, none is held out for the test."""
    if not options.folds:
        return ["training", "test"] + ["validation"] * (options.validation_data != "none")
    return (
        ["training"] + ["test"] * ("test" in dataset.parts) + ["validation"] * (options.patience is not None)
    )


def _counts(name: str, parts: dict[str, data.Rows], held_out: str) -> str:
    """Says how many samples each part has."""
    counts = {"validation": "none", "test": "none"} | {
        kind: f"{len(part.y):,}" for kind, part in parts.items()
    }
    return (
        f"{name}: {counts['training']} samples to train on, {counts['validation']} for validation after "
        f"every epoch, {counts['test']} for the test{held_out}"
    )


def _introduce(options: argparse.Namespace, dataset: data.Dataset, net: "Network", counts: str) -> None:
    """Prints what is learned from how many samples."""
    if options.folds:
        data.folds(dataset, options.folds, options.seed)  # refuses too many
        counts = f"{dataset.name}: {len(dataset.training.y):,} samples in {options.folds} folds"
    print(counts)
    labels = ""
    if dataset.are_exclusive:
        classes = net._fastbp.learnt.classes
        labels = f" {data.listed(classes)}" if classes else f" 0 .. {max(1, net.sizes[-1] - 1)}"
    notes = columns.counters(dataset.training.X, dataset.inputs) if dataset.inputs else []
    print("\n".join([f"learning {dataset.task}{labels}, {dataset.why}", *notes]), flush=True)


def _files_read(options: argparse.Namespace) -> dict[str, str | None]:
    return {"--data": options.data, "--test-data": options.test_data}


def _writable(option: str, path: str, options: argparse.Namespace) -> str:
    """Resolves the path of a file to write a network or a training to."""
    if os.path.realpath(path).endswith(".npz"):  # as fastbp 0.1.0 wrote
        raise Failure(f"{option} {path}: expected a name that does not end in .npz, such as net.fastbp")
    return saving.writable(option, path, _files_read(options))


def _check_checkpoint(options: argparse.Namespace) -> None:
    """Refuses a path that would overwrite an earlier training, or that cannot be written."""
    path = options.checkpoint
    _writable("--checkpoint", path, options)
    if options.save is not None and os.path.realpath(path) == os.path.realpath(options.save):
        raise Failure(f"--checkpoint {path}: expected another file than --save writes")
    if os.path.exists(path) and not options.resume:
        raise Failure(
            f"--checkpoint {path}: expected a new file, got an existing one; --resume continues from it"
        )


@contextmanager
def _warnings_as_lines(interrupt: Interrupt) -> Iterator[None]:
    """Prints warnings without their file and line."""

    def show(message: Warning | str, *where: Any, **more: Any) -> None:
        interrupt.check()  # LLVM's callbacks swallow the exception, and Python then warns of that
        print(message, file=sys.stderr)

    with warnings.catch_warnings():
        warnings.showwarning = show
        yield


def _compile(options: argparse.Namespace, training: data.Rows, interrupt: Interrupt) -> None:
    """Compiles or loads the kernels of training and testing, so that no epoch's time includes it."""
    import numpy as np

    X, y = np.zeros_like(training.X[:1, :1]), np.zeros_like(training.y[:1])
    y = np.zeros(1, np.int64) if data.is_text(y) else y
    steps = recipe.steps(options) | {"learning_rate": 1.0}
    for of_data in ("class_weight", "schedule"):
        steps.pop(of_data, None)
    tiny = recipe.network(options, [1] * (len(options.sizes) - 1) + options.sizes[-1:])
    try:
        tiny.fit(X, y, epochs=1, batch_size=1, validation_data=(X, y), **steps)
    except (TypeError, ValueError) as error:
        raise Failure(error) from error
    interrupt.check()


def _fit(
    net: "Network", parts: dict[str, data.Rows], options: argparse.Namespace, interrupt: Interrupt
) -> _Ended:
    """Trains, and tells how it ended; raises where it ended early and nothing was learned by then."""
    import datetime

    import numpy as np

    from ..engine.chunks import DivergenceError
    from ..training.callbacks import ModelCheckpoint
    from ..training.run import Callback

    first = [*net.weights, *net.biases]
    so_far: History | None = None

    def nothing_is_learned() -> bool:
        return all(map(np.array_equal, first, [*net.weights, *net.biases]))

    def after_epoch(net: "Network", history: "History") -> bool:
        nonlocal so_far
        so_far = history
        interrupt.check()
        return False

    callbacks: list[Callback | Callable[..., object]] = [after_epoch, *recipe.stopping(options)]
    if options.checkpoint is not None:
        every = datetime.timedelta(seconds=_CHECKPOINT_SECONDS)
        callbacks.append(ModelCheckpoint(options.checkpoint, every=every, resume=options.resume))
    try:
        training = parts["training"]
        arguments = recipe.arguments(options, parts)
        so_far = net.fit(training.X, training.y, callbacks=callbacks, verbose=True, **arguments)
        interrupt.check()
        interrupt.held = True
    except (KeyboardInterrupt, OSError):  # OSError: the output cannot be written, as to a lost terminal
        interrupt.held = True
        if nothing_is_learned():
            raise
        epochs = so_far.epochs if so_far else 0
        return _Ended(f"{interrupt} in epoch {min(epochs + 1, options.epochs)} of {options.epochs}", so_far)
    except DivergenceError as error:
        nothing = "; nothing is saved" if options.save else ""
        what = str(error).partition(";")[0]
        raise Failure(f"{what}{nothing}. {search.smaller_steps(options)}", FAILED) from error
    except (TypeError, ValueError) as error:
        if nothing_is_learned():  # the recipe was refused
            raise Failure(error) from error
        if isinstance(error, ValueError):  # the checkpoint was
            raise Failure(error, FAILED) from error
        raise
    return _Ended("", so_far)


def _verdict(net: "Network", test: data.Rows, options: argparse.Namespace) -> list[str]:
    """Scores the network; adds advice where a constant answer would score as well."""
    import numpy as np

    dead, weighted = "", f" (weighted by {options.weights})" if test.weights is not None else ""
    if net.task in ("value", "values"):
        score = net.score(test.X, test.y, sample_weight=test.weights)
        verdict = f"test R^2 {score:.4f}{weighted}"
        if score < _NOTHING_EXPLAINED:
            dead = "always answering the mean"
    else:
        predicted = net.predict(test.X)
        is_right = (predicted == test.y).reshape(len(test.y), -1).all(axis=1)
        right = np.bincount(is_right, test.weights, minlength=2)[1]
        if test.weights is None:
            verdict = f"test accuracy {100 * right / len(test.y):.2f} % ({right} / {len(test.y)})"
        else:
            score = net.score(test.X, test.y, sample_weight=test.weights)
            verdict = f"test accuracy {100 * score:.2f} %{weighted}"
        labels, which = np.unique(test.y, axis=0, return_inverse=True)
        counts = np.bincount(which.reshape(-1), test.weights)
        # Balanced classes may cost accuracy on purpose.
        if right <= counts.max() and (not options.class_weight or (predicted == predicted[0]).all()):
            dead = f"always answering {labels[counts.argmax()]}"
    counted = test.y if test.weights is None else test.y[test.weights > 0]
    if not dead or (counted == counted[0]).all():
        return [verdict]
    attempts = [
        *(["--activation relu"] if options.activation == "sigmoid" else []),
        *(["--optimizer adam"] if options.optimizer in (None, "sgd") else []),
        "another --learning-rate",
        *([] if options.scale_inputs else ["--scale"]),
    ]
    attempts[-1] = f"or {attempts[-1]}" if attempts[1:] else attempts[-1]
    return [verdict, f"This is no better than {dead}: try {', '.join(attempts)}."]
