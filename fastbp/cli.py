"""The command line: ``fastbp train`` trains a network on digits or on a user's data, ``fastbp info`` tells
what it would run on.

Nothing slower than argparse is imported before the arguments are known to be good.
"""

import argparse
import io
import math
import os
import platform
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from . import __version__

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .datasets import Part, Splits
    from .network import Network
    from .training import History

_FAILED, _REFUSED, _INTERRUPTED, _PIPE_CLOSED = 1, 2, 130, 141  # the last two as a shell counts signals
_ACTIVATIONS = ("sigmoid", "tanh", "relu", "linear")
_UINT8_DIVISOR = 255.0
_HELD_OUT = 10  # one sample in so many, where the data have no test part

_TRAIN = """\
Train a fully connected network by stochastic gradient descent and show how well it does.

Without --data it learns the handwritten digits of MNIST, which are part of the package: 50,000 to train on,
10,000 for validation after every epoch, 10,000 for the test at the end."""

_TRAIN_MORE = """\
data:
  A folder of IDX files under MNIST's names (train-images-idx3-ubyte, train-labels-idx1-ubyte and, for the
  test part, t10k-images-idx3-ubyte, t10k-labels-idx1-ubyte; each plain or .gz), or a file written by
  numpy.savez(path, X=..., y=..., X_test=..., y_test=...), the last two where there is a test part. It is for
  validation, too. Without one, a tenth of the samples, drawn by the seed, is held out for both.
  y holds a label 0, 1, 2 ... for every sample, or a row of values; uint8 samples are divided by 255.

saved networks:
  The .npz file holds sizes, dtype, activation, output, uint8_divisor and the arrays w0, b0, w1, b1 ...:
  wL (n_out, n_in) and bL (n_out, 1) are Network.weights[L] and Network.biases[L].

Ctrl-C ends training with what was learned so far: it is saved, if --save was given, and tested.

exit status: 0 done, 1 training diverged or another failure (nothing is saved), 2 bad arguments or files,
  130 interrupted, 141 nobody reads the output any more (saved, as after Ctrl-C)"""


class _Failure(Exception):
    """Ends the command with one line on stderr."""

    def __init__(self, message: object, status: int = _REFUSED) -> None:
        super().__init__(" ".join(str(message).split()))
        self.status = status


class _Interrupt:
    """Ctrl-C: the first raises KeyboardInterrupt unless `held`; it and later ones are `seen`.

    One that arrives in a finalizer or a callback from C is swallowed there: hence who looks at `seen` later.
    """

    def __init__(self) -> None:
        self.seen = self.held = False

    def __call__(self, signum: int, frame: object) -> None:
        first, self.seen = not self.seen, True
        if first and not self.held:
            raise KeyboardInterrupt

    def check(self) -> None:
        if self.seen:
            raise KeyboardInterrupt

    @contextmanager
    def listening(self, restore: bool) -> Iterator[None]:
        if signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
            yield  # ignored, as in a shell's background job, or the caller's own affair
            return
        unraisable = sys.unraisablehook

        def hook(what: Any) -> None:
            if not issubclass(what.exc_type, KeyboardInterrupt):
                unraisable(what)

        sys.unraisablehook = hook
        signal.signal(signal.SIGINT, self)
        try:
            yield
        finally:
            self.held = True
            signal.signal(signal.SIGINT, signal.default_int_handler if restore else signal.SIG_IGN)
            sys.unraisablehook = unraisable


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command ``fastbp``.

    Parameters
    ----------
    argv : sequence of str, optional
        Arguments after the command's name; those of the process if not given.

    Returns
    -------
    int
        The exit status: 0 for success, 1 for a failure while it ran, 2 for bad arguments or files, 130 after
        Ctrl-C, 141 where nobody reads the output.  Errors are one line on stderr.

    Examples
    --------
    >>> main(["--version"])
    fastbp 0.1.0
    0
    """
    _open_streams()
    interrupt = _Interrupt()
    try:
        with interrupt.listening(restore=argv is not None):  # not in the command, whose status is settled
            status = _run(argv, interrupt)
            sys.stdout.flush()
    except BaseException as error:
        status = _ended_by(error, interrupt)
    return status


def _open_streams() -> None:
    """Gives a closed stream a place to write to; no file name is unprintable."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115
        if isinstance(stream := getattr(sys, name), io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _run(argv: Sequence[str] | None, interrupt: _Interrupt) -> int:
    options = None
    with suppress(SystemExit):  # after --help or --version
        options = _parser().parse_args(argv)
    if options is None:
        return 0
    run: Callable[[argparse.Namespace, _Interrupt], int] = options.run
    return run(options, interrupt)


def _ended_by(error: BaseException, interrupt: _Interrupt) -> int:
    """The exit status after what was raised, and a line about it; raises what no user could cause."""
    interrupted = interrupt.seen or isinstance(error, KeyboardInterrupt)  # imports make others of it
    try:
        sys.stdout.flush()
    except OSError:  # as the interpreter would find at its end, and exit with another status
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    if isinstance(error, BrokenPipeError):
        return _INTERRUPTED if interrupted else _PIPE_CLOSED
    if isinstance(error, _Failure):
        status, line = error.status, f"fastbp: error: {error}"
    elif interrupted:
        status, line = _INTERRUPTED, "fastbp: interrupted"
    elif isinstance(error, (MemoryError, OSError)):
        status, line = _FAILED, f"fastbp: error: {_reason(error)}"
    else:
        raise error
    print(line, file=sys.stderr)
    return status


def _reason(error: BaseException) -> str:
    """What an error says, in words alone."""
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return f"not enough memory: {error}" if isinstance(error, MemoryError) else str(error)


# Arguments


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> Any:
        raise _Failure(f"{message} (see {self.prog} --help)")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="fastbp",
        description="Trains fully connected neural networks by backpropagation on CPUs.",
        epilog="fastbp COMMAND --help describes a command's options.",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"fastbp {__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    _add_train(commands)
    info = commands.add_parser("info", help="show versions, CPU and cache", allow_abbrev=False)
    info.description = "Show versions, what Numba compiles for, and the cache of compiled kernels."
    info.set_defaults(run=_info)
    return parser


def _add_train(commands: Any) -> None:
    train = commands.add_parser(
        "train",
        help="train a network, on MNIST or on your own data",
        description=_TRAIN,
        epilog=_TRAIN_MORE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    train.set_defaults(run=_train)
    default = " (default: %(default)s)"

    def add(option: str, type_: Callable[[str], Any], value: Any, metavar: str, text: str) -> None:
        train.add_argument(option, type=type_, default=value, metavar=metavar, help=text + default)

    def choose(option: str, choices: Sequence[str], text: str) -> None:
        train.add_argument(option, choices=choices, default=choices[0], help=text + default)

    train.add_argument(
        "--data", metavar="PATH", help="a folder of IDX files or an .npz file (default: the shipped MNIST)"
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
    choose("--output", _ACTIVATIONS, "activation of the last layer")
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


# fastbp train


def _train(options: argparse.Namespace, interrupt: _Interrupt) -> int:
    target = None if options.save is None else _writable(options.save)
    net, splits = _prepared(options)
    _compile(options.dtype, interrupt)
    ending = _fit(net, splits, options, interrupt)
    if target is not None:
        _save(net, target, options)  # before a word is said: who reads them may have been interrupted, too
    if ending:
        print(("\r\x1b[K" if sys.stdout.isatty() else "") + ending)
    if target is not None:
        print(f"saved {options.save}")
    print(_verdict(net, splits.test), flush=True)
    return _INTERRUPTED if interrupt.seen else 0


def _prepared(options: argparse.Namespace) -> tuple["Network", "Splits"]:
    """The network and the data, checked against each other, and a line on stdout about either."""
    name = options.data or "MNIST"
    training, validation, test = _load(options.data)
    net = _network(options, training)
    for kind, part in (("training", training), ("validation", validation), ("test", test)):
        if part is not None:
            _check(part, net, f"{name}, {kind} part")
    note = ""
    if test is None:
        training, test = _held_out(training, options.seed, name)
        note = " (no test part: a tenth, drawn by the seed, is held out)"
    told = f"{name}: {len(training.y):,} samples to train on, "
    told += f"{len((validation or test).y):,} for validation after every epoch"
    told += " and for the test" if validation is None else f", {len(test.y):,} for the test"
    print(told + note)
    print(
        f"network {','.join(map(str, net.sizes))}, {options.activation}, output {options.output}, "
        f"{options.dtype}; batch size {options.batch_size}, learning rate {options.learning_rate:g}, "
        f"seed {options.seed}, threads {options.threads}",
        flush=True,
    )
    from .datasets import Splits

    return net, Splits(training, validation or test, test)


def _load(path: str | None) -> tuple["Part", "Part | None", "Part | None"]:
    """Training, validation and test part, each sample a row of numbers."""
    if path is not None and not os.path.isdir(path) and not path.endswith(".npz"):
        what = "neither a folder of IDX files nor an .npz file" if os.path.exists(path) else "no such file"
        raise _Failure(f"--data {path}: {what}")
    from .datasets import load_idx, load_mnist, load_npz

    try:
        if path is None:
            return load_mnist()
        training, test = load_idx(path) if os.path.isdir(path) else load_npz(path)
    except (OSError, ValueError) as error:
        raise _Failure(_reason(error)) from error
    return _rows(training, f"{path}, training part"), None, test and _rows(test, f"{path}, test part")


def _rows(part: "Part", name: str) -> "Part":
    if not len(part.y):
        raise _Failure(f"{name}: no samples")
    return part._replace(X=part.X.reshape(len(part.X), math.prod(part.X.shape[1:])))


def _network(options: argparse.Namespace, training: "Part") -> "Network":
    from .network import Network

    sizes = options.sizes or [training.X.shape[1], *options.hidden, _outputs(training.y)]
    try:
        return Network(
            sizes,
            dtype=options.dtype,
            seed=options.seed,
            activation=options.activation,
            output_activation=options.output,
            uint8_divisor=_UINT8_DIVISOR,
        )
    except (MemoryError, OverflowError, ValueError) as error:  # too large, or no inputs
        raise _Failure(f"network {','.join(map(str, sizes))}: {_reason(error)}") from error


def _outputs(y: "NDArray[Any]") -> int:
    """Outputs that targets need: one a class for labels, else one a value."""
    if y.ndim > 1:
        return int(y.shape[1])
    return max(2, int(y.max()) + 1) if y.dtype.kind in "biu" else 1


def _check(part: "Part", net: "Network", name: str) -> None:
    """Refuses what `Network.fit` would, by the data's own name."""
    from .validate import samples, targets

    try:
        samples(part.X, net.sizes[0], net.dtype, f"{name}: X")
        targets(part.y, len(part.y), net.sizes[-1], net.dtype, f"{name}: y")
    except (TypeError, ValueError) as error:
        raise _Failure(error) from error


def _held_out(part: "Part", seed: int, name: str) -> tuple["Part", "Part"]:
    """Training and test part.  The samples are drawn, for they may be sorted by label."""
    import numpy as np

    count = len(part.y) // _HELD_OUT
    if not count:
        raise _Failure(
            f"{name}: {len(part.y)} samples and no test part, expected X_test and y_test or at least "
            f"{_HELD_OUT} samples, a tenth of which is held out"
        )
    test, training = np.split(np.random.RandomState(seed).permutation(len(part.y)), [count])
    return (
        part._replace(X=part.X[training], y=part.y[training]),
        part._replace(X=part.X[test], y=part.y[test]),
    )


def _compile(dtype: str, interrupt: _Interrupt) -> None:
    """Compiles what training and testing need, or finds it on disk: no epoch's time is to hold that."""
    import warnings

    import numpy as np

    from .network import Network

    one = np.zeros((1, 1))
    with warnings.catch_warnings(record=True) as caught:
        Network([1, 1], dtype=dtype, seed=0).fit(
            one, one, epochs=1, batch_size=1, learning_rate=1.0, validation_data=(one, one)
        )
    interrupt.check()  # LLVM's callbacks swallow it, and then there is something to warn of
    for warning in caught:
        print(warning.message, file=sys.stderr)


def _fit(net: "Network", splits: "Splits", options: argparse.Namespace, interrupt: _Interrupt) -> str:
    """Trains; returns how it ended, if early.  Where nothing has been learned then, raises that end."""
    import numpy as np

    from .training import DivergenceError

    first = [*net.weights, *net.biases]
    done = 0

    def after_epoch(net: "Network", history: "History") -> bool:
        nonlocal done
        done = len(history.loss)
        return interrupt.seen

    try:
        net.fit(
            *splits.training,
            epochs=options.epochs,
            batch_size=options.batch_size,
            learning_rate=options.learning_rate,
            validation_data=splits.validation,
            threads=options.threads,
            callbacks=[after_epoch],
            verbose=True,
        )
        interrupt.check()
        interrupt.held = True
    except (KeyboardInterrupt, BrokenPipeError):
        interrupt.held = True
        if all(map(np.array_equal, first, [*net.weights, *net.biases])):
            raise
        return f"interrupted in epoch {min(done + 1, options.epochs)} of {options.epochs}"
    except DivergenceError as error:
        nothing = "; nothing is saved" if options.save else ""
        what = str(error).partition(";")[0]
        raise _Failure(f"{what}{nothing}. Try a smaller --learning-rate", _FAILED) from error
    return ""


def _verdict(net: "Network", test: "Part") -> str:
    import numpy as np

    if net.task in ("value", "values"):
        return f"test R^2 {net.score(*test):.4f}"
    predicted = net.predict(test.X)
    right = int(np.count_nonzero(predicted == test.y))
    return f"test accuracy {100 * right / len(test.y):.2f} % ({right} / {len(test.y)})"


# Saving


@contextmanager
def _beside(target: str) -> Iterator[str]:
    """A name for a temporary file in the same folder, which is gone afterwards."""
    name = os.path.join(os.path.dirname(target), f".fastbp-{os.getpid()}-{os.urandom(4).hex()}.tmp")
    try:
        yield name
    finally:
        with suppress(OSError):
            os.unlink(name)


def _writable(path: str) -> str:
    """The file that `path` leads to, which can be written as far as can be known now."""
    if not path.endswith(".npz"):
        raise _Failure(f"--save {path}: expected a name that ends in .npz")
    target = os.path.realpath(path)
    try:
        if os.path.exists(target):
            open(target, "r+b").close()
        with _beside(target) as temporary:
            open(temporary, "xb").close()
    except OSError as error:
        raise _Failure(f"--save {path}: cannot be written: {error.strerror}") from error
    return target


def _save(net: "Network", target: str, options: argparse.Namespace) -> None:
    """Writes another file and puts it in place of `target`, which is never half-written."""
    import numpy as np

    arrays: dict[str, Any] = {
        "sizes": np.array(net.sizes),
        "dtype": np.array(options.dtype),
        "activation": np.array(options.activation),
        "output": np.array(options.output),
        "uint8_divisor": np.array(_UINT8_DIVISOR),
    }
    for layer, (w, b) in enumerate(zip(net.weights, net.biases, strict=True)):
        arrays |= {f"w{layer}": w, f"b{layer}": b}
    try:
        with _beside(target) as temporary:
            with open(temporary, "xb") as file:
                np.savez(file, **arrays)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, target)
    except OSError as error:
        raise _Failure(f"--save {options.save}: {error.strerror or error}; not saved", _FAILED) from error


# fastbp info


def _info(options: argparse.Namespace, interrupt: _Interrupt) -> int:
    import llvmlite
    import numba
    import numpy as np
    from numba.core.registry import cpu_target

    from .kernels import jit, team, vector

    triple, cpu, _ = cpu_target.target_context.codegen().magic_tuple()
    try:
        folder, state = str(jit.cache_folder()), _state(str(jit.cache_folder()))
    except RuntimeError as error:  # nobody's home folder
        folder, state = "none", f"{error}; set NUMBA_CACHE_DIR"
    rows = {
        "fastbp": __version__,
        "Python": platform.python_version(),
        "NumPy": np.__version__,
        "Numba": numba.__version__,
        "llvmlite": llvmlite.__version__,
        "CPU": _cpu_name(),
        "compiled for": f"{cpu}, {triple}",
        "vector width": f"{8 * vector.width()[0]} bits",
        "fused multiply-add": "yes" if vector.has_fma() else "no: same results, many times slower",
        "CPUs usable": team.cpus(),
        "cache folder": folder,
        "cache": state,
    }
    for name, value in rows.items():
        print(f"{name:<20}{value}")
    return 0


def _cpu_name() -> str:
    with suppress(OSError), open("/proc/cpuinfo", encoding="utf-8", errors="replace") as file:
        for line in file:
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine() or "unknown"


def _state(folder: str) -> str:
    """What lies in the cache folder and whether more can."""
    import tempfile

    sizes = []
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            with suppress(OSError):  # another process may have removed it
                sizes.append(entry.stat().st_size)
    nearest = os.path.abspath(folder)
    while not os.path.exists(nearest):
        nearest = os.path.dirname(nearest)
    try:
        tempfile.TemporaryFile(dir=nearest).close()
        writable = "writable"
    except OSError as error:
        writable = f"not writable ({error.strerror}): every process compiles; set NUMBA_CACHE_DIR"
    return f"{len(sizes)} files, {sum(sizes):,} bytes, {writable}"
