"""A member's share of a phase whose units are panels x others, and the walk through it.

`others` are tiles of samples (forward), panels of samples (backward) or panels of inputs (update).
"""

from typing import Any, NamedTuple

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from .jit import helper
from .team import Member, share
from .vector import I64

PARTS = 3  # of a share


@intrinsic
def ceil_div(typingctx: Any, a: Any, b: Any) -> Any:
    """a / b, rounded up.  (An intrinsic, for inlining it in thirty places costs seconds of compiling.)"""

    def emit(context: Any, builder: ir.IRBuilder, signature: Any, arguments: Any) -> ir.Value:
        a, b = arguments
        return builder.sdiv(builder.add(a, builder.sub(b, I64(1))), b)

    return types.int64(types.int64, types.int64), emit


class Share(NamedTuple):
    """A member's units of panels x others, counted panel by panel: from one cursor up to another."""

    panel: int
    other: int
    last_panel: int
    last_other: int
    others: int
    block: int  # panels that stay in cache together


@helper
def share_of(vectors: int, most: int, others: int, reused: int, cached: int, member: Member) -> Share:
    """A share by weight: all panels have `most` vectors but the last, which has the rest of `vectors`.

    So members get equal work, and write nearly the same weights in an update that they read in the next
    forward pass.  A panel means `reused` numbers to keep in cache, where `cached` have room.
    """
    block = max(1, cached // reused)
    if member.size == 1:
        return Share(0, 0, ceil_div(vectors, most), 0, others, block)
    first, last = share(vectors * others, member)
    full, left = vectors // most * others, max(1, vectors % most)
    first = first // most if first < full * most else full + (first - full * most) // left
    last = last // most if last < full * most else full + (last - full * most) // left
    return Share(first // others, first % others, last // others, last % others, others, block)


@helper
def count(mine: Share) -> int:
    return (mine.last_panel - mine.panel) * mine.others + mine.last_other - mine.other


class Cursor(NamedTuple):
    """A unit, in a part of a share that is a rectangle.

    A part is walked in blocks of panels.  Within a block all panels take one `other` before the next, so
    that the operand that streams through the cache is read as few times as possible.
    """

    panel: int
    other: int
    begin: int  # of the block
    end: int
    last_panel: int
    first_other: int
    last_other: int


@helper
def begin_of(number: int, mine: Share) -> Cursor:
    """Where a part begins: 0 is what is left of a panel, 1 whole panels, 2 the beginning of one."""
    panel, other, last_panel, last_other, others, block = mine
    whole = panel + (other > 0)
    if number == 0:
        end = others if last_panel > panel else last_other
        return Cursor(panel, other, panel, whole, whole, other, end)
    if number == 1:
        return Cursor(whole, 0, whole, min(whole + block, last_panel), last_panel, 0, others)
    begin = max(whole, last_panel)
    end = last_panel + (last_other > 0)
    return Cursor(begin, 0, begin, end, end, 0, last_other)


@helper
def units(part: Cursor) -> int:
    return max(0, part.last_panel - part.panel) * (part.last_other - part.first_other)


@helper
def after(cursor: Cursor, mine: Share) -> Cursor:
    """The next cursor; no divisions, which a small network's units would feel."""
    panel, other, begin, end, last_panel, first_other, last_other = cursor
    panel += 1
    if panel == end:
        panel = begin
        other += 1
        if other == last_other:
            other = first_other
            panel = begin = end
            end = min(begin + mine.block, last_panel)
    return Cursor(panel, other, begin, end, last_panel, first_other, last_other)
