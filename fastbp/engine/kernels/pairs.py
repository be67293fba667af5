"""Pairs of terms of one chain, for VDPBF16PS, as vector IR.

The instruction (AVX512-BF16) makes two fused multiply-adds in each lane, of the upper halves of two words
and then of the lower halves, and flushes subnormal numbers.  A chain of `kernels.groups` takes every other
term, so a word holds the terms k and k + 2, the first above: of every four terms, one word for each chain.

P is packed to words once for all tiles that read it; words of Q are made as they are read, by vector units
that have nothing else to do meanwhile.
"""

from collections.abc import Callable
from functools import cache, partial

from llvmlite import ir
from llvmlite.binding import initialize_native_asmparser

from .vector import F32, I32, I64, at, lanes_below, load, loop, prefetch, routine, shape, store

QUAD = 4  # terms, two of each chain
_HIGH = 0xFFFF0000
_ADDRESS = F32.as_pointer()


def _numbers(vector: ir.VectorType, number: int) -> ir.Constant:
    return ir.Constant(ir.VectorType(I32, vector.count), [number] * vector.count)


def joined(b: ir.IRBuilder, first: ir.Value, second: ir.Value) -> ir.Value:
    """Words of two vectors of rounded float32s, as float32s; a NaN's lower bits count for nothing."""
    vector = first.type
    words = ir.VectorType(I32, vector.count)
    above = b.and_(b.bitcast(first, words), _numbers(vector, _HIGH))
    below = b.lshr(b.bitcast(second, words), _numbers(vector, 16))
    return b.bitcast(b.or_(above, below), vector)


@cache
def _instruction(vector: ir.VectorType) -> ir.InlineAsm:
    """The instruction by its name, for the types of LLVM's own function differ from version to version."""
    initialize_native_asmparser()
    return ir.InlineAsm(ir.FunctionType(vector, [vector] * 3), "vdpbf16ps $2, $1, $0", "=v,v,v,0")


def add_products(b: ir.IRBuilder, total: ir.Value, p: ir.Value, q: ir.Value) -> ir.Value:
    """total + (first of p)(first of q) + (second of p)(second of q), two fused multiply-adds."""
    return b.call(_instruction(total.type), [p, q, total])


def pack_rows(module: ir.Module, row_words: int) -> ir.Function:
    """Packs rows of P, whose terms lie side by side in panels, to rows of `row_words` words.

    The words of both chains take turns.
    """
    s = shape(F32)
    halves = ir.VectorType(ir.IntType(16), 2 * s.lanes)
    order = []  # of the upper halves of two vectors of numbers, in those of a vector of words
    for word in range(s.lanes):
        first = word // 2 * QUAD + word % 2
        order += [2 * (first + 2) + 1, 2 * first + 1]

    def emit(b: ir.IRBuilder, *args: ir.Value) -> None:
        rows, terms, words, p, p_panel = args
        whole, left = b.sdiv(terms, I64(s.columns)), b.srem(terms, I64(s.columns))
        mask = ir.Constant(ir.VectorType(I32, 2 * s.lanes), order)

        def pack(panel: ir.Value, number: Callable[[ir.Value, int], ir.Value]) -> None:
            with loop(b, rows) as i:
                row = at(b, p, b.add(b.mul(panel, p_panel), b.mul(i, I64(s.columns))))
                target = at(b, words, b.add(b.mul(panel, I64(s.lanes)), b.mul(i, I64(row_words))))
                pair = []
                for first in (0, s.lanes):  # of a panel's two vectors
                    prefetch(b, at(b, at(b, row, p_panel), first), near=True)
                    pair.append(b.bitcast(number(at(b, row, first), first), halves))
                store(b, b.bitcast(b.shuffle_vector(*pair, mask), s.vector), target)

        def number_or_zero(place: ir.Value, first: int) -> ir.Value:
            is_there = lanes_below(b, s.vector, b.sub(left, I64(first)))
            return b.select(is_there, load(b, place, s.vector), ir.Constant(s.vector, None))

        with loop(b, whole) as panel:
            pack(panel, lambda place, first: load(b, place, s.vector))
        with b.if_then(b.icmp_signed("!=", left, I64(0))):
            pack(whole, number_or_zero)

    return routine(module, "pack_pairs_of_rows", [I64, I64, _ADDRESS, _ADDRESS, I64], emit)


def row_of(b: ir.IRBuilder, panel: ir.Value, k: int, v: int) -> ir.Value:
    """A vector of the row k of a panel."""
    s = shape(F32)
    return load(b, at(b, panel, k * s.columns + v * s.lanes), s.vector)


def row_or_zeros(b: ir.IRBuilder, panel: ir.Value, k: int, rows: ir.Value, v: int) -> ir.Value:
    """The same, or zeros if there are not so many rows; one there is."""
    s = shape(F32)
    is_there = b.icmp_signed("<", I64(k), rows)
    row = at(b, panel, b.select(is_there, I64(k * s.columns), I64(0)))
    return b.select(is_there, load(b, at(b, row, v * s.lanes), s.vector), ir.Constant(s.vector, None))


def pack_columns(module: ir.Module) -> ir.Function:
    """Packs columns of P, whose terms are the rows of a panel: of four rows, two rows of words."""
    s = shape(F32)

    def emit(b: ir.IRBuilder, *args: ir.Value) -> None:
        terms, words, p = args
        whole, left = b.sdiv(terms, I64(QUAD)), b.srem(terms, I64(QUAD))

        def pack(quad: ir.Value, row: Callable[[ir.Value, int, int], ir.Value]) -> None:
            source = at(b, p, b.mul(quad, I64(QUAD * s.columns)))
            target = at(b, words, b.mul(quad, I64(2 * s.columns)))
            for half in (0, 1):
                for v in range(s.vectors):
                    pair = (row(source, k, v) for k in (half, half + 2))
                    store(b, joined(b, *pair), at(b, target, half * s.columns + v * s.lanes))

        with loop(b, whole) as quad:
            pack(quad, partial(row_of, b))
        with b.if_then(b.icmp_signed("!=", left, I64(0))):
            pack(whole, lambda panel, k, v: row_or_zeros(b, panel, k, left, v))

    return routine(module, "pack_pairs_of_columns", [I64, _ADDRESS, _ADDRESS], emit)
