"""The numbers of C that a tile of the microkernel keeps in registers."""

from llvmlite import ir
from numba.core import cgutils

from .vector import Shape, at, fma, load, splat


class Accumulators:
    """rows x vectors numbers of C, which LLVM keeps in registers."""

    def __init__(self, builder: ir.IRBuilder, shape: Shape, rows: int, vectors: int) -> None:
        self.builder, self.shape, self.rows, self.vectors = builder, shape, rows, vectors
        self.slots = {
            (i, v): cgutils.alloca_once(builder, shape.vector) for i in range(rows) for v in range(vectors)
        }

    def offset(self, i: int, v: int) -> int:
        return i * self.shape.columns + v * self.shape.lanes

    def add_product(self, p: ir.Value, p_stride: int, q: ir.Value) -> None:
        """C[i] += p[i p_stride] q for every row i."""
        builder, lanes = self.builder, self.shape.lanes
        q_vectors = [load(builder, at(builder, q, v * lanes), self.shape.vector) for v in range(self.vectors)]
        for i in range(self.rows):
            scalar = splat(builder, builder.load(at(builder, p, i * p_stride)), lanes)
            for v in range(self.vectors):
                slot = self.slots[i, v]
                builder.store(fma(builder, scalar, q_vectors[v], builder.load(slot)), slot)


def heights(rows: int, most: int) -> list[int]:
    """`rows` cut into as few tiles of at most `most` as possible, of nearly equal heights."""
    tiles = -(-rows // most)
    return [rows // tiles + (t < rows % tiles) for t in range(tiles)]
