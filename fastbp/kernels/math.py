"""Activations, their derivatives, deltas and losses, as vector IR.

No library function, no fastmath, no reciprocal estimate: only additions, multiplications, FMA, division
and selection, so the bits are the same on every CPU.  Derivatives are taken from the stored activation.
"""

import math
from collections.abc import Callable
from functools import partial
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from .vector import (
    F32,
    F64,
    I32,
    I64,
    Shape,
    at,
    call,
    constant,
    element_of,
    fma,
    lanes_below,
    load,
    loop,
    routine,
    shape,
    store,
    sum_of_eight,
    switch,
    transpose,
)

# exp(r) = 1 + r + r^2 q(r) for |r| <= ln(2) / 2: q by Chebyshev interpolation, highest power first.
# Relative error of the polynomial: 2^-27 in float32, 2^-56 in float64.
_Q = {
    F32: (
        0.0013926183587713494542,
        0.0083631790527225773704,
        0.041666554617204574203,
        0.16666576989698775683,
        0.5,
    ),
    F64: (
        2.5100385495510319078e-8,
        2.7620088445409748161e-7,
        2.7557268459997064772e-6,
        2.4801521295954375131e-5,
        1.9841269863053616878e-4,
        1.3888888917213716901e-3,
        8.3333333333300618325e-3,
        4.1666666666624127873e-2,
        1.6666666666666667453e-1,
        0.5,
    ),
}
_MANTISSA_BITS = {F32: 23, F64: 52}
_LN2 = {F32: (float.fromhex("0x1.62e43p-1"), float.fromhex("-0x1.05c61p-29")),
        F64: (float.fromhex("0x1.62e42fefa39efp-1"), float.fromhex("0x1.abc9e3b39803fp-56"))}  # fmt: skip
_LOWEST = {F32: -87.33, F64: -708.39}  # below it exp is no longer a normal number and counts as 0


def _exp_parts(b: ir.IRBuilder, x: ir.Value) -> tuple[ir.Value, ir.Value]:
    """For x <= 0: m = exp(r) - 1 and the bits of n, shifted to the exponent, of exp(x) = 2^n (1 + m)."""
    vector = x.type
    element = vector.element
    bits = _MANTISSA_BITS[element]
    integers = ir.VectorType(I32 if element == F32 else I64, vector.count)
    high, low = _LN2[element]
    magic = constant(vector, 1.5 * 2.0**bits)  # adding it rounds to an integer, in the lowest bits
    shifted = fma(b, x, constant(vector, 1 / math.log(2)), magic)
    n = b.fsub(shifted, magic)
    r = fma(b, n, constant(vector, -high), x)
    r = fma(b, n, constant(vector, -low), r)
    first, *others = _Q[element]
    q = constant(vector, first)
    for coefficient in others:
        q = fma(b, q, r, constant(vector, coefficient))
    m = fma(b, b.fmul(r, r), q, r)
    exponent = b.shl(b.bitcast(shifted, integers), ir.Constant(integers, [bits] * vector.count))
    return m, exponent


def _scaled(b: ir.IRBuilder, mantissa: ir.Value, exponent: ir.Value) -> ir.Value:
    """2^n mantissa, by adding n to the exponent field."""
    return b.bitcast(b.add(b.bitcast(mantissa, exponent.type), exponent), mantissa.type)


def _negative_absolute(b: ir.IRBuilder, x: ir.Value) -> ir.Value:
    negative = b.fsub(constant(x.type, -0.0), x)
    return b.select(b.fcmp_ordered("<", x, negative), x, negative)


def _keep_nan(b: ir.IRBuilder, x: ir.Value, value: ir.Value) -> ir.Value:
    return b.select(b.fcmp_unordered("uno", x, x), x, value)


def _sigmoid(b: ir.IRBuilder, z: ir.Value) -> ir.Value:
    """1 / (1 + exp(-z)), from e = exp(-|z|): 1 / (1 + e) or e / (1 + e) by the sign of z."""
    vector = z.type
    one, zero = constant(vector, 1.0), constant(vector, 0.0)
    x = _negative_absolute(b, z)
    m, exponent = _exp_parts(b, x)
    e = _scaled(b, b.fadd(one, m), exponent)
    e = b.select(b.fcmp_ordered("<", x, constant(vector, _LOWEST[vector.element])), zero, e)
    numerator = b.select(b.fcmp_ordered(">=", z, zero), one, e)
    return _keep_nan(b, z, b.fdiv(numerator, b.fadd(one, e)))


def _tanh(b: ir.IRBuilder, z: ir.Value) -> ir.Value:
    """-f / (2 + f) with the sign of z, where f = exp(-2 |z|) - 1 keeps its digits near zero."""
    vector = z.type
    one, zero = constant(vector, 1.0), constant(vector, 0.0)
    x = b.fmul(constant(vector, 2.0), _negative_absolute(b, z))
    m, exponent = _exp_parts(b, x)
    power = _scaled(b, one, exponent)
    f = fma(b, power, m, b.fsub(power, one))
    f = b.select(b.fcmp_ordered("<", x, constant(vector, _LOWEST[vector.element])), constant(vector, -1.0), f)
    value = b.fdiv(f, b.fadd(constant(vector, 2.0), f))  # of -|z|
    flipped = b.fsub(zero, value)
    return _keep_nan(b, z, b.select(b.fcmp_ordered(">", z, zero), flipped, value))


def _relu(b: ir.IRBuilder, z: ir.Value) -> ir.Value:
    zero = constant(z.type, 0.0)
    return _keep_nan(b, z, b.select(b.fcmp_ordered(">", z, zero), z, zero))


def _linear(b: ir.IRBuilder, z: ir.Value) -> ir.Value:
    return z


def _sigmoid_prime(b: ir.IRBuilder, a: ir.Value) -> ir.Value:
    return b.fmul(a, b.fsub(constant(a.type, 1.0), a))


def _tanh_prime(b: ir.IRBuilder, a: ir.Value) -> ir.Value:
    return b.fsub(constant(a.type, 1.0), b.fmul(a, a))


def _relu_prime(b: ir.IRBuilder, a: ir.Value) -> ir.Value:
    zero = constant(a.type, 0.0)
    return b.select(b.fcmp_ordered(">", a, zero), constant(a.type, 1.0), zero)


def _linear_prime(b: ir.IRBuilder, a: ir.Value) -> ir.Value:
    return constant(a.type, 1.0)


# name -> (the activation of z, its derivative in terms of a); a kernel knows it by its place here
ACTIVATIONS: dict[str, tuple[Callable[..., ir.Value], Callable[..., ir.Value]]] = {
    "sigmoid": (_sigmoid, _sigmoid_prime),
    "tanh": (_tanh, _tanh_prime),
    "relu": (_relu, _relu_prime),
    "linear": (_linear, _linear_prime),
}
ACTIVATION_CODES = {name: code for code, name in enumerate(ACTIVATIONS)}


def _by_activation(b: ir.IRBuilder, code: ir.Value, emit: Callable[[Any, Any], None]) -> None:
    """One branch on the activation's code around a whole block of numbers."""
    switch(b, code, {i: partial(emit, *functions) for i, functions in enumerate(ACTIVATIONS.values())})


@intrinsic
def activate(typingctx: Any, code: Any, rows: Any, vectors: Any, z: Any) -> Any:
    """a = activation(z), in place, for rows x vectors of a panel."""
    element = element_of(z)
    s = shape(element)
    vector = s.vector

    def emit(b: ir.IRBuilder, code: ir.Value, rows: ir.Value, vectors: ir.Value, z: ir.Value) -> None:
        def apply(function: Callable[..., ir.Value], prime: Any) -> None:
            if function is _linear:
                return
            with loop(b, rows) as i, loop(b, vectors) as v:
                place = at(b, z, b.add(b.mul(i, I64(s.columns)), b.mul(v, I64(s.lanes))))
                store(b, function(b, load(b, place, vector)), place)

        _by_activation(b, code, apply)

    i = types.int64
    arguments = [I64, I64, I64, element.as_pointer()]
    return call(lambda module: routine(module, f"activate_{element}", arguments, emit), (i, i, i, z))


@intrinsic
def output_delta(typingctx: Any, code: Any, rows: Any, columns: Any, d: Any, a: Any, y: Any) -> Any:
    """d = (a - y) * prime(a), the quadratic cost's, for rows x columns of a panel; zeros beyond `columns`."""
    element = element_of(d)
    s = shape(element)
    vector = s.vector

    def emit(b: ir.IRBuilder, *args: ir.Value) -> None:
        code, rows, columns, d, a, y = args

        def apply(function: Any, prime: Callable[..., ir.Value]) -> None:
            for v in range(s.vectors):
                real = lanes_below(b, vector, b.sub(columns, I64(v * s.lanes)))
                with loop(b, rows) as i:
                    place = b.add(b.mul(i, I64(s.columns)), I64(v * s.lanes))
                    value = load(b, at(b, a, place), vector)
                    error = b.fsub(value, load(b, at(b, y, place), vector))
                    delta = b.fmul(error, prime(b, value))
                    store(b, b.select(real, delta, constant(vector, 0.0)), at(b, d, place))

        _by_activation(b, code, apply)

    i = types.int64
    address = element.as_pointer()
    arguments = [I64, I64, I64, address, address, address]
    return call(
        lambda module: routine(module, f"output_delta_{element}", arguments, emit), (i, i, i, d, a, y)
    )


def _transpose_blocks(
    b: ir.IRBuilder,
    s: Shape,
    blocks: tuple[ir.Value, ir.Value],
    target: ir.Value,
    source: ir.Value,
    finish: Callable[[ir.Value, list[ir.Value]], list[ir.Value]] = lambda place, rows: rows,
) -> None:
    """Writes blocks[0] x blocks[1] square blocks of `source`, transposed, to `target` (both panels)."""
    columns = I64(s.columns)
    with loop(b, blocks[0]) as i, loop(b, blocks[1]) as j:
        i, j = b.mul(i, I64(s.lanes)), b.mul(j, I64(s.lanes))
        origin = at(b, source, b.add(b.mul(i, columns), j))
        rows = [load(b, at(b, origin, r * s.columns), s.vector) for r in range(s.lanes)]
        place = b.add(b.mul(j, columns), i)
        for r, row in enumerate(finish(place, transpose(b, rows))):
            store(b, row, at(b, at(b, target, place), r * s.columns))


def _blocks(b: ir.IRBuilder, s: Shape, length: ir.Value) -> ir.Value:
    return b.sdiv(b.add(length, I64(s.lanes - 1)), I64(s.lanes))


@intrinsic
def hidden_delta(typingctx: Any, code: Any, inputs: Any, samples: Any, d: Any, a: Any, g: Any) -> Any:
    """d[sample, input] = g[input, sample] * prime(a[sample, input]), one panel; zeros beyond `inputs`."""
    element = element_of(d)
    s = shape(element)
    vector = s.vector

    def emit(b: ir.IRBuilder, *args: ir.Value) -> None:
        code, inputs, samples, d, a, g = args

        def apply(function: Any, prime: Callable[..., ir.Value]) -> None:
            def finish(place: ir.Value, rows: list[ir.Value]) -> list[ir.Value]:
                column = b.srem(place, I64(s.columns))
                real = lanes_below(b, vector, b.sub(inputs, column))
                for r, row in enumerate(rows):
                    value = load(b, at(b, at(b, a, place), r * s.columns), vector)
                    delta = b.fmul(row, prime(b, value))
                    rows[r] = b.select(real, delta, constant(vector, 0.0))
                return rows

            blocks = _blocks(b, s, inputs), _blocks(b, s, samples)
            _transpose_blocks(b, s, blocks, d, g, finish)

        _by_activation(b, code, apply)

    i = types.int64
    address = element.as_pointer()
    arguments = [I64, I64, I64, address, address, address]
    return call(
        lambda module: routine(module, f"hidden_delta_{element}", arguments, emit), (i, i, i, d, a, g)
    )


@intrinsic
def transposed(typingctx: Any, rows: Any, columns: Any, target: Any, source: Any) -> Any:
    """target[column, row] = source[row, column] for one panel, in whole blocks of a vector's lanes."""
    element = element_of(target)
    s = shape(element)

    def emit(b: ir.IRBuilder, rows: ir.Value, columns: ir.Value, target: ir.Value, source: ir.Value) -> None:
        blocks = _blocks(b, s, rows), _blocks(b, s, columns)
        _transpose_blocks(b, s, blocks, target, source)

    i = types.int64
    arguments = [I64, I64, element.as_pointer(), element.as_pointer()]
    return call(
        lambda module: routine(module, f"transposed_{element}", arguments, emit), (i, i, target, source)
    )


@intrinsic
def costs(typingctx: Any, rows: Any, columns: Any, panel: Any, out: Any, a: Any, y: Any) -> Any:
    """out[i] = half the sum of (a[i] - y[i])^2 over a sample's `columns` outputs, in float64.

    Eight partial sums, of the columns equal modulo 8, then one order.  Panels lie `panel` numbers apart.
    """
    element = element_of(a)
    s = shape(element)
    eight, wide = ir.VectorType(element, 8), ir.VectorType(F64, 8)

    def emit(b: ir.IRBuilder, *args: ir.Value) -> None:
        rows, columns, panel, out, a, y = args
        total = cgutils.alloca_once(b, wide)
        with loop(b, rows) as i:
            b.store(constant(wide, 0.0), total)
            row = b.mul(i, I64(s.columns))
            with loop(b, b.sdiv(b.add(columns, I64(7)), I64(8))) as group:
                start = b.mul(group, I64(8))
                within = b.add(b.mul(b.sdiv(start, I64(s.columns)), panel), b.srem(start, I64(s.columns)))
                place = b.add(row, within)
                values = [load(b, at(b, numbers, place), eight) for numbers in (a, y)]
                if element == F32:
                    values = [b.fpext(value, wide) for value in values]
                error = b.fsub(*values)
                error = b.select(lanes_below(b, wide, b.sub(columns, start)), error, constant(wide, 0.0))
                b.store(fma(b, error, error, b.load(total)), total)
            b.store(b.fmul(F64(0.5), sum_of_eight(b, b.load(total))), at(b, out, i))

    address = element.as_pointer()
    arguments = [I64, I64, I64, F64.as_pointer(), address, address]
    i = types.int64
    return call(lambda module: routine(module, f"costs_{element}", arguments, emit), (i, i, i, out, a, y))
