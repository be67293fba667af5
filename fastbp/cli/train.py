"""``fastbp train`` trains a network on digits or on a user's data."""

import argparse
import os
import sys
import warnings
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from ..options.activations import ACTIVATIONS, OUTPUT_ACTIVATIONS
from ..options.costs import COSTS
from ..options.initializers import INITIALIZERS
from ..options.optimizers import OPTIMIZERS
from ..options.schedules import SCHEDULES
from . import arguments, data, saving
from .failure import FAILED, Failure, check_variables, reason
from .interrupt import Interrupt

if TYPE_CHECKING:
    from ..datasets import Part
    from ..network import Network
    from ..training.history import History

_OF_FIT = ("optimizer", "learning_rate", "l2", "l1", "clip_norm", "class_weight")  # arguments of fit
_EXTRAS = (
    *("init", "dropout", "frozen", "scale_inputs", "scale_outputs"),
    *("schedule", "warmup", "l2", "l1", "clip_norm", "class_weight"),
)
_SEEDS_RATE = 3.0
_CHECKPOINT_SECONDS = 30.0
_LISTED = 20  # labels in a line
_NOTHING_EXPLAINED = 0.01  # an R^2 below it is none

_TRAIN = """\
Train a fully connected network by mini-batch gradient descent and show how well it does.

Without --data it learns the handwritten digits of MNIST, which are part of the package: 50,000 to train on,
10,000 for validation after every epoch, 10,000 for the test at the end.  Without any option it does so with
sigmoids, the quadratic cost and plain SGD."""

_TRAIN_MORE = """\
your own data:
  A folder of IDX files under MNIST's names (train-images-idx3-ubyte, train-labels-idx1-ubyte and, for the
  test part, t10k-images-idx3-ubyte, t10k-labels-idx1-ubyte; each plain or .gz), or a file written by
  numpy.savez(path, X=..., y=..., X_test=..., y_test=...), the last two where there is a test part.
  A tenth of the training samples, drawn by the seed, is held out for validation after every epoch, and
  another tenth for the test at the end where there is no test part.
  y holds a label per sample, integers or text, or a row of zeros and ones (several labels at once), or
  values.  There is an output for each different label of the training part.
  Pixels, which MNIST and IDX folders hold, are divided by 255; other samples are taken as they are.

saved networks:
  fastbp.load, fastbp predict and fastbp info read them, in any process, and the safetensors library reads
  their arrays, weights.0, biases.0, weights.1 ...: those of Network.weights and Network.biases.

checkpoints:
  With --checkpoint the training itself is kept too, every half minute, at its end, and when a signal ends it.
  The same command with --resume goes on from there, to the bit, or begins where there is no such file yet.

Ctrl-C ends training with what was learned so far: it is saved, if --save was given, and tested.  So does
SIGTERM, and SIGHUP unless it is ignored, as under nohup.

exit status: 0 done, 1 training diverged or another failure (nothing is saved), 2 bad arguments or files,
  128 + n ended by signal n (130 by Ctrl-C), 141 nobody reads the output any more (saved, as after Ctrl-C)"""


def add_to(commands: Any) -> None:
    """Adds the command and its options."""
    train = commands.add_parser(
        "train",
        help="train a network, on MNIST or on your own data",
        description=_TRAIN,
        epilog=_TRAIN_MORE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    train.set_defaults(run=_run)

    group = train.add_argument_group("data")
    group.add_argument(
        "--data", metavar="PATH", help="a folder of IDX files or an .npz file (default: the shipped MNIST)"
    )
    group.add_argument(
        "--task",
        choices=("labels", "values"),
        help="what y holds (default: labels if its type is integer or bool, values if it is float)",
    )
    group.add_argument(
        "--validation-data",
        choices=("none",),
        help="no validation after every epoch (default: the part for it, or a tenth of the training samples)",
    )

    group = train.add_argument_group("network")
    layers = group.add_mutually_exclusive_group()
    layers.add_argument(
        "--hidden",
        type=arguments.whole(1),
        nargs="+",
        default=[30],
        metavar="N",
        help="neurons in each hidden layer, such as 100 50; the data tell the rest (default: 30)",
    )
    layers.add_argument(
        "--sizes", type=arguments.sizes, metavar="N,N,...", help="neurons in every layer, such as 784,30,10"
    )

    def choose(option: str, choices: Collection[str], text: str, **more: Any) -> None:
        listed = f"{', '.join(choices)}: {text}"
        group.add_argument(option, choices=choices, metavar="NAME", help=listed, **more)

    choose(
        "--activation",
        ACTIVATIONS,
        "of all hidden layers, or one name per hidden layer (default: sigmoid)",
        nargs="+",
        default=["sigmoid"],
    )
    choose(
        "--output-activation",
        OUTPUT_ACTIVATIONS,
        "of the last layer (default: linear for values, exponential with --cost poisson; sigmoid for labels, "
        "softmax with --cost cross_entropy and more than two classes)",
    )
    choose(
        "--cost",
        COSTS,
        "what is minimised (default: quadratic, or cross_entropy for several labels at once)",
    )
    choose(
        "--init",
        INITIALIZERS,
        "of the weights (default: normal for sigmoids with the quadratic cost, else as the activation needs)",
    )

    def add(option: str, type_: Callable[[str], Any], metavar: str, text: str, **more: Any) -> None:
        default = " (default: %(default)s)" if "default" in more else ""
        group.add_argument(option, type=type_, metavar=metavar, help=text + default, **more)

    group.add_argument(
        "--dtype",
        choices=("float64", "float32"),
        default="float64",
        help="of weights and arithmetic; float32 is faster (default: float64)",
    )
    add(
        "--dropout",
        arguments.share,
        "RATE",
        "share of hidden neurons left out at random of every step; one rate, or one per hidden layer",
        nargs="+",
    )
    add("--input-divisor", arguments.positive, "D", "divides every sample (default: 255 for pixels, else 1)")
    for what, of in (("inputs", "samples"), ("outputs", "values")):
        text = f"brings every column of {of} to mean 0 and deviation 1"
        group.add_argument(f"--scale-{what}", action="store_const", const=True, help=text)
    add(
        "--frozen",
        arguments.whole(0),
        "L",
        "layers that keep their initial weights and biases; 0 is the first",
        nargs="+",
    )

    group = train.add_argument_group("training")
    add("--epochs", arguments.whole(1), "N", "passes over the training data", default=30)
    add("--batch-size", arguments.whole(1), "N", "samples in a mini-batch", default=10)
    choose("--optimizer", OPTIMIZERS, "how a gradient becomes a step (default: sgd)")
    add(
        "--learning-rate",
        arguments.positive,
        "RATE",
        f"of a step down a mini-batch's mean gradient (default: {_SEEDS_RATE} for sigmoids with the "
        "quadratic cost and sgd, else the optimizer's usual one)",
    )
    choose("--schedule", SCHEDULES, "of the learning rate, per step (default: constant)")
    add("--warmup", arguments.whole(0), "STEPS", "over which the learning rate first rises to its value")
    add("--l2", arguments.at_least_0, "C", "adds C/2 times the sum of squared weights to the cost")
    add("--l1", arguments.at_least_0, "C", "adds C times the sum of absolute weights to the cost")
    add("--clip-norm", arguments.positive, "NORM", "scales a gradient down whose global norm is larger")
    group.add_argument(
        "--class-weight", choices=("balanced",), help="makes every class count the same, however rare"
    )
    add(
        "--seed",
        arguments.whole(0, 2**32 - 1),
        "N",
        "draws the initial weights, the orders of samples, dropout and what is held out",
        default=0,
    )
    add(
        "--threads",
        arguments.threads,
        "N",
        "a number, or auto; the network is the same for any",
        default="auto",
    )

    group = train.add_argument_group("files")
    group.add_argument("--save", metavar="PATH", help="write the network to this file (default: do not)")
    group.add_argument("--checkpoint", metavar="PATH", help="keep the training itself in this file")
    group.add_argument("--resume", action="store_true", help="go on from the checkpoint if there is one")


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
        saving.save(net, target, options.save)  # before a word is said: who reads it may be gone
    if ending:
        print(ending)
    if target is not None:
        print(f"saved {options.save}")
    print("\n".join([f"fingerprint {net.fingerprint()}", *_verdict(net, parts["test"], options)]), flush=True)
    return interrupt.status if ending or interrupt.signum else 0


def _writable(option: str, path: str, data_path: str | None) -> str:
    """The file that `path` leads to, for a network."""
    if os.path.realpath(path).endswith(".npz"):  # as fastbp 0.1.0 wrote
        raise Failure(f"{option} {path}: expected another name than .npz, such as net.fastbp")
    return saving.writable(option, path, {"--data": data_path})


def _check_checkpoint(options: argparse.Namespace) -> None:
    """Refuses to lose an earlier training, and a checkpoint that cannot be written."""
    path = options.checkpoint
    _writable("--checkpoint", path, options.data)
    if options.save is not None and os.path.realpath(path) == os.path.realpath(options.save):
        raise Failure(f"--checkpoint {path}: is the file that --save writes, expected another")
    if os.path.exists(path) and not options.resume:
        raise Failure(f"--checkpoint {path}: there is one already: --resume goes on from it")


@contextmanager
def _warnings_as_lines(interrupt: Interrupt) -> Iterator[None]:
    """Prints warnings without the place in the package that they come from."""

    def show(message: Warning | str, *where: Any, **more: Any) -> None:
        interrupt.check()  # LLVM's callbacks swallow it, and then there is something to warn of
        print(message, file=sys.stderr)

    with warnings.catch_warnings():
        warnings.showwarning = show
        yield


def _prepared(options: argparse.Namespace) -> tuple["Network", dict[str, "Part"]]:
    """The network and the data, checked against each other, and a line on stdout about each."""
    name = options.data or "MNIST"
    loaded = data.load(options.data)
    check_variables()
    task, why = data.task_of(loaded["training"].y, options.task)
    parts = {kind: data.typed(part, task, f"{name}, {kind} part") for kind, part in loaded.items()}
    _complete(options, parts["training"], task)
    if not options.scale_inputs:
        X = parts["training"].X
        options.input_divisor, taken = data.divisor_of(options.data, X, options.input_divisor)
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
    print(_told(options), flush=True)
    if not options.scale_inputs and taken:
        print(taken, flush=True)
    return net, parts


def _listed(classes: Sequence[Any]) -> str:
    """The labels, or how many there are and the ends where they are too many for a line."""
    if len(classes) > _LISTED:
        return f"{classes[0]}, {classes[1]} ... {classes[-1]} ({len(classes):,} of them)"
    return ", ".join(map(str, classes))


def _complete(options: argparse.Namespace, training: "Part", task: str) -> None:
    """Fills in what was not given and follows from the data, and the learning rate of the seed's recipe."""
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
    is_seeds = (
        options.activation == options.output_activation == "sigmoid"
        and options.cost in (None, "quadratic")
        and options.optimizer in (None, "sgd")
    )
    if options.learning_rate is None and is_seeds:
        options.learning_rate = _SEEDS_RATE


def _told(options: argparse.Namespace) -> str:
    """The recipe, in a line."""

    def words(value: Any) -> str:
        return " ".join(map(str, value)) if isinstance(value, list) else str(value)

    rate = options.learning_rate
    extras = [f"{name.replace('_', ' ')} {words(value)}" for name, value in _given(options, _EXTRAS).items()]
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


def _given(options: argparse.Namespace, names: Sequence[str]) -> dict[str, Any]:
    """The options that were given; the rest is left to the defaults of what takes them."""
    return {name: value for name in names if (value := getattr(options, name)) is not None}


def _network(options: argparse.Namespace, sizes: list[int]) -> "Network":
    """A network of those sizes and of the kind that was asked for."""
    from ..engine.architecture import OPTIONS
    from ..network import Network

    try:
        return Network(sizes, **_given(options, [name for name in (*OPTIONS, "init") if name in options]))
    except (MemoryError, OverflowError, TypeError, ValueError) as error:  # too large, or contradictory
        raise Failure(f"network {','.join(map(str, sizes))}: {reason(error)}") from error


def _recipe(options: argparse.Namespace) -> dict[str, Any]:
    """The arguments of `Network.fit` that say how it trains."""
    recipe = _given(options, _OF_FIT)
    if options.warmup is not None:
        name = options.schedule or "constant"
        try:
            kind: Any = SCHEDULES[name]
            recipe["schedule"] = kind(warmup=options.warmup)
        except TypeError as error:
            raise Failure(f"--warmup: the schedule {name} takes none, for it has its own") from error
    elif options.schedule:
        recipe["schedule"] = options.schedule
    return recipe


def _compile(options: argparse.Namespace, training: "Part", interrupt: Interrupt) -> None:
    """Compiles what training and testing need, or finds it on disk: no epoch's time is to hold that."""
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
    """Trains; returns how it ended, if early.  Where nothing has been learned by then, raises that end."""
    import datetime

    import numpy as np

    from ..engine.chunks import DivergenceError
    from ..training.callbacks import ModelCheckpoint
    from ..training.run import Callback

    first = [*net.weights, *net.biases]
    done = 0

    def nothing_is_learned() -> bool:
        return all(map(np.array_equal, first, [*net.weights, *net.biases]))

    def after_epoch(net: "Network", history: "History") -> bool:
        nonlocal done
        done = len(history.loss)
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
        return f"{interrupt} in epoch {min(done + 1, options.epochs)} of {options.epochs}"
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
    """How well the network does, and a line about it where that is no better than no network."""
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
