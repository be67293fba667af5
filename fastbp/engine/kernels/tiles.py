"""Products of bfloat16 by the matrix unit of x86 (AMX), and the operands that it reads, as vector IR.

The unit has eight tiles of 16 rows of 64 bytes, and TDPBF16PS, which adds to a tile C [16, 16] of float32

    A [16 rows][32 terms of bfloat16]  times  B [16 pairs of terms][16 columns]

what `kernels.groups` computes for one group.  A word of B holds two terms of a column, the even one below.

Operands lie in panels of 32 columns, as those of the other form do.  Two numbers share a word, so a panel
has room for two operands, one in its first half and one in its second, and holds the numbers twice: as the
left and as the right operand, or for sums over columns and over rows.  In each half two tiles of 1 KiB
follow each other for every 32 rows of

                                 in the first half             in the second
    x and a [samples, inputs]    rows: left of forward         rows of its transpose: left of update
    W [inputs, outputs]          rows: left of backward        pairs of rows: right of forward
    d [samples, outputs]         pairs of rows: right of       pairs of columns: right of backward
                                 update

Deltas stay float32 as well, and their blocks lie where the other form has the transposed delta.  The
transpose of a tile's words makes rows of the transpose from pairs of rows, and pairs of columns from rows.
Where a block reaches beyond the samples, inputs or outputs that there are, it holds zeros.
"""

from collections.abc import Callable, Sequence
from functools import partial

from llvmlite import ir
from numba.core import cgutils

from .bfloat16 import nearest, rounded
from .vector import (
    CACHE_LINE,
    F32,
    I8,
    I32,
    I64,
    VOID,
    at,
    constant,
    flushed,
    fma,
    lanes_below,
    load,
    loop,
    prefetch,
    routine,
    shape,
    splat,
    store,
    switch,
    transpose,
)

SIDE = 32  # of a block, and the terms of a product of two tiles
_HALF = SIDE // 2  # rows, pairs or columns of a tile
_TILE = _HALF * _HALF  # words
PAIR = 2 * _TILE  # words of two tiles, which hold a block's numbers once
_BLOCK = SIDE * SIDE  # numbers
_ROW = I64(CACHE_LINE)  # bytes from a tile's row to the next
_NO_GAP = I64(0)
_ADDRESS = F32.as_pointer()
_WORDS = ir.VectorType(I32, _HALF)
_BYTES = I8.as_pointer()
_LEFT, _RIGHT = 4, 6  # the first tile of each operand; those before hold C


# ---------------------------------------------------------------- the instructions


def _instruction(b: ir.IRBuilder, name: str, arguments: Sequence[ir.Value] = ()) -> None:
    kind = ir.FunctionType(VOID, [argument.type for argument in arguments])
    b.call(cgutils.get_or_insert_function(b.module, kind, f"llvm.x86.{name}"), arguments)


def _load_tile(b: ir.IRBuilder, tile: int, place: ir.Value, stride: ir.Value) -> None:
    """Reads the rows of a tile, which lie `stride` bytes apart."""
    _instruction(b, "tileloadd64", [I8(tile), b.bitcast(place, _BYTES), stride])


def _store_tile(b: ir.IRBuilder, tile: int, place: ir.Value, stride: ir.Value) -> None:
    _instruction(b, "tilestored64", [I8(tile), b.bitcast(place, _BYTES), stride])


def configure(b: ir.IRBuilder) -> None:
    """Gives this thread eight tiles of 16 rows of 64 bytes, until `release`."""
    s = shape(F32)
    if (s.lanes, s.columns) != (_HALF, SIDE):
        raise RuntimeError(f"tiles: expected panels of {SIDE} columns, got {s.columns}; set FASTBP_AMX=0")
    numbers = bytearray(CACHE_LINE)
    numbers[0] = 1  # the palette
    for tile in range(8):
        numbers[16 + 2 * tile], numbers[48 + tile] = CACHE_LINE, _HALF
    place = cgutils.alloca_once(b, ir.ArrayType(I8, CACHE_LINE))
    b.store(ir.Constant(place.type.pointee, numbers), place)
    _instruction(b, "ldtilecfg", [b.bitcast(place, _BYTES)])


def release(b: ir.IRBuilder) -> None:
    """Ends the use of tiles, whose state would make the thread's context switches larger."""
    _instruction(b, "tilerelease")


# ---------------------------------------------------------------- operands


_Rows = Sequence[Sequence[ir.Value]]  # two rows of two vectors


def _write(b: ir.IRBuilder, numbers: Callable[[ir.Value], _Rows], left: ir.Value, right: ir.Value) -> None:
    """Writes two tiles of a block's rows to `left` and two of its pairs of rows to `right`.

    ``numbers(pair)`` are two rows, rounded; it may read them from `left` on.
    """
    shorts = ir.VectorType(ir.IntType(16), SIDE)

    def upper_halves(first: ir.Value, second: ir.Value, order: list[int]) -> ir.Value:
        """Words of the upper halves of those of two vectors; `order` counts them through."""
        halves = ir.Constant(ir.VectorType(I32, SIDE), [2 * i + 1 for i in order])
        return b.bitcast(b.shuffle_vector(first, second, halves), _WORDS)

    side_by_side = list(range(SIDE))
    in_turn = [i + _HALF * second for i in range(_HALF) for second in (0, 1)]
    with loop(b, I64(_HALF)) as pair:
        words = [[b.bitcast(vector, shorts) for vector in row] for row in numbers(pair)]
        for odd, halves in enumerate(words):
            line = b.add(b.mul(pair, I64(SIDE)), I64(odd * _HALF))
            _store_words(b, upper_halves(*halves, side_by_side), at(b, left, line))
        for v in (0, 1):
            word = upper_halves(words[0][v], words[1][v], in_turn)
            _store_words(b, word, at(b, at(b, right, v * _TILE), b.mul(pair, I64(_HALF))))


def _store_words(b: ir.IRBuilder, words: ir.Value, target: ir.Value) -> None:
    instruction = b.store(b.bitcast(words, _WORDS), b.bitcast(target, _WORDS.as_pointer()))
    instruction.align = CACHE_LINE


def _write_transposed(b: ir.IRBuilder, target: ir.Value, source: ir.Value) -> None:
    """Writes the transposes of two tiles of words."""
    for tile in range(2):
        here, there = at(b, source, tile * _TILE), at(b, target, tile * _TILE)
        words = [load(b, at(b, here, row * _HALF), shape(F32).vector) for row in range(_HALF)]
        for row, word in enumerate(transpose(b, words)):
            _store_words(b, word, at(b, there, row * _HALF))


def _room(b: ir.IRBuilder, words: int) -> ir.Value:
    """Memory on the stack, from the beginning of a cache line on."""
    place = b.alloca(F32, size=I64(words))
    place.align = CACHE_LINE
    return place


def _real(
    b: ir.IRBuilder, rows: ir.Value, columns: ir.Value
) -> Callable[[ir.Value, int, ir.Value], ir.Value]:
    """The function (row, v, vector) that puts zeros where there is no row or column."""
    vector = shape(F32).vector
    masks = [lanes_below(b, vector, b.sub(columns, I64(v * _HALF))) for v in (0, 1)]

    def masked(row: ir.Value, v: int, value: ir.Value) -> ir.Value:
        is_row = splat(b, b.icmp_signed("<", row, rows), _HALF)
        return b.select(b.and_(masks[v], is_row), value, constant(vector, 0.0))

    return masked


def _pair_at(b: ir.IRBuilder, block: ir.Value, gap: ir.Value, pair: ir.Value) -> ir.Value:
    """The place of two rows of a block of float32, where `gap` numbers lie between its halves."""
    is_second = b.icmp_signed(">=", pair, I64(_HALF // 2))
    here = at(b, block, b.mul(pair, I64(2 * SIDE)))
    return at(b, here, b.select(is_second, gap, I64(0)))


def _pairs_of(
    b: ir.IRBuilder,
    source: ir.Value,
    finish: Callable[[ir.IRBuilder, ir.Value], ir.Value] = lambda b, value: value,
    gap: ir.Value = _NO_GAP,
) -> Callable[[ir.Value], _Rows]:
    """The function (pair) that loads two rows of a block of float32 and finishes every vector."""

    def loaded(pair: ir.Value) -> _Rows:
        here = _pair_at(b, source, gap, pair)
        places = [[at(b, here, row * SIDE + v * _HALF) for v in (0, 1)] for row in (0, 1)]
        return _each(lambda place: finish(b, load(b, place, shape(F32).vector)), places)

    return loaded


def _each(finish: Callable[[ir.Value], ir.Value], rows: _Rows) -> _Rows:
    return [[finish(vector) for vector in row] for row in rows]


def _padded(module: ir.Module) -> ir.Function:
    """Puts zeros where a block of float32 has no row or column."""

    def emit(b: ir.IRBuilder, block: ir.Value, gap: ir.Value, rows: ir.Value, columns: ir.Value) -> None:
        masked, read = _real(b, rows, columns), _pairs_of(b, block, gap=gap)
        with loop(b, I64(_HALF)) as pair:
            here = _pair_at(b, block, gap, pair)
            for odd, row in enumerate(read(pair)):
                number = b.add(b.mul(pair, I64(2)), I64(odd))
                for v, vector in enumerate(row):
                    store(b, masked(number, v, vector), at(b, here, odd * SIDE + v * _HALF))

    return routine(module, "tiles_padded", [_ADDRESS, I64, I64, I64], emit)


def _pad(b: ir.IRBuilder, block: ir.Value, gap: ir.Value, rows: ir.Value, columns: ir.Value) -> None:
    """Does so where the block is not full."""
    least = b.select(b.icmp_signed("<", rows, columns), rows, columns)
    with b.if_then(b.icmp_signed("<", least, I64(SIDE))):
        b.call(_padded(b.module), [block, gap, rows, columns])


def signals(module: ir.Module) -> ir.Function:
    """A block's rows, and those of its transpose, of flushed float32s.

    Zeros are put where `source` has no row or column.  Its rows may lie where the words will, 0 to 15 in
    `first` and the others, after a `gap`, in `second`.
    """

    def emit(b: ir.IRBuilder, *args: ir.Value) -> None:
        first, second, source, gap, rows, columns = args
        pairs = _room(b, PAIR)
        _pad(b, source, gap, rows, columns)
        _write(b, _pairs_of(b, source, nearest, gap), first, pairs)
        _write_transposed(b, second, pairs)

    return routine(module, "tiles_of_signals", [*[_ADDRESS] * 3, *[I64] * 3], emit)


def deltas(module: ir.Module) -> ir.Function:
    """A block's pairs of rows, and its pairs of columns, of float32s that are rounded already.

    Zeros are put where `source` has no row or column.
    """

    def emit(b: ir.IRBuilder, *args: ir.Value) -> None:
        first, second, source, rows, columns = args
        lines = _room(b, PAIR)
        _pad(b, source, _NO_GAP, rows, columns)
        _write(b, _pairs_of(b, source), lines, first)
        _write_transposed(b, second, lines)

    return routine(module, "tiles_of_deltas", [*[_ADDRESS] * 3, *[I64] * 2], emit)


def weights(module: ir.Module, are_steps: bool) -> ir.Function:
    """A block's rows and its pairs of rows, of weights, which are flushed where a step has made them."""
    finish = nearest if are_steps else rounded

    def emit(b: ir.IRBuilder, first: ir.Value, second: ir.Value, source: ir.Value) -> None:
        _write(b, _pairs_of(b, source, finish), first, second)

    return routine(module, f"tiles_of_weights_{int(are_steps)}", [_ADDRESS] * 3, emit)


# ---------------------------------------------------------------- products


def _product(module: ir.Module, rows: int, columns: int) -> ir.Function:
    """C = start + the sum over blocks of A B, for rows x columns tiles of C; a null `start` is zeros.

    C is a block of float32, and rows of `start` lie `stride` bytes apart.  A and B are tiles of the first
    block; the next lie `p_step` and `q_step` words on.
    """

    def emit(b: ir.IRBuilder, *args: ir.Value) -> None:
        c, start, stride, p, p_step, q, q_step, blocks = args
        tiles = [(i, j, 2 * i + j) for i in range(rows) for j in range(columns)]
        with b.if_else(b.icmp_unsigned("==", start, ir.Constant(_ADDRESS, None))) as (zeros, given):
            with zeros:
                for _, _, tile in tiles:
                    _instruction(b, "tilezero", [I8(tile)])
            with given:
                for i, j, tile in tiles:
                    first = at(b, b.bitcast(start, _BYTES), b.mul(stride, I64(i * _HALF)))
                    _load_tile(b, tile, at(b, first, 4 * j * _HALF), stride)
        with loop(b, blocks) as k:
            p_here, q_here = at(b, p, b.mul(k, p_step)), at(b, q, b.mul(k, q_step))
            _load_tile(b, _LEFT, p_here, _ROW)
            for j in range(columns):
                _load_tile(b, _RIGHT + j, at(b, q_here, j * _TILE), _ROW)
                _instruction(b, "tdpbf16ps", [I8(j), I8(_LEFT), I8(_RIGHT + j)])
            if rows == 2:
                _load_tile(b, _LEFT + 1, at(b, p_here, _TILE), _ROW)
                for j in range(columns):
                    _instruction(b, "tdpbf16ps", [I8(2 + j), I8(_LEFT + 1), I8(_RIGHT + j)])
        for i, j, tile in tiles:
            _store_tile(b, tile, at(b, c, i * _HALF * SIDE + j * _HALF), I64(4 * SIDE))

    arguments = [_ADDRESS, _ADDRESS, I64, _ADDRESS, I64, _ADDRESS, I64, I64]
    return routine(module, f"tiles_{rows}x{columns}", arguments, emit, tile=True)


def _products(module: ir.Module) -> ir.Function:
    """Chooses the product of as many tiles as rows and vectors need."""

    def emit(b: ir.IRBuilder, rows: ir.Value, vectors: ir.Value, *rest: ir.Value) -> None:
        def case(height: int, width: int) -> Callable[[], None]:
            return lambda: b.call(_product(module, height, width), rest) and None

        cases = {2 * i + j: case(i, j) for i in (1, 2) for j in (1, 2)}
        is_high = b.zext(b.icmp_signed(">", rows, I64(_HALF)), I64)
        switch(b, b.add(b.mul(b.add(is_high, I64(1)), I64(2)), vectors), cases)

    arguments = [I64, I64, _ADDRESS, _ADDRESS, I64, _ADDRESS, I64, _ADDRESS, I64, I64]
    return routine(module, "tiles", arguments, emit, inline=True)


def _blocks(b: ir.IRBuilder, terms: ir.Value) -> ir.Value:
    return b.sdiv(b.add(terms, I64(SIDE - 1)), I64(SIDE))


def dot(module: ir.Module) -> ir.Function:
    """`microkernel.dot` of a block of C: P are left operands, `p_panel` apart, Q right ones side by side."""

    def emit(b: ir.IRBuilder, *args: ir.Value) -> None:
        rows, vectors, c, start, start_stride, p, p_panel, q, terms = args
        places = [c, start, b.mul(start_stride, I64(4)), p, p_panel, q, I64(PAIR)]
        b.call(_products(module), [rows, vectors, *places, _blocks(b, terms)])

    arguments = [I64, I64, _ADDRESS, _ADDRESS, I64, _ADDRESS, I64, _ADDRESS, I64]
    return routine(module, "tiles_dot", arguments, emit)


def outer(module: ir.Module) -> ir.Function:
    """`microkernel.outer` of a block of W: P are left operands side by side, Q right ones `q_panel` apart.

    Padding of W becomes 0.  Its words are written to `there`, and `apart` from there, unless that is null.
    """
    s = shape(F32)

    def emit(b: ir.IRBuilder, *args: ir.Value) -> None:
        columns, there, apart, rows, vectors, w, p, q, q_panel, terms, scale, kept = args
        sums, masked = _room(b, _BLOCK), _real(b, rows, columns)
        with loop(b, I64(SIDE)) as row:  # needed at the end, and as far as memory
            for line in range(0, SIDE, CACHE_LINE // 4):
                prefetch(b, at(b, at(b, w, b.mul(row, I64(SIDE))), line), near=True)
        nothing = ir.Constant(_ADDRESS, None)
        places = [sums, nothing, I64(0), p, I64(PAIR), q, q_panel]
        b.call(_products(module), [rows, vectors, *places, _blocks(b, terms)])
        step, share, zeros = splat(b, scale, s.lanes), splat(b, kept, s.lanes), constant(s.vector, 0.0)
        is_new = splat(b, b.fcmp_ordered("==", kept, F32(0.0)), s.lanes)
        gradients, before = _pairs_of(b, sums), _pairs_of(b, w)

        def stepped(pair: ir.Value) -> _Rows:
            """Two rows of W, which are changed."""
            changed: list[list[ir.Value]] = []
            for odd, both in enumerate(zip(gradients(pair), before(pair), strict=True)):
                row = b.add(b.mul(pair, I64(2)), I64(odd))
                changed.append([])
                for v, (gradient, weight) in enumerate(zip(*both, strict=True)):
                    kept_part = b.select(is_new, zeros, b.fmul(share, weight))
                    value = masked(row, v, flushed(b, fma(b, step, gradient, kept_part)))
                    store(b, value, at(b, w, b.add(b.mul(row, I64(SIDE)), I64(v * s.lanes))))
                    changed[-1].append(value)
            return changed

        with b.if_else(b.icmp_unsigned("==", there, ir.Constant(there.type, None))) as (alone, beside):
            with alone, loop(b, I64(_HALF)) as pair:
                stepped(pair)
            with beside:
                first = b.bitcast(there, _ADDRESS)
                _write(b, lambda pair: _each(partial(nearest, b), stepped(pair)), first, at(b, first, apart))

    arguments = [I64, I32.as_pointer(), *[I64] * 3, _ADDRESS, _ADDRESS, _ADDRESS, I64, I64, F32, F32]
    return routine(module, "tiles_outer", arguments, emit)
