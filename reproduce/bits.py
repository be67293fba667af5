"""Five trainings on every instruction set, team, interpreter and way of stopping: one fingerprint each.

    python -m reproduce.bits                              # this environment
    python -m reproduce.bits --python OTHER ... --write   # others too; renews docs/bits.md

``--python`` names an interpreter of another environment, of other versions or another architecture (an
emulator's as well), which needs NumPy and Numba alone.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from bench import pages

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "bits.md"
TEAMS = (1, 2, 4)
CPUS = (None, "haswell", "x86-64")  # x86: the machine's own, with AVX2, and without fused multiply-add
_SAMPLES = 400  # each epoch


def _digits() -> tuple[Any, Any]:
    from fastbp.datasets import load_mnist

    training = load_mnist().training
    return training.X[:_SAMPLES], training.y[:_SAMPLES]


def _the_book() -> tuple[Any, ...]:
    from fastbp import Network

    return (
        Network([784, 30, 10], input_divisor=255, seed=0),
        *_digits(),
        {"batch_size": 10, "learning_rate": 3.0},
    )


def _classifier() -> tuple[Any, ...]:
    from fastbp import Network

    net = Network(
        [784, 40, 24, 10],
        activation=["relu", "tanh"],
        output_activation="softmax",
        cost="cross_entropy",
        dropout=0.2,
        input_divisor=255,
        dtype="float32",
        seed=1,
    )
    recipe = {"optimizer": "adam", "learning_rate": 0.002, "schedule": "cosine", "batch_size": 13}
    return net, *_digits(), recipe


def _values() -> tuple[Any, ...]:
    """The rows' and columns' sums of half the digits, from their other halves."""
    from fastbp import Network

    X, _ = _digits()
    half = X.reshape(-1, 28, 28)[:, :, 14:].astype("int64")
    net = Network(
        [392, 32, 2],
        activation="gelu",
        output_activation="linear",
        cost="huber",
        uint8_divisor=255,  # which divides nothing here, but is in the fingerprint
        scale_inputs=True,
        scale_outputs=True,
        seed=2,
    )
    left = X.reshape(-1, 28, 28)[:, :, :14].reshape(-1, 392).astype("float64")
    y = half.sum(axis=(1, 2))[:, None] * [1.0, 0.0] + half[:, 10:18].sum(axis=(1, 2))[:, None] * [0.0, 1.0]
    recipe = {"optimizer": "momentum", "learning_rate": 0.01, "clip_norm": 0.5, "batch_size": 16}
    return net, left, y, recipe


def _several_labels() -> tuple[Any, ...]:
    """A training for two labels: whether a digit is even, and whether it is above four."""
    from fastbp import Network

    X, y = _digits()
    kinds = {"activation": "silu", "cost": "cross_entropy", "dtype": "float32"}
    net = Network([784, 20, 2], **kinds, input_divisor=255, seed=3)
    bits = (y[:, None] % 2 == [0, 1]) & [True, False] | (y[:, None] > [9, 4])
    return net, X, bits, {"optimizer": "adamw", "learning_rate": 0.003, "l1": 1e-5, "batch_size": 7}


def _counts() -> tuple[Any, ...]:
    """A training for counts: the dark pixels of a digit."""
    from fastbp import Network

    X, _ = _digits()
    kinds = {"activation": "softplus", "output_activation": "exponential", "cost": "poisson"}
    net = Network([784, 16, 8, 1], **kinds, input_divisor=255, seed=4)
    counts = (X > 127).sum(axis=1) / 128
    recipe = {
        "optimizer": "rmsprop",
        "learning_rate": 0.001,
        "l2": 1e-4,
        "schedule": "step",
        "batch_size": 12,
    }
    return net, X, counts, recipe


TRAININGS: dict[str, tuple[str, Callable[[], tuple[Any, ...]]]] = {
    "book": ("784-30-10, sigmoid, quadratic, SGD, float64", _the_book),
    "classifier": ("784-40-24-10, relu and tanh, softmax, dropout, Adam, cosine, float32", _classifier),
    "values": ("392-32-2, gelu, Huber, scaling, momentum, clipping, float64", _values),
    "several labels": ("784-20-2, silu, cross-entropy, AdamW, L1, float32", _several_labels),
    "counts": ("784-16-8-1, softplus, exponential, Poisson, RMSprop, L2, float64", _counts),
}


def fingerprint(name: str, threads: int, stopped: bool) -> str:
    """The fingerprint of a training of three epochs, which may be stopped amid its second and resumed."""
    from fastbp import Callback, ModelCheckpoint

    class Stop(Callback):
        every = 1

        def __init__(self, steps: int) -> None:
            self.steps = steps

        def on_step(self, run: Any) -> None:
            self.steps -= 1
            if self.steps == 0:
                raise KeyboardInterrupt

    def train(callbacks: Sequence[Callback]) -> str:
        net, X, y, recipe = TRAININGS[name][1]()
        net.fit(X, y, epochs=3, threads=threads, callbacks=callbacks, **recipe)
        found: str = net.fingerprint()
        return found

    if not stopped:
        return train([])
    batch_size = TRAININGS[name][1]()[-1]["batch_size"]
    with tempfile.TemporaryDirectory() as folder:
        checkpoint = ModelCheckpoint(os.path.join(folder, "run.fastbp"), resume=True)
        try:
            train([Stop(_SAMPLES * 3 // 2 // batch_size), checkpoint])
        except KeyboardInterrupt:
            return train([checkpoint])
    raise AssertionError(f"{name}: was not stopped")


def here() -> dict[str, dict[str, str]]:
    """The fingerprints of this process, by training and way."""
    return {
        name: {
            f"{threads} threads, {'stopped and resumed' if stopped else 'whole'}": fingerprint(
                name, threads, stopped
            )
            for threads in TEAMS
            for stopped in (False, True)
        }
        for name in TRAININGS
    }


def conditions() -> str:
    """The CPU and the versions that this process computes with."""
    import numba
    import numpy as np

    from fastbp.engine.kernels import vector

    versions = f"Python {platform.python_version()}, NumPy {np.__version__}, Numba {numba.__version__}"
    fma = "FMA" if vector.has_fma() else "no FMA"
    return f"{platform.machine()} with {8 * vector.width()[0]}-bit vectors and {fma}; {versions}"


def _of(python: str, cpu: str | None) -> Any:
    """The fingerprints of another process, which compiles for that CPU."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    if cpu is not None:
        environment |= {"NUMBA_CPU_NAME": cpu, "NUMBA_CPU_FEATURES": ""}
    command = [python, "-m", "reproduce.bits", "--here"]
    done = subprocess.run(command, env=environment, cwd=ROOT, stdout=subprocess.PIPE, check=True)
    return json.loads(done.stdout)


def _report(found: dict[str, dict[str, dict[str, str]]]) -> str:
    """The tables of the page: a fingerprint per training, and the runs that gave it."""
    lines = ["| training | fingerprint | runs that gave it |", "| --- | --- | --- |"]
    for name, (about, _) in TRAININGS.items():
        values = [value for ways in found.values() for value in ways[name].values()]
        for value in dict.fromkeys(values):
            lines.append(f"| {name}: {about} | `{value}` | {values.count(value)} of {len(values)} |")
    lines += [
        "",
        "Each of these ran every training with 1, 2 and 4 threads, whole, and stopped and resumed:",
        "",
    ]
    return "\n".join([*lines, *(f"- {where}" for where in found)])


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--python", action="append", default=[], metavar="PATH", help="another interpreter")
    parser.add_argument("--write", action="store_true", help=f"renew {PAGE.relative_to(ROOT)}")
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.here:
        print(json.dumps([conditions(), here()]))
        return
    found = {}
    for python in [sys.executable, *options.python]:
        for cpu in CPUS:
            where, fingerprints = _of(python, cpu)
            found[where] = fingerprints
            if not where.startswith(("x86_64", "AMD64")):
                break
    report = _report(found)
    print(report)
    if options.write:
        pages.replace(PAGE, "bits", report)


if __name__ == "__main__":
    main()
