"""Vectors of the machine that Numba compiles for, as LLVM IR: loads, broadcasts, FMA, transposes.

Bits never depend on the width of a vector: lanes are outputs of their own, and a sum over lanes is
always taken over eight float64 lanes in one order (``sum_of_eight``).
"""

import functools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import llvmlite.binding as llvm
import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from .jit import target, undisturbed

I8, I32, I64 = ir.IntType(8), ir.IntType(32), ir.IntType(64)
F32, F64 = ir.FloatType(), ir.DoubleType()
VOID = ir.VoidType()
CACHE_LINE = 64
SMALLEST = {F32: 2.0**-126, F64: 2.0**-1022}  # the smallest normal number


def _assembly_of_an_fma() -> str:
    """Compiles the widest FMA of any machine: the assembly names the registers that are used."""
    triple, cpu, features = target()
    module = llvm.parse_assembly(f"""
        target triple = "{triple}"
        declare <16 x float> @llvm.fma.v16f32(<16 x float>, <16 x float>, <16 x float>)
        define <16 x float> @f(<16 x float> %a, <16 x float> %b, <16 x float> %c) {{
            %r = call <16 x float> @llvm.fma.v16f32(<16 x float> %a, <16 x float> %b, <16 x float> %c)
            ret <16 x float> %r
        }}""")
    machine = llvm.Target.from_triple(triple).create_target_machine(cpu=cpu, features=features, opt=1)
    return str(machine.emit_assembly(module))


@functools.cache
def width() -> tuple[int, int]:
    """Bytes in a vector register of the target, and how many such registers it has."""
    assembly = undisturbed(_assembly_of_an_fma)
    if "zmm" in assembly:
        return 64, 32
    if "ymm" in assembly:
        return 32, 16
    return 16, 16 if "xmm" in assembly else 32


def has_fma() -> bool:
    """Tells if the target multiplies and adds in one instruction (else a slow library call, same bits)."""
    return "fmaf" not in undisturbed(_assembly_of_an_fma)


def family(triple: str) -> str:
    """The family of CPUs that a target's triple names: "x86", "arm", or another name as it stands."""
    name = triple.partition("-")[0]
    if name in ("x86_64", "amd64", "i386", "i586", "i686"):
        return "x86"
    return "arm" if name in ("aarch64", "arm64") else name


class Shape(NamedTuple):
    """The machine's vectors and tiles for one element type."""

    vector: ir.VectorType
    lanes: int  # numbers in a vector
    vectors: int  # vectors side by side in a panel; a panel has at least eight columns
    columns: int  # NR, of a panel
    dot_rows: int  # most rows of a `dot` tile: accumulators, vectors of Q and a broadcast fit the registers
    outer_rows: int  # most rows of an `outer` tile


@functools.cache
def shape(element: ir.Type) -> Shape:
    size, registers = width()
    lanes = size // size_of(element)
    vectors = max(2, 8 // lanes)
    rows = (24 if registers >= 32 else 12) // vectors
    return Shape(ir.VectorType(element, lanes), lanes, vectors, vectors * lanes, rows, min(rows, 8))


def shape_of(dtype: Any) -> Shape:
    return shape(F32 if np.dtype(dtype) == np.float32 else F64)


def size_of(element: ir.Type) -> int:
    return {I8: 1, F32: 4, F64: 8}[element]


def element_of(pointer: types.CPointer) -> ir.Type:
    return F32 if pointer.dtype == types.float32 else F64


# Addresses and memory


def at(builder: ir.IRBuilder, pointer: ir.Value, offset: ir.Value | int) -> ir.Value:
    return builder.gep(pointer, [I64(offset) if isinstance(offset, int) else offset])


def load(
    builder: ir.IRBuilder, pointer: ir.Value, vector: ir.VectorType, align: int | None = None
) -> ir.Value:
    value = builder.load(builder.bitcast(pointer, vector.as_pointer()))
    value.align = align or size_of(vector.element)  # claiming more faults when it is not so
    return value


def load_where(builder: ir.IRBuilder, mask: ir.Value, pointer: ir.Value, vector: ir.VectorType) -> ir.Value:
    """The lanes that `mask` names, others zero; memory of the others is not touched."""
    address = vector.as_pointer()
    bits = f"{'i' if vector.element == I8 else 'f'}{8 * size_of(vector.element)}"
    kind = ir.FunctionType(vector, [address, I32, mask.type, vector])
    declared = cgutils.get_or_insert_function(
        builder.module, kind, f"llvm.masked.load.v{vector.count}{bits}.p0"
    )
    return builder.call(
        declared, [builder.bitcast(pointer, address), I32(1), mask, ir.Constant(vector, None)]
    )


def store(builder: ir.IRBuilder, value: ir.Value, pointer: ir.Value) -> None:
    instruction = builder.store(value, builder.bitcast(pointer, value.type.as_pointer()))
    instruction.align = size_of(value.type.element)


def prefetch(builder: ir.IRBuilder, pointer: ir.Value, *, near: bool) -> None:
    """Prefetches a cache line into the first-level cache (`near`) or the second."""
    address = I8.as_pointer()
    declared = cgutils.get_or_insert_function(
        builder.module, ir.FunctionType(VOID, [address, I32, I32, I32]), "llvm.prefetch.p0"
    )
    builder.call(declared, [builder.bitcast(pointer, address), I32(0), I32(3 if near else 2), I32(1)])


# Arithmetic


def constant(vector: ir.VectorType, number: float) -> ir.Constant:
    """`number` rounded to the element type, in every lane."""
    rounded = float(np.float32(number)) if vector.element == F32 else float(number)
    return ir.Constant(vector, [rounded] * vector.count)


def splat(builder: ir.IRBuilder, scalar: ir.Value, count: int) -> ir.Value:
    vector = ir.VectorType(scalar.type, count)
    first = builder.insert_element(ir.Constant(vector, ir.Undefined), scalar, I32(0))
    zeros = ir.Constant(ir.VectorType(I32, count), [0] * count)
    return builder.shuffle_vector(first, ir.Constant(vector, ir.Undefined), zeros)


def fma(builder: ir.IRBuilder, x: ir.Value, y: ir.Value, z: ir.Value) -> ir.Value:
    """x y + z, rounded once; asked for by name, for LLVM never forms it unasked."""
    vector = x.type
    name = f"llvm.fma.v{vector.count}f{8 * size_of(vector.element)}"
    declared = cgutils.get_or_insert_function(
        builder.module, ir.FunctionType(vector, [vector, vector, vector]), name
    )
    return builder.call(declared, [x, y, z])


def absolute(builder: ir.IRBuilder, value: ir.Value) -> ir.Value:
    vector = value.type
    name = f"llvm.fabs.v{vector.count}f{8 * size_of(vector.element)}"
    declared = cgutils.get_or_insert_function(builder.module, ir.FunctionType(vector, [vector]), name)
    return builder.call(declared, [value])


def flushed(builder: ir.IRBuilder, value: ir.Value) -> ir.Value:
    """`value`, with 0 for its subnormal numbers: those whose exponent bits are all 0 (-0 becomes 0, too).

    AVX-512 tests bits by one instruction, and takes two for an absolute value that is less than another.
    """
    vector = value.type
    bits, exponent = (I32, 0xFF << 23) if vector.element == F32 else (I64, 0x7FF << 52)
    integers = ir.VectorType(bits, vector.count)
    exponents = builder.and_(
        builder.bitcast(value, integers), ir.Constant(integers, [exponent] * vector.count)
    )
    is_tiny = builder.icmp_unsigned("==", exponents, ir.Constant(integers, None))
    return builder.select(is_tiny, constant(vector, 0.0), value)


def lanes_below(builder: ir.IRBuilder, vector: ir.VectorType, limit: ir.Value) -> ir.Value:
    """The mask of the lanes whose number is below `limit` (an int64)."""
    numbers = ir.Constant(ir.VectorType(I64, vector.count), list(range(vector.count)))
    return builder.icmp_signed("<", numbers, splat(builder, limit, vector.count))


def sum_of_eight(builder: ir.IRBuilder, value: ir.Value) -> ir.Value:
    """Lanes of a vector of eight added in one fixed order, whatever the machine's width."""
    undefined = ir.Constant(value.type, ir.Undefined)
    for half in (4, 2, 1):
        order = [(lane + half) % 8 for lane in range(8)]
        upper = builder.shuffle_vector(value, undefined, ir.Constant(ir.VectorType(I32, 8), order))
        value = builder.fadd(value, upper)
    return builder.extract_element(value, I32(0))


def transpose(builder: ir.IRBuilder, rows: Sequence[ir.Value]) -> list[ir.Value]:
    """The transpose of a square block held in registers: log2(n) rounds of n two-input shuffles."""
    rows = list(rows)
    count = len(rows)
    half = 1
    while half < count:
        # Exchange the off-diagonal quarters of every 2 half x 2 half block.
        low = [lane if not lane & half else lane - half + count for lane in range(count)]
        high = [lane + half if not lane & half else lane + count for lane in range(count)]
        masks = [ir.Constant(ir.VectorType(I32, count), order) for order in (low, high)]
        for i in range(count):
            if not i & half:
                pair = rows[i], rows[i + half]
                rows[i], rows[i + half] = (builder.shuffle_vector(*pair, mask) for mask in masks)
        half *= 2
    return rows


# Formulas: an IR value with operators, and the functions that rows may use besides


class Vector:
    """An IR vector and its builder, so that a formula reads as it does over NumPy.

    Comparisons are false where a NaN takes part, and give a mask for `Operators.where`.
    """

    __slots__ = ("b", "value")

    def __init__(self, builder: ir.IRBuilder, value: ir.Value) -> None:
        self.b, self.value = builder, value

    def same(self, other: Any) -> ir.Value:
        """`other`, a vector or a number, as an IR value of this type."""
        return other.value if isinstance(other, Vector) else constant(self.value.type, other)

    def _with(self, value: ir.Value) -> "Vector":
        return Vector(self.b, value)

    def __add__(self, other: Any) -> "Vector":
        return self._with(self.b.fadd(self.value, self.same(other)))

    def __sub__(self, other: Any) -> "Vector":
        return self._with(self.b.fsub(self.value, self.same(other)))

    def __mul__(self, other: Any) -> "Vector":
        return self._with(self.b.fmul(self.value, self.same(other)))

    def __truediv__(self, other: Any) -> "Vector":
        return self._with(self.b.fdiv(self.value, self.same(other)))

    def __radd__(self, other: Any) -> "Vector":
        return self._with(self.b.fadd(self.same(other), self.value))

    def __rsub__(self, other: Any) -> "Vector":
        return self._with(self.b.fsub(self.same(other), self.value))

    def __rmul__(self, other: Any) -> "Vector":
        return self._with(self.b.fmul(self.same(other), self.value))

    def __rtruediv__(self, other: Any) -> "Vector":
        return self._with(self.b.fdiv(self.same(other), self.value))

    def __neg__(self) -> "Vector":
        return self._with(self.b.fneg(self.value))

    def __lt__(self, other: Any) -> ir.Value:
        return self.b.fcmp_ordered("<", self.value, self.same(other))

    def __gt__(self, other: Any) -> ir.Value:
        return self.b.fcmp_ordered(">", self.value, self.same(other))


class Operators:
    """Functions for rows besides + - * / and comparisons; `kernels.elementary` adds exp and the like.

    Arguments are vectors or numbers, of which at least one is a vector.
    """

    def __init__(self, builder: ir.IRBuilder, vector: ir.VectorType) -> None:
        self.b, self.vector = builder, vector

    def of(self, value: Any) -> Vector:
        """A number, or an IR value of the vector's type or of its element's, as a vector."""
        if isinstance(value, Vector):
            return value
        if not isinstance(value, ir.Value):
            return Vector(self.b, constant(self.vector, value))
        if value.type == self.vector.element:
            value = splat(self.b, value, self.vector.count)
        return Vector(self.b, value)

    def where(self, mask: ir.Value, x: Any, y: Any) -> Vector:
        return self.of(self.b.select(mask, self.of(x).value, self.of(y).value))

    def fma(self, x: Any, y: Any, z: Any) -> Vector:
        """x y + z, rounded once."""
        return self.of(fma(self.b, self.of(x).value, self.of(y).value, self.of(z).value))

    def maximum(self, x: Any, y: Any) -> Vector:
        """The larger, or x where either is NaN."""
        x, y = self.of(x), self.of(y)
        return self.of(self.b.select(self.b.fcmp_unordered(">", x.value, y.value), x.value, y.value))

    def minimum(self, x: Any, y: Any) -> Vector:
        """The smaller, or x where either is NaN."""
        x, y = self.of(x), self.of(y)
        return self.of(self.b.select(self.b.fcmp_unordered("<", x.value, y.value), x.value, y.value))

    def flushed(self, x: Any) -> Vector:
        """x, or 0 where it is subnormal."""
        return self.of(flushed(self.b, self.of(x).value))

    def square(self, x: Vector) -> Vector:
        """x x, or 0 where that is subnormal, which is not computed then: it would take long."""
        x = self.where(self.abs(x) < math.sqrt(SMALLEST[self.vector.element]), 0.0, x)
        return x * x

    def abs(self, x: Vector) -> Vector:
        return self._intrinsic("fabs", x)

    def sqrt(self, x: Vector) -> Vector:
        return self._intrinsic("sqrt", x)

    def copysign(self, x: Any, y: Vector) -> Vector:
        return self._intrinsic("copysign", self.of(x), y)

    def pair(self, x: Vector) -> tuple[Vector, Vector]:
        """The first and the second number of each pair of lanes, in both of its lanes."""
        order = [lane ^ 1 for lane in range(self.vector.count)]
        indices = ir.Constant(ir.VectorType(I32, self.vector.count), order)
        other = self.of(self.b.shuffle_vector(x.value, ir.Constant(self.vector, ir.Undefined), indices))
        return self.either(x, other), self.either(other, x)

    def either(self, x: Vector, y: Vector) -> Vector:
        """x in the first lane of each pair, y in the second."""
        bits = [1 - lane % 2 for lane in range(self.vector.count)]
        return self.where(ir.Constant(ir.VectorType(ir.IntType(1), self.vector.count), bits), x, y)

    def sign(self, x: Vector) -> Vector:
        """-1, 0 or 1."""
        return self.where(x > 0, 1.0, self.where(x < 0, -1.0, 0.0))

    def _intrinsic(self, name: str, *arguments: Vector) -> Vector:
        """LLVM's own function, exactly rounded."""
        kind = ir.FunctionType(self.vector, [self.vector] * len(arguments))
        full = f"llvm.{name}.v{self.vector.count}f{8 * size_of(self.vector.element)}"
        declared = cgutils.get_or_insert_function(self.b.module, kind, full)
        return self.of(self.b.call(declared, [argument.value for argument in arguments]))


# Control


@contextmanager
def loop(builder: ir.IRBuilder, count: ir.Value) -> Iterator[ir.Value]:
    """``for index in range(count)``, an int64."""
    with cgutils.for_range(builder, count) as state:
        yield state.index


def switch(builder: ir.IRBuilder, key: ir.Value, cases: Mapping[int, Callable[[], None]]) -> None:
    """Emits each case, to run when `key` equals its number."""
    done = builder.append_basic_block()
    instruction = builder.switch(key, done)
    for number, emit in cases.items():
        block = builder.append_basic_block()
        instruction.add_case(key.type(number), block)
        builder.position_at_end(block)
        emit()
        builder.branch(done)
    builder.position_at_end(done)


def routine(
    module: ir.Module,
    name: str,
    arguments: Sequence[ir.Type],
    emit: Callable[..., ir.Value | None],
    *,
    result: ir.Type = VOID,
    inline: bool = False,
    tile: bool = False,
) -> ir.Function:
    """The module's own function of that name, its body emitted by ``emit(builder, *arguments)`` once."""
    if name in module.globals:
        return module.globals[name]
    function = ir.Function(module, ir.FunctionType(result, arguments), name)
    function.linkage = "internal"
    function.attributes.add("alwaysinline" if inline else "noinline")
    if not tile:  # LLVM unrolls loops otherwise, which take one or two rounds here, and compiles all that
        function.attributes.add("optsize")
    builder = ir.IRBuilder(function.append_basic_block())
    value = emit(builder, *function.args)
    builder.ret_void() if value is None else builder.ret(value)
    return function


# Pointers, as kernels see them


@intrinsic
def pointer(typingctx: Any, array: Any, offset: Any) -> Any:
    """The address of ``array.flat[offset]`` of a contiguous array."""

    def emit(context: Any, builder: ir.IRBuilder, signature: Any, arguments: Any) -> ir.Value:
        value = cgutils.create_struct_proxy(array)(context, builder, arguments[0])
        return builder.gep(value.data, [arguments[1]])

    return types.CPointer(array.dtype)(array, types.int64), emit


@intrinsic
def shift(typingctx: Any, base: Any, offset: Any) -> Any:
    """``base + offset``, counted in elements."""

    def emit(context: Any, builder: ir.IRBuilder, signature: Any, arguments: Any) -> ir.Value:
        return builder.gep(arguments[0], [arguments[1]])

    return base(base, types.int64), emit


@intrinsic
def clear(typingctx: Any, count: Any, target: Any) -> Any:
    """Sets `count` numbers to zero."""

    def emit(context: Any, builder: ir.IRBuilder, signature: Any, arguments: Any) -> ir.Value:
        count, target = arguments
        size = builder.mul(count, I64(size_of(element_of(signature.args[1]))))
        cgutils.memset(builder, target, size, 0)
        return context.get_dummy_value()

    return types.void(types.int64, target), emit


@intrinsic
def normal_or_zero(typingctx: Any, value: Any) -> Any:
    """The number, or 0 where it is subnormal."""

    def emit(context: Any, b: ir.IRBuilder, signature: Any, arguments: Any) -> ir.Value:
        return b.extract_element(flushed(b, splat(b, arguments[0], 1)), I32(0))

    return value(value), emit


@intrinsic
def smallest_normal(typingctx: Any, base: Any) -> Any:
    """The smallest normal number of the pointer's type."""

    def emit(context: Any, builder: ir.IRBuilder, signature: Any, arguments: Any) -> ir.Value:
        return element_of(base)(SMALLEST[element_of(base)])

    return base.dtype(base), emit


@intrinsic
def constants(typingctx: Any, base: Any) -> Any:
    """NR and the lanes of a vector, for the pointer's type."""
    s = shape(element_of(base))
    result = types.UniTuple(types.int64, 2)

    def emit(context: Any, builder: ir.IRBuilder, signature: Any, arguments: Any) -> ir.Value:
        return context.make_tuple(builder, result, [I64(s.columns), I64(s.lanes)])

    return result(base), emit


def call(
    routine_of: Callable[..., ir.Function],
    argument_types: Sequence[Any],
    result: Any = types.void,
    markers: int = 0,
) -> Any:
    """The signature and the code of an intrinsic that calls ``routine_of(module)``, its records unpacked.

    The first arguments, so many as there are `markers`, choose the routine by their types and are not passed.
    """

    def emit(context: Any, builder: ir.IRBuilder, signature: Any, arguments: Any) -> ir.Value:
        flat: list[ir.Value] = []
        for kind, value in list(zip(signature.args, arguments, strict=True))[markers:]:
            is_record = isinstance(kind, types.BaseTuple)
            flat += cgutils.unpack_tuple(builder, value, len(kind)) if is_record else [value]
        value = builder.call(routine_of(builder.module), flat)
        return context.get_dummy_value() if result == types.void else value

    return result(*argument_types), emit
