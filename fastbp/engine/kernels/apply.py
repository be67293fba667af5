"""The step of an optimizer, as vector IR: one pass over a tile of gradients, its weights and their state."""

from collections.abc import Callable
from functools import partial
from types import SimpleNamespace
from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from ...options import optimizers
from .elementary import Elementary
from .vector import I64, at, call, element_of, load, loop, prefetch, routine, shape, store, switch


@intrinsic
def apply(
    typingctx: Any,
    code: Any,
    rows: Any,
    vectors: Any,
    w: Any,
    g: Any,
    state: Any,
    stride: Any,
    h: Any,
    coming: Any,
) -> Any:
    """Applies the optimizer's row to w and its state, given the gradient g, for rows x vectors of a panel.

    The numbers of one weight's state lie `stride` apart; h holds those of the step, as the row names them.
    The next tile, of which w and the state lie `coming` numbers further on, is prefetched meanwhile.
    """
    element = element_of(w)
    s = shape(element)

    def emit(b: ir.IRBuilder, *args: ir.Value) -> None:
        code, rows, vectors, w, g, state, stride, h, coming = args
        v = Elementary(b, s.vector)

        def step(name: str) -> None:
            row, own = optimizers.ROWS[name]
            numbers = SimpleNamespace(
                **{number: v.of(b.load(at(b, h, i))) for i, number in enumerate((*optimizers.COMMON, *own))}
            )
            states = [at(b, state, b.mul(stride, I64(i))) for i in range(len(optimizers.state_names(name)))]

            def over(mean_gradient: Callable[[Any, Any], Any]) -> None:
                with loop(b, rows) as i, loop(b, vectors) as vector:
                    offset = b.add(b.mul(i, I64(s.columns)), b.mul(vector, I64(s.lanes)))
                    places = [at(b, pointer, offset) for pointer in (w, *states)]
                    for place in places:
                        prefetch(b, at(b, place, coming), near=False)
                    weight, *before = (v.of(load(b, place, s.vector)) for place in places)
                    gradient = mean_gradient(weight, v.of(load(b, at(b, g, offset), s.vector)))
                    for place, value in zip(places, row(v, weight, gradient, *before, numbers), strict=True):
                        store(b, v.flushed(value).value, place)

            l2, l1 = (b.load(at(b, h, optimizers.COMMON.index(penalty))) for penalty in ("l2", "l1"))
            is_plain = b.and_(*(b.fcmp_ordered("==", penalty, element(0.0)) for penalty in (l2, l1)))
            with b.if_else(is_plain) as (plain, penalised):
                with plain:
                    over(lambda weight, gradient: gradient * numbers.scale)
                with penalised:
                    over(lambda weight, gradient: optimizers.penalised(v, weight, gradient, numbers))

        switch(b, code, {optimizers.CODES[name]: partial(step, name) for name in optimizers.ROWS})

    i = types.int64
    pointer = element.as_pointer()
    arguments = [I64, I64, I64, pointer, pointer, pointer, I64, pointer, I64]
    return call(
        lambda module: routine(module, f"apply_{element}", arguments, emit),
        (i, i, i, w, g, state, i, h, i),
    )
