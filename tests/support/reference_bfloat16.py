"""Products of bfloat16 in groups of 32 terms, and training by them: slow, and independent of fastbp.

Every number is a float32; `fma` rounds once, and then makes 0 of what is subnormal, as x86 does.
Letters: m samples of a batch, k inputs, j outputs of a layer. Samples are rows.
"""

import numpy as np

SMALLEST = 2.0**-126
GROUP, CHUNK, BLOCK = 32, 128, 512  # terms; samples of a gradient that are summed from 0; samples of a block


def flushed(x):
    """x, with 0 of its sign for subnormal numbers."""
    return np.where(np.abs(x) < SMALLEST, np.copysign(np.float32(0), x), x)


def rounded(x):
    """float32s rounded to bfloat16, to nearest even."""
    x = np.asarray(x, np.float32)
    bits = flushed(x).view(np.uint32).astype(np.uint64)
    nearest = (bits + 0x7FFF + ((bits >> 16) & 1)) & 0xFFFF0000
    return np.where(np.isnan(x), x, nearest.astype(np.uint32).view(np.float32))


def _float32(exact, error):
    """The float64 sum `exact` + `error` as float32, which is rounded once: to odd first, then to nearest."""
    bits = exact.view(np.int64)
    away = np.where((error > 0) == (exact > 0), 1, -1)
    is_even = (bits & 1 == 0) & (error != 0) & np.isfinite(exact)
    odd = np.where(is_even, np.where(away > 0, bits | 1, bits - 1), bits).view(np.float64)
    is_tiny = np.abs(odd) < SMALLEST - 2.0**-151
    return np.where(is_tiny, np.copysign(np.float64(0), odd), odd).astype(np.float32)


def fma(a, b, c):
    """a b + c for bfloat16s a and b, and a float32 c."""
    product, c = flushed(a).astype(np.float64) * flushed(b), flushed(c).astype(np.float64)
    total = product + c
    back = total - product
    error = (product - (total - back)) + (c - back)
    return _float32(total, np.where(np.isfinite(error), error, 0.0))


def product(start, p, q):
    """start (rows, columns) + p (rows, terms) q (terms, columns), of numbers that are rounded already."""
    c = np.array(np.broadcast_to(start, (len(p), q.shape[1])), np.float32)
    for first in range(0, q.shape[0], GROUP):
        even, odd = np.zeros_like(c), np.zeros_like(c)
        for k in range(first, first + GROUP, 2):
            even, odd = (_step(chain, p, q, term) for chain, term in ((even, k), (odd, k + 1)))
        c = _sum(c, _sum(even, odd))
    return c


def _step(chain, p, q, term):
    if term < q.shape[0]:
        return fma(p[:, term : term + 1], q[term], chain)
    return fma(np.float32(0), np.zeros_like(chain), chain)


def _sum(x, y):
    x, y = flushed(x).astype(np.float64), flushed(y).astype(np.float64)
    return _float32(x + y, np.zeros_like(x))


def forward(weights, biases, X):
    """What every layer reads, rounded, and z of the last; hidden layers are relu."""
    signals = [rounded(X)]
    for layer, (w, b) in enumerate(zip(weights, biases, strict=True)):
        z = product(b.T, signals[-1], rounded(w).T)
        if layer < len(weights) - 1:
            signals.append(rounded(np.maximum(z, 0)))
    return signals, z


def deltas(weights, signals, delta):
    """Every layer's delta, rounded, from that of the outputs."""
    found = [rounded(delta)]
    for layer in reversed(range(1, len(weights))):
        zeros = np.zeros((1, weights[layer].shape[1]), np.float32)
        upstream = product(zeros, found[0], rounded(weights[layer]))
        found.insert(0, rounded(np.where(signals[layer] > 0, upstream, 0)))
    return found


def summed(x, d):
    """The gradient (j, k) of at most a block, by chunks of samples; each chunk's sum, and the biases'."""
    zeros = np.zeros((1, x.shape[1]), np.float32)
    chunks = [product(zeros, d[i : i + CHUNK].T, x[i : i + CHUNK]) for i in range(0, len(x), CHUNK)]
    bias = np.zeros((d.shape[1], 1), np.float32)
    for row in d:
        bias = bias + row[:, np.newaxis]
    return chunks, bias


def exact_fma(x, y, z):
    """x y + z of float32s, rounded once; what is subnormal is 0."""
    exact = x.astype(np.longdouble) * np.longdouble(y) + z.astype(np.longdouble)
    value = exact.astype(np.float32)
    return np.where(np.abs(value) < SMALLEST, np.float32(0), value)


def _blocks(weights, biases, X, Y):
    """The layer, the sums of chunks and the biases' sum, for each layer of each block of a batch."""
    for first in range(0, len(X), BLOCK):
        signals, z = forward(weights, biases, X[first : first + BLOCK])
        for layer, d in enumerate(deltas(weights, signals, z - Y[first : first + BLOCK])):
            yield layer, *summed(signals[layer], d)


def step(weights, biases, X, Y, rate):
    """Weights and biases after a step of plain descent; relu, linear outputs, quadratic cost."""
    new = [w.copy() for w in weights], [b.copy() for b in biases]
    scale = np.float32(-rate / len(X))
    for layer, chunks, bias in _blocks(weights, biases, X, Y):
        for chunk in chunks:
            new[0][layer] = exact_fma(chunk, scale, new[0][layer])
        new[1][layer] = exact_fma(bias, scale, new[1][layer])
    return new


def gradient(weights, biases, X, Y):
    """The gradient of the summed cost, by weights and by biases."""
    found = [np.zeros_like(w) for w in weights], [np.zeros_like(b) for b in biases]
    for layer, chunks, bias in _blocks(weights, biases, X, Y):
        for chunk in chunks:
            found[0][layer] = exact_fma(chunk, np.float32(1), found[0][layer])
        found[1][layer] = exact_fma(bias, np.float32(1), found[1][layer])
    return found


def penalised_step(weights, biases, X, Y, rate, l2):
    """The same by the mean gradient and that of l2 w^2 / 2, which biases have not."""
    rate, l2, scale = np.float32(-rate), np.float32(l2), np.float32(1 / len(X))
    nablas = gradient(weights, biases, X, Y)
    return (
        [exact_fma(exact_fma(g, scale, l2 * w), rate, w) for w, g in zip(weights, nablas[0], strict=True)],
        [exact_fma(g * scale, rate, b) for b, g in zip(biases, nablas[1], strict=True)],
    )
