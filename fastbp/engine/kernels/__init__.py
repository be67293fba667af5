"""Everything that is compiled, and nothing else.

A matrix is stored in *panels*: ``[columns / NR][rows][NR]``, NR columns side by side and 64-byte
aligned, the last panel padded with zero columns.  Weights have their inputs as rows and their outputs
as columns; activations and deltas have samples as rows; a transposed delta has outputs as rows and
samples as columns.  One format makes every stride of every product a compile-time constant.
"""
