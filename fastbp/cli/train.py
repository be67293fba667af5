"""``fastbp train`` trains a network on digits or on a user's data."""

import argparse
import math
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from . import data, saving
from .failure import FAILED, Failure, reason
from .interrupt import Interrupt

if TYPE_CHECKING:
    from ..datasets import Part
    from ..network import Network
    from ..training import History

_ACTIVATIONS = ("sigmoid", "tanh", "relu", "linear")
_NOTHING_EXPLAINED = 0.01  # an R^2 below it is none


_TRAIN = """\
Train a fully connected network by stochastic gradient descent and show how well it does.

Without --data it learns the handwritten digits of MNIST, which are part of the package: 50,000 to train on,
10,000 for validation after every epoch, 10,000 for the test at the end."""

_TRAIN_MORE = """\
data:
  A folder of IDX files under MNIST's names (train-images-idx3-ubyte, train-labels-idx1-ubyte and, for the
  test part, t10k-images-idx3-ubyte, t10k-labels-idx1-ubyte; each plain or .gz), or a file written by
  numpy.savez(path, X=..., y=..., X_test=..., y_test=...), the last two where there is a test part.
  A tenth of the training samples, drawn by the seed, is held out for validation after every epoch, and
  another tenth for the test at the end where there is no test part.
  y holds a label 0, 1, 2 ... per sample, or a value, or a row of values; uint8 samples are divided by 255.

saved networks:
  The .npz file holds sizes, dtype, activation, output, uint8_divisor and the arrays w0, b0, w1, b1 ...:
  wL (n_out, n_in) and bL (n_out, 1) are Network.weights[L] and Network.biases[L].

Ctrl-C ends training with what was learned so far: it is saved, if --save was given, and tested.  So does
SIGTERM, and SIGHUP unless it is ignored, as under nohup.

exit status: 0 done, 1 training diverged or another failure (nothing is saved), 2 bad arguments or files,
  128 + n ended by signal n (130 by Ctrl-C), 141 nobody reads the output any more (saved, as after Ctrl-C)"""


def add_to(commands: Any) -> None:
    train = commands.add_parser(
        "train",
        help="train a network, on MNIST or on your own data",
        description=_TRAIN,
        epilog=_TRAIN_MORE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    train.set_defaults(run=_run)
    default = " (default: %(default)s)"

    def add(option: str, type_: Callable[[str], Any], value: Any, metavar: str, text: str) -> None:
        train.add_argument(option, type=type_, default=value, metavar=metavar, help=text + default)

    def choose(option: str, choices: Sequence[str], text: str) -> None:
        train.add_argument(option, choices=choices, default=choices[0], help=text + default)

    train.add_argument(
        "--data", metavar="PATH", help="a folder of IDX files or an .npz file (default: the shipped MNIST)"
    )
    train.add_argument(
        "--task",
        choices=("labels", "values"),
        help="what y holds (default: labels if its type is integer or bool, values if it is float)",
    )
    train.add_argument(
        "--validation-data",
        choices=("none",),
        help="no validation after every epoch (default: the part for it, or a tenth of the training samples)",
    )
    layers = train.add_mutually_exclusive_group()
    layers.add_argument(
        "--hidden",
        type=_whole(1),
        nargs="+",
        default=[30],
        metavar="N",
        help="neurons in each hidden layer, such as 100 50; the data tell the rest (default: 30)",
    )
    layers.add_argument(
        "--sizes", type=_sizes, metavar="N,N,...", help="neurons in every layer, such as 784,30,10"
    )
    choose("--activation", _ACTIVATIONS, "of the hidden layers")
    train.add_argument(
        "--output",
        choices=_ACTIVATIONS,
        help="activation of the last layer (default: sigmoid for labels, linear for values)",
    )
    choose("--dtype", ("float64", "float32"), "of weights and arithmetic; float32 is faster")
    add("--epochs", _whole(1), 30, "N", "passes over the training data")
    add("--batch-size", _whole(1), 10, "N", "samples in a mini-batch")
    add("--learning-rate", _rate, 3.0, "RATE", "of a step down a mini-batch's mean gradient")
    add("--seed", _whole(0, 2**32 - 1), 0, "N", "draws the first weights and the order of samples")
    add("--threads", _threads, "auto", "N", "a number, or auto; the network is the same for any")
    train.add_argument("--save", metavar="PATH", help="write the network to this .npz file (default: do not)")


def _whole(least: int, most: float = math.inf) -> Callable[[str], int]:
    expected = f"an integer of at least {least}" if most == math.inf else f"an integer {least} .. {most}"

    def convert(text: str) -> int:
        with suppress(ValueError):
            if least <= (number := int(text)) <= most:
                return number
        raise argparse.ArgumentTypeError(f"expected {expected}, got {text!r}")

    return convert


def _rate(text: str) -> float:
    with suppress(ValueError):
        if 0 < (number := float(text)) < math.inf:
            return number
    raise argparse.ArgumentTypeError(f"expected a finite number above 0, got {text!r}")


def _sizes(text: str) -> list[int]:
    sizes = [_whole(1)(size) for size in text.split(",")]
    if len(sizes) < 2:
        raise argparse.ArgumentTypeError(f"expected at least two layers, such as 784,30,10, got {text!r}")
    return sizes


def _threads(text: str) -> int | str:
    return text if text == "auto" else _whole(1)(text)


def _run(options: argparse.Namespace, interrupt: Interrupt) -> int:
    target = None if options.save is None else saving.writable(options.save, options.data)
    net, parts = _prepared(options)
    _compile(options.dtype, interrupt)
    ending = _fit(net, parts, options, interrupt)
    if target is not None:
        saving.save(net, target, options)  # before a word is said: who reads it may be gone
    if ending:
        print(("\r\x1b[K" if sys.stdout.isatty() else "") + ending)
    if target is not None:
        print(f"saved {options.save}")
    print("\n".join(_verdict(net, parts["test"], options)), flush=True)
    return interrupt.status if ending or interrupt.signum else 0


def _prepared(options: argparse.Namespace) -> tuple["Network", dict[str, "Part"]]:
    """The network and the data, checked against each other, and a line on stdout about each."""
    name = options.data or "MNIST"
    loaded = data.load(options.data)
    task, why = data.task_of(loaded["training"].y, options.task)
    parts = {kind: data.typed(part, task, f"{name}, {kind} part") for kind, part in loaded.items()}
    net = _network(options, parts["training"], task)
    for kind, part in parts.items():
        data.check(part, net, task, why, f"{name}, {kind} part")
    parts, held_out = data.split(parts, options.seed, options.validation_data != "none", name)
    counts = {"validation": "none"} | {kind: f"{len(part.y):,}" for kind, part in parts.items()}
    print(
        f"{name}: {counts['training']} samples to train on, {counts['validation']} for validation after "
        f"every epoch, {counts['test']} for the test{held_out}"
    )
    classes = f" 0 .. {max(1, net.sizes[-1] - 1)}" if task == "labels" and parts["test"].y.ndim == 1 else ""
    print(f"learning {task}{classes}, {why}")
    print(
        f"network {','.join(map(str, net.sizes))}, {options.activation}, output {options.output}, "
        f"{options.dtype}; batch size {options.batch_size}, learning rate {options.learning_rate:g}, "
        f"seed {options.seed}, threads {options.threads}",
        flush=True,
    )
    return net, parts


def _network(options: argparse.Namespace, training: "Part", task: str) -> "Network":
    from ..network import Network

    sizes = options.sizes or [training.X.shape[1], *options.hidden, data.outputs(training.y, task)]
    options.output = options.output or ("sigmoid" if task == "labels" else "linear")
    try:
        return Network(
            sizes,
            dtype=options.dtype,
            seed=options.seed,
            activation=options.activation,
            output=options.output,
            uint8_divisor=data.UINT8_DIVISOR,
        )
    except (MemoryError, OverflowError, ValueError) as error:  # too large, or no inputs
        raise Failure(f"network {','.join(map(str, sizes))}: {reason(error)}") from error


def _compile(dtype: str, interrupt: Interrupt) -> None:
    """Compiles what training and testing need, or finds it on disk: no epoch's time is to hold that."""
    import warnings

    import numpy as np

    from ..network import Network

    one = np.zeros((1, 1))
    with warnings.catch_warnings(record=True) as caught:
        Network([1, 1], dtype=dtype, seed=0).fit(
            one, one, epochs=1, batch_size=1, learning_rate=1.0, validation_data=(one, one)
        )
    interrupt.check()  # LLVM's callbacks swallow it, and then there is something to warn of
    for warning in caught:
        print(warning.message, file=sys.stderr)


def _fit(net: "Network", parts: dict[str, "Part"], options: argparse.Namespace, interrupt: Interrupt) -> str:
    """Trains; returns how it ended, if early.  Where nothing has been learned by then, raises that end."""
    import numpy as np

    from ..training import DivergenceError

    first = [*net.weights, *net.biases]
    done = 0

    def after_epoch(net: "Network", history: "History") -> bool:
        nonlocal done
        done = len(history.loss)
        return bool(interrupt.signum)

    try:
        net.fit(
            *parts["training"],
            epochs=options.epochs,
            batch_size=options.batch_size,
            learning_rate=options.learning_rate,
            validation_data=parts.get("validation"),
            threads=options.threads,
            callbacks=[after_epoch],
            verbose=True,
        )
        interrupt.check()
        interrupt.held = True
    except (KeyboardInterrupt, OSError):  # OSError: the output cannot be written, as to a lost terminal
        interrupt.held = True
        if all(map(np.array_equal, first, [*net.weights, *net.biases])):
            raise
        return f"{interrupt} in epoch {min(done + 1, options.epochs)} of {options.epochs}"
    except DivergenceError as error:
        nothing = "; nothing is saved" if options.save else ""
        what = str(error).partition(";")[0]
        raise Failure(f"{what}{nothing}. Try a smaller --learning-rate", FAILED) from error
    return ""


def _verdict(net: "Network", test: "Part", options: argparse.Namespace) -> list[str]:
    """How well the network does, and a line about it where that is no better than no network."""
    import numpy as np

    if net._task == "values":
        score = net.score(*test)
        verdict = f"test R^2 {score:.4f}"
        dead = "always answering the mean" if score < _NOTHING_EXPLAINED else ""
    else:
        right = np.count_nonzero(net.predict(test.X) == test.y)
        verdict = f"test accuracy {100 * right / len(test.y):.2f} % ({right} / {len(test.y)})"
        labels, counts = np.unique(test.y, return_counts=True)
        dead = f"always answering {labels[counts.argmax()]}" if right <= counts.max() else ""
    if not dead or (test.y == test.y[0]).all():
        return [verdict]
    attempts = [
        *(["--activation relu"] if options.activation == "sigmoid" else []),
        "another --learning-rate",
        "samples scaled to about 0 .. 1",
    ]
    return [verdict, f"This is no better than {dead}: try {', '.join(attempts[:-1])}, or {attempts[-1]}."]
