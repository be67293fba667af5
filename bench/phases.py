"""``python -m bench.phases``: where the time of a mini-batch goes.

Each phase of a step runs alone, again and again, on the memory of a real step (gather: on shuffled rows of
all digits); its share is of the time of whole steps in `fit`.
"""

import argparse
import time
from typing import Any

import numpy as np
from numba import njit

from fastbp.engine import Architecture, Data, Engine, _rows
from fastbp.kernels.dense import backward, forward, layer_of, output, update
from fastbp.kernels.math import activate
from fastbp.kernels.step import Net, _ahead, _gather_block, _memory
from fastbp.kernels.team import Member, barrier
from fastbp.kernels.tiles import ceil_div
from fastbp.kernels.vector import constants, pointer, shape_of, shift

from .suite.networks import DIGITS, Case, digits, start

PHASES = ("gather", "forward", "activation", "output", "backward", "update", "barrier")


@njit(nogil=True)
def repeat(phase, times, number, m, net, X, Y, order):
    """Runs one phase of layer `number` so many times."""
    member = Member(0, 1)
    memory = _memory(net, member)
    x, y = shift(memory.scratch, net.plan[0, 0]), shift(memory.scratch, net.plan[0, 2])
    flags = pointer(np.zeros(16, np.int64), 0)
    nr, lanes, _ = constants(memory.scratch)
    layer = layer_of(net.plan, number)
    below = layer_of(net.plan, max(1, number - 1))
    signal = x if number == 1 else shift(memory.scratch, below.a)
    losses = np.zeros(m)
    nothing = _ahead(X, Y, order, 0, 0, member)
    for turn in range(times):
        if phase == 0:
            begin = turn * m % (order.size - 2 * m)
            _gather_block(X, Y, order, (begin, begin + m), x, y, memory, member)
        elif phase == 1:
            forward(layer, memory, signal, m, member)
        elif phase == 2:
            for panel in range(ceil_div(layer.outputs, nr)):
                vectors = ceil_div(min(nr, layer.outputs - panel * nr), lanes)
                activate(
                    layer.activation, m, vectors, shift(memory.scratch, layer.a + panel * memory.rows * nr)
                )
        elif phase == 3:
            output(layer, memory, y, m, losses, member)
        elif phase == 4:
            backward(layer, below, memory, m, member)
        elif phase == 5:
            update(layer, memory, signal, m, 0.0, nothing, member)
        else:
            barrier(flags, 0, 1)


def measure(case: Case, dtype: str, inputs: str) -> None:
    X, labels = digits()
    X = X if inputs == "uint8" else (X / 255).astype(inputs)
    layers = len(case.sizes) - 1
    architecture = Architecture(case.sizes, ("sigmoid",) * layers, np.dtype(dtype))
    engine = Engine(architecture, *start(case, dtype), case.batch_size)
    m = case.batch_size
    order = np.random.RandomState(0).permutation(len(X))
    losses = engine.new_losses()
    whole = []
    for _ in range(4):
        begin = time.perf_counter()
        engine.train(Data(X, labels, 255.0), order, (0, len(X)), case.learning_rate, losses)
        whole.append((time.perf_counter() - begin) / -(-len(X) // m))
    step = min(whole)
    net = Net(engine.parameters, engine._scratch, engine._layout.plan)
    arguments: tuple[Any, ...] = (m, net, _rows(X, case.sizes[0], 255.0), _rows(labels, 10, 1.0), order)
    print(f"\n{case.name}, {dtype}, X {inputs}: {1e6 * step:.2f} us per step")
    shape = shape_of(dtype)
    total = 0.0
    for phase, name in enumerate(PHASES):
        for number in range(1, layers + 1):
            if (name in ("gather", "barrier") and number > 1) or (name == "output" and number < layers):
                continue
            if name == "backward" and number == 1:
                continue
            repeat(phase, 2, number, *arguments)
            times = max(2, int(0.004 / step))
            found = []
            for _ in range(15):
                begin = time.perf_counter()
                repeat(phase, times, number, *arguments)
                found.append((time.perf_counter() - begin) / times)
            cost = min(found)
            total += cost if name not in ("activation",) else 0.0
            n_in, n_out = case.sizes[number - 1], case.sizes[number]
            rate = (
                f"{2 * m * n_in * n_out / cost / 1e9:6.1f} GFLOP/s"
                if name in ("forward", "backward", "update")
                else ""
            )
            print(f"  {name:10} layer {number}: {1e6 * cost:9.3f} us  {cost / step:6.1%}  {rate}")
    print(f"  sum {1e6 * total:.2f} us (activation is inside forward); panels of {shape.columns}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, nargs="*", default=range(len(DIGITS)))
    parser.add_argument("--dtypes", nargs="*", default=["float32"])
    parser.add_argument("--inputs", nargs="*", default=["uint8"])
    options = parser.parse_args()
    for number in options.cases:
        for dtype in options.dtypes:
            for inputs in options.inputs:
                measure(DIGITS[number], dtype, inputs)


if __name__ == "__main__":
    main()
