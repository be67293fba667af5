"""The last layer's end for networks in lanes, as vector IR: see `output`, whose order of sums this has.

Matrices have a row a sample and a column an output; costs are float64 vectors, one a sample.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from ...options import costs as cost_rows
from .elementary import Elementary
from .lanes import entry, narrowed, widened
from .output import OF_SOFTMAX, PAIRED, coupled, deltas, rows_of_outputs
from .panels import converted, row_of
from .vector import (
    F64,
    I64,
    Vector,
    at,
    call,
    constant,
    element_of,
    flushed,
    load,
    loop,
    routine,
    shape,
    store,
    switch,
)

_i = types.int64


class _Sums:
    """The eight partial sums of a loop over outputs, of those that are equal modulo 8, of every lane.

    The seven others of a single output are left out: they are 0, and a sum is never -0.
    """

    def __init__(self, v: Elementary, outputs: ir.Value) -> None:
        self.v = v
        self.slots = cgutils.alloca_once(v.b, v.vector, 8)
        self.several = v.b.icmp_signed(">", outputs, I64(1))

    def clear(self) -> None:
        b, zero = self.v.b, constant(self.v.vector, 0.0)
        store(b, zero, self.slots)
        with b.if_then(self.several):
            for i in range(1, 8):
                store(b, zero, at(b, self.slots, i))

    def add(self, j: ir.Value, value: Vector) -> None:
        b = self.v.b
        place = at(b, self.slots, b.and_(j, I64(7)))
        store(b, (self.v.of(load(b, place, self.v.vector)) + value).value, place)

    def total(self) -> Vector:
        """The sum in the order of `vector.sum_of_eight`."""
        b, v = self.v.b, self.v
        with b.if_then(self.several):
            parts = [v.of(load(b, at(b, self.slots, i), v.vector)) for i in range(8)]
            for half in (4, 2, 1):
                parts = [parts[i] + parts[i + half] for i in range(half)]
            store(b, parts[0].value, self.slots)
        return v.of(load(b, self.slots, v.vector))


@intrinsic
def softmax(typingctx: Any, rows: Any, outputs: Any, z: Any, a: Any, d: Any, y: Any, sums: Any) -> Any:
    """a = exp(z) / sum of exp(z) over each sample's outputs, and d = 1.

    Where wanted, also the costs that have a form from logits.
    """
    element = element_of(z.types[0])
    s = shape(element)

    def emit(b: ir.IRBuilder, *args: ir.Value) -> None:
        rows, outputs, z, a, d, y = *args[:2], args[2:5], args[5:8], args[8:11], args[11:14]
        code, parameter, costs, wanted = args[14:]
        v, w = Elementary(b, s.vector), Elementary(b, ir.VectorType(F64, s.lanes))
        total, cost = _Sums(v, outputs), _Sums(w, outputs)
        most = cgutils.alloca_once(b, s.vector)

        def read(matrix: Any, i: ir.Value, j: ir.Value) -> Vector:
            return v.of(load(b, entry(b, matrix, i, j), s.vector))

        with loop(b, rows) as i:
            b.store(constant(s.vector, float("-inf")), most)
            total.clear()
            with loop(b, outputs) as j:
                b.store(v.maximum(v.of(b.load(most)), read(z, i, j)).value, most)
            largest = v.of(b.load(most))
            with loop(b, outputs) as j:
                e = v.exp(read(z, i, j) - largest)
                store(b, e.value, entry(b, d, i, j))
                total.add(j, e)
            whole = total.total()
            with b.if_then(b.icmp_signed("!=", wanted, I64(0))):
                top, log_of_sum = w.of(widened(b, largest.value)), w.log(w.of(widened(b, whole.value)))
                cost.clear()

                def summed(
                    form: cost_rows.Logits,
                    i: ir.Value = i,
                    top: Vector = top,
                    log_of_sum: Vector = log_of_sum,
                ) -> None:
                    with loop(b, outputs) as j:
                        logit, wish = (w.of(widened(b, read(x, i, j).value)) for x in (z, y))
                        logit = logit - top - log_of_sum
                        cost.add(j, row_of(form.cost, 3, parameter)(w, logit, wish))
                    store(b, cost.total().value, at(b, costs, b.mul(i, I64(s.lanes))))

                switch(b, code, {number: partial(summed, form) for number, form in OF_SOFTMAX.items()})
            with loop(b, outputs) as j:
                store(b, v.flushed(read(d, i, j) / whole).value, entry(b, a, i, j))
                store(b, constant(s.vector, 1.0), entry(b, d, i, j))

    arguments = [I64, I64, *[element.as_pointer(), I64, I64] * 4, I64, F64, F64.as_pointer(), I64]
    return call(
        lambda module: routine(module, f"lane_softmax_{element}", arguments, emit),
        (_i, _i, z, a, d, y, sums),
    )


@intrinsic
def softmax_delta(typingctx: Any, rows: Any, outputs: Any, d: Any, a: Any, is_product: Any) -> Any:
    """From d = dC/da, or from a dC/da where it `is_product`, to dC/dz; see `output.softmax_delta`."""
    element = element_of(a.types[0])
    s = shape(element)

    def emit(b: ir.IRBuilder, rows: ir.Value, outputs: ir.Value, *args: ir.Value) -> None:
        v = Elementary(b, s.vector)
        total = _Sums(v, outputs)
        is_product = b.icmp_signed("!=", args[6], I64(0))
        with loop(b, rows) as i:
            total.clear()
            for finished in (False, True):
                whole = total.total() if finished else v.of(0.0)
                with loop(b, outputs) as j:
                    places = [entry(b, matrix, i, j) for matrix in (args[:3], args[3:6])]
                    gradient, output = (v.of(load(b, place, s.vector)) for place in places)
                    if finished:
                        delta = coupled(v, gradient, output, whole, is_product)
                        store(b, v.flushed(delta).value, places[0])
                    else:
                        total.add(j, v.where(is_product, gradient, gradient * output))

    arguments = [I64, I64, *[element.as_pointer(), I64, I64] * 2, I64]
    return call(
        lambda module: routine(module, f"lane_softmax_delta_{element}", arguments, emit),
        (_i, _i, d, a, _i),
    )


@intrinsic
def costs(typingctx: Any, formula: Any, rows: Any, outputs: Any, out: Any, a: Any, y: Any) -> Any:
    """out = the cost of each sample, in float64, from its outputs a (or from z: see options.costs)."""
    element = element_of(a.types[0])
    s = shape(element)

    def emit(b: ir.IRBuilder, *args: ir.Value) -> None:
        code, parameter, _, rows, outputs, out = args[:6]
        v = Elementary(b, ir.VectorType(F64, s.lanes))
        total = _Sums(v, outputs)

        def summed(row: Callable[..., Any]) -> None:
            with loop(b, rows) as i:
                total.clear()
                with loop(b, outputs) as j:
                    places = [entry(b, matrix, i, j) for matrix in (args[6:9], args[9:])]
                    numbers = (v.of(widened(b, load(b, place, s.vector))) for place in places)
                    cost = row_of(row, 3, parameter)(v, *numbers)
                    total.add(j, cost[0] if isinstance(cost, tuple) else cost)
                store(b, total.total().value, at(b, out, b.mul(i, I64(s.lanes))))

        rows_by_code = {code: row for code, row in rows_of_outputs().items() if code not in PAIRED}
        switch(b, code, {number: partial(summed, row) for number, row in rows_by_code.items()})

    arguments = [I64, F64, I64, I64, I64, F64.as_pointer(), *[element.as_pointer(), I64, I64] * 2]
    return call(
        lambda module: routine(module, f"lane_costs_{element}", arguments, emit), (formula, _i, _i, out, a, y)
    )


@intrinsic
def cost_delta(typingctx: Any, formula: Any, rows: Any, outputs: Any, d: Any, a: Any, y: Any) -> Any:
    """d *= dC/da, or d by a form from logits."""
    element = element_of(a.types[0])
    s = shape(element)

    def emit(b: ir.IRBuilder, *args: ir.Value) -> None:
        code, parameter, _, rows, outputs = args[:5]
        parameter = converted(b, parameter, element)
        v = Elementary(b, s.vector)

        def over(delta: Callable[[Vector, Vector, Vector], Vector]) -> None:
            with loop(b, rows) as i, loop(b, outputs) as j:
                places = [entry(b, matrix, i, j) for matrix in (args[5:8], args[8:11], args[11:])]
                value = delta(*(v.of(load(b, place, s.vector)) for place in places))
                store(b, v.flushed(value).value, places[0])

        def gradient(row: Callable[..., Any]) -> None:
            over(lambda d, a, y: row_of(row, 3, parameter)(v, a, y)[1] * d)

        cases: dict[int, Callable[[], None]] = {
            number: partial(gradient, row)
            for number, row in enumerate(cost_rows.ROWS.values())
            if number not in PAIRED
        }
        for number, row in deltas().items():
            cases[number] = partial(over, lambda d, a, y, row=row: row_of(row, 3, parameter)(v, a, y))
        switch(b, code, cases)

    arguments = [I64, F64, I64, I64, I64, *[element.as_pointer(), I64, I64] * 3]
    return call(
        lambda module: routine(module, f"lane_cost_delta_{element}", arguments, emit),
        (formula, _i, _i, d, a, y),
    )


@intrinsic
def add_costs(typingctx: Any, rows: Any, totals: Any, costs: Any, base: Any) -> Any:
    """Adds the samples' costs to running ones, one sample after another; `base` tells the element type."""
    element = element_of(base)
    wide = ir.VectorType(F64, shape(element).lanes)

    def emit(b: ir.IRBuilder, rows: ir.Value, totals: ir.Value, costs: ir.Value, base: ir.Value) -> None:
        total = cgutils.alloca_once_value(b, load(b, totals, wide))
        with loop(b, rows) as i:
            cost = load(b, at(b, costs, b.mul(i, I64(wide.count))), wide)
            b.store(b.fadd(b.load(total), cost), total)
        store(b, b.load(total), totals)

    doubles = F64.as_pointer()
    arguments = [I64, doubles, doubles, element.as_pointer()]
    return call(
        lambda module: routine(module, f"lane_add_costs_{element}", arguments, emit),
        (_i, totals, costs, base),
    )


@intrinsic
def weigh(typingctx: Any, rows: Any, outputs: Any, d: Any, costs: Any, weights: Any) -> Any:
    """Multiplies deltas and costs by the weights of samples (rows of float64 vectors), in float64."""
    element = element_of(d.types[0])
    s = shape(element)
    wide = ir.VectorType(F64, s.lanes)

    def emit(b: ir.IRBuilder, rows: ir.Value, outputs: ir.Value, *args: ir.Value) -> None:
        d, (costs, weights) = args[:3], args[3:]
        with loop(b, rows) as i:
            sample = b.mul(i, I64(s.lanes))
            weight = load(b, at(b, weights, sample), wide)
            place = at(b, costs, sample)
            store(b, b.fmul(load(b, place, wide), weight), place)
            with loop(b, outputs) as j:
                place = entry(b, d, i, j)
                value = b.fmul(widened(b, load(b, place, s.vector)), weight)
                store(b, flushed(b, narrowed(b, value, s.vector)), place)

    doubles = F64.as_pointer()
    arguments = [I64, I64, element.as_pointer(), I64, I64, doubles, doubles]
    return call(
        lambda module: routine(module, f"lane_weigh_{element}", arguments, emit),
        (_i, _i, d, costs, weights),
    )
