"""The last layer's end: from its weighted input z to outputs a, costs and deltas, for a block of samples.

Sums over the outputs of a sample are taken in eight partial sums, of the columns equal modulo 8, and then in
one order: the same bits whatever the vector's width.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, NamedTuple

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from ...options import costs as cost_rows
from ...options.activations import CODES
from .elementary import Elementary
from .jit import helper, inlined
from .operands import Strided, block_rows, round_rows, second, words, write_deltas
from .panels import Formula, activate, call_address, converted, row_of
from .shares import ceil_div
from .team import Member, share
from .vector import (
    F32,
    F64,
    I64,
    Vector,
    at,
    call,
    constant,
    constants,
    element_of,
    lanes_below,
    load,
    loop,
    normal_or_zero,
    pointer,
    routine,
    shape,
    shift,
    store,
    sum_of_eight,
    switch,
)

SOFTMAX, CUSTOM = CODES["softmax"], cost_rows.CUSTOM
FIRST_OF_LOGITS, COUPLED = cost_rows.FIRST_OF_LOGITS, cost_rows.COUPLED
FORMS = dict(enumerate(cost_rows.LOGITS.values(), FIRST_OF_LOGITS))  # by code
OF_SOFTMAX = {
    code: FORMS[code]
    for code, (_, output) in enumerate(cost_rows.LOGITS, FIRST_OF_LOGITS)
    if output == "softmax"
}


@contextmanager
def _eights(
    b: ir.IRBuilder, columns: int, row: ir.Value, outputs: ir.Value, panel: ir.Value
) -> Iterator[tuple[ir.Value, ir.Value]]:
    """A loop over a sample's outputs, eight at a time: the offset of the first, and which of them exist."""
    with loop(b, b.sdiv(b.add(outputs, I64(7)), I64(8))) as group:
        start = b.mul(group, I64(8))
        within = b.add(b.mul(b.sdiv(start, I64(columns)), panel), b.srem(start, I64(columns)))
        yield b.add(row, within), lanes_below(b, ir.VectorType(F64, 8), b.sub(outputs, start))


class _Sum:
    """Eight partial sums (or maxima) of a loop."""

    def __init__(self, v: Elementary, first: float) -> None:
        self.v, self.first = v, first
        self.slot = cgutils.alloca_once_value(v.b, constant(v.vector, first))

    def add(self, real: ir.Value, value: Vector, combine: Callable[..., Vector] = Vector.__add__) -> None:
        total = combine(self.value, self.v.where(real, value, self.first))
        self.v.b.store(total.value, self.slot)

    @property
    def value(self) -> Vector:
        return self.v.of(self.v.b.load(self.slot))

    def clear(self) -> None:
        self.v.b.store(constant(self.v.vector, self.first), self.slot)


def _largest(v: Elementary, eight: Vector) -> Vector:
    """The largest of eight lanes, in every lane."""
    for half in (4, 2, 1):
        order = ir.Constant(ir.VectorType(ir.IntType(32), 8), [(lane + half) % 8 for lane in range(8)])
        other = v.b.shuffle_vector(eight.value, ir.Constant(v.vector, ir.Undefined), order)
        eight = v.maximum(eight, v.of(other))
    return eight


def _wide(b: ir.IRBuilder, value: ir.Value) -> ir.Value:
    return b.fpext(value, ir.VectorType(F64, 8)) if value.type.element == F32 else value


def rows_of_outputs() -> dict[int, Callable[..., Any]]:
    """The rows of all costs by code, but of those that `softmax` computes."""
    forms = {code: form.cost for code, form in FORMS.items() if code not in OF_SOFTMAX}
    return dict(enumerate(cost_rows.ROWS.values())) | forms


PAIRED = {code for code, name in enumerate(cost_rows.ROWS) if cost_rows.DEFINITIONS[name].is_paired}


class Sums(NamedTuple):
    """The costs of samples that a softmax computes besides, by the row of a code, where they are `wanted`."""

    code: int
    parameter: float
    costs: Any
    wanted: int


@intrinsic
def softmax(typingctx: Any, rows: Any, outputs: Any, panel: Any, a: Any, d: Any, y: Any, sums: Any) -> Any:
    """a = exp(z) / sum of exp(z) over each sample's outputs, in place, and d = 1.

    Where wanted, also the costs that have a form from logits.  Panels lie `panel` numbers apart.
    """
    element = element_of(a)
    columns = shape(element).columns
    eight = ir.VectorType(element, 8)

    def emit(b: ir.IRBuilder, *args: ir.Value) -> None:
        rows, outputs, panel, a, d, y, code, parameter, costs, wanted = args
        v, w = Elementary(b, eight), Elementary(b, ir.VectorType(F64, 8))
        largest, total, cost = _Sum(v, float("-inf")), _Sum(v, 0.0), _Sum(w, 0.0)
        with loop(b, rows) as i:
            row = b.mul(i, I64(columns))
            for total_or_other in (largest, total, cost):
                total_or_other.clear()
            with _eights(b, columns, row, outputs, panel) as (offset, real):
                largest.add(real, v.of(load(b, at(b, a, offset), eight)), v.maximum)
            most = _largest(v, largest.value)
            with _eights(b, columns, row, outputs, panel) as (offset, real):
                e = v.exp(v.of(load(b, at(b, a, offset), eight)) - most)
                store(b, e.value, at(b, d, offset))
                total.add(real, e)
            whole = v.of(sum_of_eight(b, total.value.value))
            with b.if_then(b.icmp_signed("!=", wanted, I64(0))):
                top, log_of_sum = w.of(_wide(b, most.value)), w.log(w.of(_wide(b, whole.value)))

                def summed(
                    form: cost_rows.Logits, top: Vector = top, log_of_sum: Vector = log_of_sum
                ) -> None:
                    with _eights(b, columns, row, outputs, panel) as (offset, real):
                        z, wish = (w.of(_wide(b, load(b, at(b, x, offset), eight))) for x in (a, y))
                        value = row_of(form.cost, 3, parameter)(w, z - top - log_of_sum, wish)
                        cost.add(real, value)
                    b.store(sum_of_eight(b, cost.value.value), at(b, costs, i))

                switch(b, code, {number: partial(summed, form) for number, form in OF_SOFTMAX.items()})
            with _eights(b, columns, row, outputs, panel) as (offset, real):
                share = v.of(load(b, at(b, d, offset), eight)) / whole
                store(b, v.flushed(share).value, at(b, a, offset))
                store(b, constant(eight, 1.0), at(b, d, offset))

    i = types.int64
    address = element.as_pointer()
    arguments = [I64, I64, I64, address, address, address, I64, F64, F64.as_pointer(), I64]
    return call(
        lambda module: routine(module, f"softmax_{element}", arguments, emit), (i, i, i, a, d, y, sums)
    )


@intrinsic
def softmax_delta(
    typingctx: Any, rows: Any, outputs: Any, panel: Any, d: Any, a: Any, is_product: Any
) -> Any:
    """From d = dC/da to dC/dz = a (d - sum of d a over the sample's outputs); zeros beyond.

    Where it `is_product`, d is a dC/da already.
    """
    element = element_of(a)
    columns = shape(element).columns
    eight = ir.VectorType(element, 8)

    def emit(b: ir.IRBuilder, *args: ir.Value) -> None:
        rows, outputs, panel, d, a, is_product = args
        is_product = b.icmp_signed("!=", is_product, I64(0))
        v = Elementary(b, eight)
        total = _Sum(v, 0.0)
        with loop(b, rows) as i:
            row = b.mul(i, I64(columns))
            total.clear()
            for finished in (False, True):
                whole = v.of(sum_of_eight(b, total.value.value)) if finished else v.of(0.0)
                with _eights(b, columns, row, outputs, panel) as (offset, real):
                    gradient, output = (v.of(load(b, at(b, x, offset), eight)) for x in (d, a))
                    if finished:
                        delta = coupled(v, gradient, output, whole, is_product)
                        store(b, v.flushed(v.where(real, delta, 0.0)).value, at(b, d, offset))
                    else:
                        total.add(real, v.where(is_product, gradient, gradient * output))

    i = types.int64
    address = element.as_pointer()
    arguments = [I64, I64, I64, address, address, I64]
    return call(
        lambda module: routine(module, f"softmax_delta_{element}", arguments, emit), (i, i, i, d, a, i)
    )


def coupled(v: Elementary, gradient: Vector, a: Vector, whole: Vector, is_product: ir.Value) -> Vector:
    """dC/dz of a softmax from dC/da, or from a dC/da, and the sum of a dC/da over the outputs."""
    return v.where(is_product, gradient - a * whole, a * (gradient - whole))


def deltas() -> dict[int, Callable[..., Any]]:
    """The rows from outputs to dC/dz, or a dC/da, of costs that have a form from logits, by code."""
    return {code: form.delta for code, form in FORMS.items()}


@intrinsic
def costs(typingctx: Any, formula: Any, rows: Any, outputs: Any, panel: Any, out: Any, a: Any, y: Any) -> Any:
    """out[i] = the cost of sample i, in float64, from its outputs a (or from z: see options.costs)."""
    element = element_of(a)
    columns = shape(element).columns
    eight = ir.VectorType(element, 8)

    def emit(b: ir.IRBuilder, *args: ir.Value) -> None:
        code, parameter, _, rows, outputs, panel, out, a, y = args
        v = Elementary(b, ir.VectorType(F64, 8))
        total = _Sum(v, 0.0)

        def summed(row: Callable[..., Any]) -> None:
            with loop(b, rows) as i:
                total.clear()
                with _eights(b, columns, b.mul(i, I64(columns)), outputs, panel) as (offset, real):
                    numbers = (v.of(_wide(b, load(b, at(b, x, offset), eight))) for x in (a, y))
                    cost = row_of(row, 3, parameter)(v, *numbers)
                    total.add(real, cost[0] if isinstance(cost, tuple) else cost)
                b.store(sum_of_eight(b, total.value.value), at(b, out, i))

        def nothing() -> None:  # a user's own cost is added as its gradient is taken
            with loop(b, rows) as i:
                b.store(F64(0.0), at(b, out, i))

        cases = {number: partial(summed, row) for number, row in rows_of_outputs().items()}
        switch(b, code, cases | {CUSTOM: nothing})

    i = types.int64
    address = element.as_pointer()
    arguments = [I64, F64, I64, I64, I64, I64, F64.as_pointer(), address, address]
    return call(
        lambda module: routine(module, f"costs_{element}", arguments, emit),
        (formula, i, i, i, out, a, y),
    )


@intrinsic
def cost_delta(
    typingctx: Any, formula: Any, rows: Any, columns: Any, d: Any, a: Any, y: Any, out: Any, wanted: Any
) -> Any:
    """d *= dC/da for rows x columns of a panel, or d by a form from logits; zeros beyond `columns`.

    A user's own cost is added to out[i], where `wanted`.
    """
    element = element_of(d)
    s = shape(element)
    vector = s.vector

    def emit(b: ir.IRBuilder, *args: ir.Value) -> None:
        code, parameter, address, rows, columns, d, a, y, out, wanted = args
        parameter = converted(b, parameter, element)
        v = Elementary(b, vector)

        def over(delta: Callable[[Vector, Vector, Vector], Vector]) -> None:
            for number in range(s.vectors):
                real = lanes_below(b, vector, b.sub(columns, I64(number * s.lanes)))
                with loop(b, rows) as i:
                    offset = b.add(b.mul(i, I64(s.columns)), I64(number * s.lanes))
                    value = delta(*(v.of(load(b, at(b, x, offset), vector)) for x in (d, a, y)))
                    store(b, v.flushed(v.where(real, value, 0.0)).value, at(b, d, offset))

        def gradient(row: Callable[..., Any]) -> None:
            over(lambda d, a, y: row_of(row, 3, parameter)(v, a, y)[1] * d)

        def custom() -> None:
            with loop(b, rows) as i:
                here = [at(b, x, b.mul(i, I64(s.columns))) for x in (a, y, d)]
                cost = call_address(b, address, F64, [columns, *here])
                with b.if_then(b.icmp_signed("!=", wanted, I64(0))):
                    place = at(b, out, i)
                    b.store(b.fadd(b.load(place), cost), place)
            over(lambda d, a, y: d)

        cases: dict[int, Callable[[], None]] = {
            number: partial(gradient, row) for number, row in enumerate(cost_rows.ROWS.values())
        }
        for number, row in deltas().items():
            cases[number] = partial(over, lambda d, a, y, row=row: row_of(row, 3, parameter)(v, a, y))
        switch(b, code, cases | {CUSTOM: custom})

    i = types.int64
    pointer = element.as_pointer()
    arguments = [I64, F64, I64, I64, I64, pointer, pointer, pointer, F64.as_pointer(), I64]
    return call(
        lambda module: routine(module, f"cost_delta_{element}", arguments, emit),
        (formula, i, i, d, a, y, out, i),
    )


@inlined
def finish(layer: Any, work: Any, row: int, rows: int, y: Any, sums: Sums) -> None:
    """Turns z into a for some rows of the last layer and leaves da/dz in its delta block; see `softmax`."""
    nr, lanes = constants(work.scratch)
    formula = Formula(layer.activation, layer.parameter, layer.address)
    if layer.activation == SOFTMAX:
        a = shift(work.scratch, layer.a + row * nr)
        d = shift(work.scratch, layer.delta + row * nr)
        softmax(rows, layer.outputs, work.rows * nr, a, d, y, sums)
        return
    for panel in range(ceil_div(layer.outputs, nr)):
        offset = (panel * work.rows + row) * nr
        a, d = shift(work.scratch, layer.a + offset), shift(work.scratch, layer.delta + offset)
        vectors = ceil_div(min(nr, layer.outputs - panel * nr), lanes)
        activate(formula, rows, vectors, a, d)


@inlined
def output(
    net: Any, work: Any, y: Any, m: int, losses: Any, weights: Any, positions: Any, member: Member
) -> None:
    """d = dC/dz of the last layer, and each sample's cost where `losses` has room for them.

    A unit is one vector's worth of samples, or a block of operands.  Where there are `weights`, one for every
    row of the user's data, they multiply both.
    """
    nr, lanes = constants(work.scratch)
    plan, layer = net.plan[0], net.layers[net.layers.shape[0] - 1]
    cost = Formula(plan.cost, plan.parameter, plan.address)
    height = block_rows(work.rounded) if block_rows(work.rounded) else lanes
    first, last = share(ceil_div(m, height), member)
    panels, stride = ceil_div(layer.outputs, nr), work.rows * nr
    wanted = losses.size > 0
    has_logits_form = FIRST_OF_LOGITS <= plan.cost < CUSTOM
    for unit in range(first, last):
        row = unit * height
        rows = min(height, m - row)
        a, y_here = shift(work.scratch, layer.a + row * nr), shift(y, row * nr)
        d, out = shift(work.scratch, layer.delta + row * nr), pointer(losses, row)
        if wanted and has_logits_form:
            costs(cost, rows, layer.outputs, stride, out, a, y_here)
        finish(layer, work, row, rows, y_here, Sums(cost.code, cost.parameter, out, int(wanted)))
        if wanted and not has_logits_form:
            costs(cost, rows, layer.outputs, stride, out, a, y_here)
        for panel in range(panels):
            columns = min(nr, layer.outputs - panel * nr)
            here = panel * stride
            d_here, a_here, wish = shift(d, here), shift(a, here), shift(y_here, here)
            cost_delta(cost, rows, columns, d_here, a_here, wish, out, wanted)
        if layer.activation == SOFTMAX and (plan.cost == COUPLED or not has_logits_form):
            softmax_delta(rows, layer.outputs, stride, d, a, int(has_logits_form))
        if weights.size:
            for i in range(rows):
                weight = weights[positions[row + i]]
                if wanted:
                    out[i] *= weight
                for panel in range(panels):
                    for j in range(nr):
                        here = panel * stride + i * nr + j
                        d[here] = d[here] * weight
                        d[here] = normal_or_zero(d[here])
        for panel in range(panels):
            columns, d_here = min(nr, layer.outputs - panel * nr), shift(d, panel * stride)
            round_rows(work.rounded, rows, ceil_div(columns, lanes), d_here)
            if layer.delta_t >= 0:
                target = delta_t(layer, work, panel * nr, row)
                write_deltas(work.rounded, rows, columns, target, d_here)


@helper
def delta_t(layer: Any, work: Any, neuron: int, sample: int) -> Strided:
    """Where the transposed delta of that neuron and sample lies, and how far on a second operand of it."""
    nr, _ = constants(work.scratch)
    panel = sample // nr * layer.delta_t_panel
    first = shift(work.scratch, layer.delta_t + panel + words(work.rounded, neuron * nr) + sample % nr)
    return Strided(first, second(work.rounded, layer.delta_t_panel))
