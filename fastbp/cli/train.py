"""``fastbp train`` trains a network on digits or on a user's data."""

import argparse
import os
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from ..options.schedules import SCHEDULES
from . import data, saving, train_options
from .failure import FAILED, Failure, check_variables, reason
from .interrupt import Interrupt

if TYPE_CHECKING:
    from ..datasets import Part
    from ..network import Network
    from ..training.history import History

_FIT_OPTIONS = ("optimizer", "learning_rate", "l2", "l1", "clip_norm", "class_weight")  # arguments of fit
_EXTRAS = (
    *("init", "dropout", "frozen", "scale_inputs", "scale_outputs", "compute_dtype"),
    *("schedule", "warmup", "l2", "l1", "clip_norm", "class_weight"),
)
_CHECKPOINT_SECONDS = 30.0
_LISTED = 20  # labels in a line
_NOTHING_EXPLAINED = 0.01  # an R^2 below it is none


def add_to(commands: Any) -> None:
    """Adds the command and its options."""
    train_options.add_to(commands).set_defaults(run=_run)


def _run(options: argparse.Namespace, interrupt: Interrupt) -> int:
    target = None if options.save is None else _writable("--save", options.save, options.data)
    if options.checkpoint is not None:
        _check_checkpoint(options)
    elif options.resume:
        raise Failure("--resume: expected --checkpoint PATH beside it")
    with _warnings_as_lines(interrupt):
        net, parts = _prepared(options)
        _compile(options, parts["training"], interrupt)
        ending = _fit(net, parts, options, interrupt)
    if target is not None:
        saving.save(net, target, options.save)  # before anything is printed: the output's reader may be gone
    if ending:
        print(ending)
    if target is not None:
        print(f"saved {options.save}")
    print("\n".join([f"fingerprint {net.fingerprint()}", *_verdict(net, parts["test"], options)]), flush=True)
    return interrupt.status if ending or interrupt.signum else 0


def _writable(option: str, path: str, data_path: str | None) -> str:
    """Resolves the path of a file to write a network or a training to."""
    if os.path.realpath(path).endswith(".npz"):  # as fastbp 0.1.0 wrote
        raise Failure(f"{option} {path}: expected a name that does not end in .npz, such as net.fastbp")
    return saving.writable(option, path, {"--data": data_path})


def _check_checkpoint(options: argparse.Namespace) -> None:
    """Refuses a path that would overwrite an earlier training, or that cannot be written."""
    path = options.checkpoint
    _writable("--checkpoint", path, options.data)
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


def _prepared(options: argparse.Namespace) -> tuple["Network", dict[str, "Part"]]:
    """Loads the data and makes the network, checks one against the other, and prints a line about each."""
    name = options.data or "MNIST"
    loaded = data.load(options.data)
    check_variables()
    task, why = data.task_of(loaded["training"].y, options.task)
    parts = {kind: data.typed(part, task, f"{name}, {kind} part") for kind, part in loaded.items()}
    _complete(options, parts["training"], task)
    if not options.scale_inputs:
        X = parts["training"].X
        options.input_divisor, divisor_note = data.divisor_of(options.data, X, options.input_divisor)
    net = _network(options, options.sizes)
    classes = None
    if task == "labels":
        classes = data.classes(parts["training"].y, net.sizes[-1], f"{name}, training part: y", why)
    if classes:
        net.classes_ = classes
    for kind, part in parts.items():
        data.check(part, net, classes, task, why, f"{name}, {kind} part")
    parts, held_out = data.split(parts, options.seed, options.validation_data != "none", name)
    counts = {"validation": "none"} | {kind: f"{len(part.y):,}" for kind, part in parts.items()}
    print(
        f"{name}: {counts['training']} samples to train on, {counts['validation']} for validation after "
        f"every epoch, {counts['test']} for the test{held_out}"
    )
    labels = ""
    if task == "labels" and parts["test"].y.ndim == 1:
        labels = f" {_listed(classes)}" if classes else f" 0 .. {max(1, net.sizes[-1] - 1)}"
    print(f"learning {task}{labels}, {why}")
    print(_described(options), flush=True)
    if not options.scale_inputs and divisor_note:
        print(divisor_note, flush=True)
    return net, parts


def _listed(classes: Sequence[Any]) -> str:
    """Lists the labels, or the ends and their count where they are too many for a line."""
    if len(classes) > _LISTED:
        return f"{classes[0]}, {classes[1]} ... {classes[-1]} ({len(classes):,} of them)"
    return ", ".join(map(str, classes))


def _complete(options: argparse.Namespace, training: "Part", task: str) -> None:
    """Fills in the options that follow from the data, and the learning rate of the book's recipe."""
    several = training.y.ndim > 1
    options.sizes = options.sizes or [training.X.shape[1], *options.hidden, data.outputs(training.y, task)]
    for name in ("activation", "dropout"):
        if len(values := getattr(options, name) or []) == 1:
            setattr(options, name, values[0])
    if task == "labels" and several:
        options.cost = options.cost or "cross_entropy"
    if not options.output_activation:
        if task == "values":
            options.output_activation = "exponential" if options.cost == "poisson" else "linear"
        else:
            exclusive = options.cost == "cross_entropy" and not several and options.sizes[-1] > 2
            options.output_activation = "softmax" if exclusive else "sigmoid"
    is_books_recipe = (
        options.activation == options.output_activation == "sigmoid"
        and options.cost in (None, "quadratic")
        and options.optimizer in (None, "sgd")
    )
    if options.learning_rate is None and is_books_recipe:
        options.learning_rate = train_options.BOOK_LEARNING_RATE


def _described(options: argparse.Namespace) -> str:
    """Describes network and training in a line."""

    def words(value: Any) -> str:
        return " ".join(map(str, value)) if isinstance(value, list) else str(value)

    rate = options.learning_rate
    extras = [f"{name.replace('_', ' ')} {words(value)}" for name, value in _chosen(options, _EXTRAS).items()]
    network = [
        f"network {','.join(map(str, options.sizes))}",
        words(options.activation),
        f"output {options.output_activation}",
        f"cost {options.cost or 'quadratic'}",
        options.dtype,
    ]
    training = [
        options.optimizer or "sgd",
        "its default learning rate" if rate is None else f"learning rate {rate:g}",
        f"batch size {options.batch_size}",
        *extras,
        f"seed {options.seed}",
        f"threads {options.threads}",
    ]
    return f"{', '.join(network)}; {', '.join(training)}"


def _chosen(options: argparse.Namespace, names: Sequence[str]) -> dict[str, Any]:
    """Collects the options that the user has set; the callee has defaults for the rest."""
    return {name: value for name in names if (value := getattr(options, name)) is not None}


def _network(options: argparse.Namespace, sizes: list[int]) -> "Network":
    """Makes a network of these sizes by the options."""
    from ..network import Network
    from ..options.network import OPTIONS

    try:
        return Network(sizes, **_chosen(options, [name for name in (*OPTIONS, "init") if name in options]))
    except (MemoryError, OverflowError, TypeError, ValueError) as error:  # too large, or contradictory
        raise Failure(f"network {','.join(map(str, sizes))}: {reason(error)}") from error


def _recipe(options: argparse.Namespace) -> dict[str, Any]:
    """Collects the arguments of `Network.fit` that say how it trains."""
    recipe = _chosen(options, _FIT_OPTIONS)
    if options.warmup is not None:
        name = options.schedule or "constant"
        try:
            kind: Any = SCHEDULES[name]
            recipe["schedule"] = kind(warmup=options.warmup)
        except TypeError as error:
            raise Failure(
                f"--warmup: expected another --schedule, got {name}, which has a warmup of its own"
            ) from error
    elif options.schedule:
        recipe["schedule"] = options.schedule
    return recipe


def _compile(options: argparse.Namespace, training: "Part", interrupt: Interrupt) -> None:
    """Compiles or loads the kernels of training and testing, so that no epoch's time includes it."""
    import numpy as np

    X, y = np.zeros_like(training.X[:1, :1]), np.zeros_like(training.y[:1])
    y = np.zeros(1, np.int64) if data.is_text(y) else y
    recipe = _recipe(options) | {"learning_rate": 1.0}
    for of_data in ("class_weight", "schedule"):
        recipe.pop(of_data, None)
    tiny = _network(options, [1] * (len(options.sizes) - 1) + options.sizes[-1:])
    try:
        tiny.fit(X, y, epochs=1, batch_size=1, validation_data=(X, y), **recipe)
    except (TypeError, ValueError) as error:
        raise Failure(error) from error
    interrupt.check()


def _fit(net: "Network", parts: dict[str, "Part"], options: argparse.Namespace, interrupt: Interrupt) -> str:
    """Trains; returns how training ended, if early.  Raises instead where nothing was learned by then."""
    import datetime

    import numpy as np

    from ..engine.chunks import DivergenceError
    from ..training.callbacks import ModelCheckpoint
    from ..training.run import Callback

    first = [*net.weights, *net.biases]
    epochs_done = 0

    def nothing_is_learned() -> bool:
        return all(map(np.array_equal, first, [*net.weights, *net.biases]))

    def after_epoch(net: "Network", history: "History") -> bool:
        nonlocal epochs_done
        epochs_done = len(history.loss)
        interrupt.check()
        return False

    callbacks: list[Callback | Callable[..., object]] = [after_epoch]
    if options.checkpoint is not None:
        every = datetime.timedelta(seconds=_CHECKPOINT_SECONDS)
        callbacks.append(ModelCheckpoint(options.checkpoint, every=every, resume=options.resume))
    try:
        net.fit(
            *parts["training"],
            epochs=options.epochs,
            batch_size=options.batch_size,
            validation_data=parts.get("validation"),
            threads=options.threads,
            callbacks=callbacks,
            verbose=True,
            **_recipe(options),
        )
        interrupt.check()
        interrupt.held = True
    except (KeyboardInterrupt, OSError):  # OSError: the output cannot be written, as to a lost terminal
        interrupt.held = True
        if nothing_is_learned():
            raise
        return f"{interrupt} in epoch {min(epochs_done + 1, options.epochs)} of {options.epochs}"
    except DivergenceError as error:
        nothing = "; nothing is saved" if options.save else ""
        what = str(error).partition(";")[0]
        raise Failure(f"{what}{nothing}. Try a smaller --learning-rate", FAILED) from error
    except (TypeError, ValueError) as error:
        if nothing_is_learned():  # the recipe was refused
            raise Failure(error) from error
        raise
    return ""


def _verdict(net: "Network", test: "Part", options: argparse.Namespace) -> list[str]:
    """Scores the network; adds advice where a constant answer would score as well."""
    import numpy as np

    dead = ""
    if net.task in ("value", "values"):
        score = net.score(*test)
        verdict = f"test R^2 {score:.4f}"
        if score < _NOTHING_EXPLAINED:
            dead = "always answering the mean"
    else:
        predicted = net.predict(test.X)
        right = np.count_nonzero((predicted == test.y).reshape(len(test.y), -1).all(axis=1))
        verdict = f"test accuracy {100 * right / len(test.y):.2f} % ({right} / {len(test.y)})"
        labels, counts = np.unique(test.y, axis=0, return_counts=True)
        # Balanced classes may cost accuracy on purpose.
        if right <= counts.max() and (not options.class_weight or (predicted == predicted[0]).all()):
            dead = f"always answering {labels[counts.argmax()]}"
    if not dead or (test.y == test.y[0]).all():
        return [verdict]
    attempts = [
        *(["--activation relu"] if options.activation == "sigmoid" else []),
        *(["--optimizer adam"] if options.optimizer in (None, "sgd") else []),
        "another --learning-rate",
        *([] if options.scale_inputs else ["--scale-inputs"]),
    ]
    return [verdict, f"This is no better than {dead}: try {', '.join(attempts[:-1])}, or {attempts[-1]}."]
