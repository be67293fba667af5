"""``python -m bench.phases``: where the time of a mini-batch goes.

Each phase of a step runs alone, again and again, on the memory of a real step (gather: on shuffled rows of
all digits); its share is of the time of whole steps in `fit`.  The sum of its phases is the least that a step
can take; with ``--odd``, a step of small and uncommon networks.
"""

import argparse
import time
from typing import Any

import numpy as np
from numba import njit

from fastbp.engine.architecture import Architecture
from fastbp.engine.kernels.apply import apply
from fastbp.engine.kernels.barrier import barrier
from fastbp.engine.kernels.dense import TileUpdate, backward, forward, numbers, square, update
from fastbp.engine.kernels.operands import begin_tiles, end_tiles
from fastbp.engine.kernels.output import output
from fastbp.engine.kernels.panels import Formula, Mask, activate, drop
from fastbp.engine.kernels.shares import ceil_div
from fastbp.engine.kernels.step import _ahead, _gather_block, _workspace
from fastbp.engine.kernels.team import WHOLE, Member
from fastbp.engine.kernels.vector import constants, pointer, shape_of, shift
from fastbp.engine.packed import Data, Engine, UpdateSpec
from fastbp.options import activations, optimizers

from .suite.networks import DIGITS, ODD, Case, digits, start, targets

PHASES = ("gather", "forward", "activation", "dropout", "output", "backward", "update", "step", "barrier")


@njit(nogil=True)
def repeat(phase, times, number, m, net, samples):
    """Runs one phase of layer `number` so many times."""
    member = Member(0, 1, 0, WHOLE)
    work = _workspace(net, member)
    plan, layer, below = net.plan[0], net.layers[number], net.layers[number - 1]
    x, y = shift(work.scratch, plan.x), shift(work.scratch, plan.y)
    flags = pointer(np.zeros(16, np.int64), 0)
    nr, lanes = constants(work.scratch)
    signal = shift(work.scratch, below.a) if number > 1 else x
    losses = np.zeros(m)
    nothing = _ahead(work.rounded, samples, plan, 0, 0, member)
    last = net.layers.shape[0] - 1
    positions = pointer(samples.order, 0)
    begin_tiles(work.rounded)
    for turn in range(times):
        if phase == 0:
            begin = turn * m % (samples.order.size - 2 * m)
            _gather_block(samples, plan, begin, begin + m, x, y, work, member)
        elif phase == 1:
            forward(layer, work, signal, m, number < last, Mask(0, -1), 0, member)
        elif phase == 2:
            for panel in range(ceil_div(layer.outputs, nr)):
                vectors = ceil_div(min(nr, layer.outputs - panel * nr), lanes)
                offset = panel * work.rows * nr
                a, d = shift(work.scratch, layer.a + offset), shift(work.scratch, layer.delta + offset)
                activate(Formula(layer.activation, layer.parameter, layer.address), m, vectors, a, d)
        elif phase == 3:
            for panel in range(ceil_div(layer.outputs, nr)):
                vectors = ceil_div(min(nr, layer.outputs - panel * nr), lanes)
                offset = panel * work.rows * nr
                a, d = shift(work.scratch, layer.a + offset), shift(work.scratch, layer.delta + offset)
                drop(m, vectors, a, d, Mask(0, turn), 0, layer.outputs, 0.0)
        elif phase == 4:
            output(net, work, y, m, losses, samples.weights, positions, member)
        elif phase == 5:
            backward(layer, below, work, m, member)
        elif phase == 6:
            update(layer, work, signal, m, TileUpdate(True, False, 0, 0.0, 1.0), nothing, member)
        elif phase == 7:  # every unit's, on gradients that do not change
            h = numbers(work)
            for panel in range(ceil_div(layer.outputs, nr)):
                vectors = ceil_div(min(nr, layer.outputs - panel * nr), lanes)
                for k in range(ceil_div(layer.inputs, nr)):
                    offset = layer.weights + panel * layer.panel + k * nr * nr
                    w, state = shift(work.parameters, offset), shift(work.state, offset)
                    rows = min(nr, layer.inputs - k * nr)
                    apply(plan.optimizer, rows, vectors, w, square(work), state, work.stride, h, nr * nr)
        else:
            barrier(flags, 0, 1)
    end_tiles(work.rounded)


def measure(case: Case, dtype: str, inputs: str, optimizer: str = "sgd", activation: str = "sigmoid") -> None:
    X, labels = digits() if case in DIGITS else targets(case, max(10_000, 3 * case.batch_size))
    X = X if X.dtype == inputs else (X / (255 if X.dtype == np.uint8 else 1)).astype(inputs)
    layers = len(case.sizes) - 1
    kinds = (*(activations.ACTIVATIONS[activation],) * (layers - 1), "sigmoid")
    compute_dtype, dtype = (dtype, "float32") if dtype == "bfloat16" else (None, dtype)
    drops = (0.0,) * (layers - 1)
    architecture = Architecture(
        case.sizes, kinds, np.dtype(dtype), dropout=drops, compute_dtype=compute_dtype
    )
    chosen = optimizers.OPTIMIZERS[optimizer]
    update_spec = UpdateSpec() if optimizer == "sgd" else UpdateSpec(chosen.row)
    engine = Engine(architecture, *start(case, dtype), case.batch_size, update_spec=update_spec)
    m = engine.block  # of a batch, which may have several
    order = np.random.RandomState(0).permutation(len(X))
    losses, data = engine.new_losses(), Data(X, labels, 255.0)
    numbers = chosen.numbers(np.full(-(-len(X) // case.batch_size), 0.001), 0)
    whole = []
    for _ in range(4):
        begin = time.perf_counter()
        engine.train(data, order, (0, len(X)), numbers, 0, losses)
        whole.append((time.perf_counter() - begin) / -(-len(X) // m))
    step = min(whole)
    net = engine._net()
    arguments: tuple[Any, ...] = (m, net, engine._samples(data, order))
    recipe = f"{compute_dtype or dtype}, X {inputs}, {activation}, {optimizer}"
    print(f"\n{case.name}, {recipe}: {1e6 * step:.2f} us per block")
    shape = shape_of(dtype)
    total = 0.0
    for phase, name in enumerate(PHASES):
        for number in range(1, layers + 1):
            if (name in ("gather", "barrier") and number > 1) or (name == "output" and number < layers):
                continue
            if (name == "backward" and number == 1) or (
                name in ("activation", "dropout") and number == layers
            ):
                continue
            if name == "step" and optimizer == "sgd":
                continue
            repeat(phase, 2, number, *arguments)
            times = max(2, int(0.004 / step))
            found = []
            for _ in range(15):
                begin = time.perf_counter()
                repeat(phase, times, number, *arguments)
                found.append((time.perf_counter() - begin) / times)
            cost = min(found)
            total += cost if name not in ("activation", "dropout") else 0.0
            n_in, n_out = case.sizes[number - 1], case.sizes[number]
            rate = (
                f"{2 * m * n_in * n_out / cost / 1e9:6.1f} GFLOP/s"
                if name in ("forward", "backward", "update")
                else ""
            )
            print(f"  {name:10} layer {number}: {1e6 * cost:9.3f} us  {cost / step:6.1%}  {rate}")
    print(f"  sum {1e6 * total:.2f} us, activation inside forward, no dropout; panels of {shape.columns}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, nargs="*", default=range(len(DIGITS)))
    parser.add_argument("--odd", action="store_true", help="small and uncommon networks instead")
    parser.add_argument("--dtypes", nargs="*", default=["float32"])
    parser.add_argument("--inputs", nargs="*", default=["uint8"])
    parser.add_argument("--optimizer", choices=optimizers.OPTIMIZERS, default="sgd")
    parser.add_argument("--activation", choices=activations.ACTIVATIONS, default="sigmoid")
    options = parser.parse_args()
    for case in ODD if options.odd else [DIGITS[number] for number in options.cases]:
        for dtype in options.dtypes:
            for inputs in ["float32"] if options.odd else options.inputs:
                measure(case, dtype, inputs, options.optimizer, options.activation)


if __name__ == "__main__":
    main()
