"""exp, log and the normal distribution, as vector IR: polynomials of our own, for libm is scalar and differs.

No estimates and no fastmath: additions, multiplications, FMA, division and selection alone, so the bits are
the same on every CPU.  tests/kernels/test_elementary.py holds each to the errors that its docstring states,
in units in the last place (ULP); what is hardly larger than the smallest normal number may be 0.
"""

import math
from typing import Any

from llvmlite import ir

from .vector import F32, F64, I32, I64, SMALLEST, Operators, Vector

# exp(r) = 1 + r + r^2 q(r) for |r| <= ln(2) / 2: q by Chebyshev interpolation, highest power first.
# Relative error of the polynomial: 2^-27 in float32, 2^-56 in float64.
_EXP = {
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
        1.9841269863054616878e-4,
        1.3888888917213716901e-3,
        8.3333333333300618325e-3,
        4.1666666666624127873e-2,
        1.6666666666666667453e-1,
        0.5,
    ),
}
# atanh(t) = t + t^3 p(t^2) for |t| <= 1/3; relative error 2^-31 and 2^-62.
_ATANH = {
    F32: (
        0.1161216461201167441597,
        0.1085328790044018632294,
        0.142961789971514188613,
        0.1999985316596485870117,
        0.3333333366026370623438,
    ),
    F64: (
        0.07815288900461425223126,
        0.03746071897775383650416,
        0.05422589197440007411025,
        0.0586713953065159873001,
        0.06667589315724627918293,
        0.07692271982430274643445,
        0.09090909948981357191284,
        0.111111110991183852785,
        0.142857142858000496461,
        0.1999999999999976125267,
        0.33333333333333333443,
    ),
}
# For x >= 0 the upper tail of the normal distribution is exp(-x^2 / 2) p(t) / (x + k), with
# t = (x - k) / (x + k); relative error 2^-28 up to x = 14, and 2^-59 up to 39.
_TAIL = {
    F32: (
        3.5,
        (
            -0.00001990303990129620393011,
            0.00008143099917586036274411,
            0.0004349696838644404889573,
            -0.0004656910637531441897915,
            -0.003177330074666419322699,
            0.006483023499415135467263,
            0.01740640481916424698932,
            -0.1160517157632206542058,
            0.3154250379229231744971,
            -0.565561791941246008788,
            0.7444160747933654586549,
        ),
    ),
    F64: (
        5.0,
        (
            -3.816180353004239678178e-10,
            -1.160886448380309038682e-9,
            2.220848621773148677501e-9,
            1.079734533574625684795e-8,
            -8.55569662825463269689e-9,
            -7.014220631960926041355e-8,
            4.017796289147373652617e-8,
            4.362925568222539287729e-7,
            -3.345738518771816966036e-7,
            -0.00000277072041351223852075,
            0.000003979804899329089476288,
            0.00001668163959517400609315,
            -0.00004976245616870156950564,
            -0.00005937580735889123326456,
            0.0005448989927584026068328,
            -0.0007978693892958588617068,
            -0.002993376761868742857185,
            0.02079506679926034231578,
            -0.06911863870687813736323,
            0.1650203661704071477956,
            -0.3135331566712874460222,
            0.4953056159699760737153,
            -0.665382502890056851815,
            0.7691930497500629595184,
        ),
    ),
}
_MANTISSA_BITS = {F32: 23, F64: 52}
_LN2 = {F32: (float.fromhex("0x1.62e43p-1"), float.fromhex("-0x1.05c61p-29")),
        F64: (float.fromhex("0x1.62e42fefa39efp-1"), float.fromhex("0x1.abc9e3b39803fp-56"))}  # fmt: skip
_LOWEST = {F32: -87.33, F64: -708.39}  # below it exp would be subnormal, and is 0
_HIGHEST = {
    F32: float.fromhex("0x1.62e43p+6"),
    F64: float.fromhex("0x1.62e42fefa39fp+9"),
}  # from here on, inf
_SQRT_HALF = {F32: 0x3F3504F3, F64: 0x3FE6A09E667F3BCD}  # its bits


class Elementary(Operators):
    """The functions of rows over vectors of one type; formulas.Numpy has the same over arrays."""

    def exp(self, x: Vector) -> Vector:
        """The exponential function, within 1.5 ULP."""
        m, exponent = self._exp_parts(x)
        return self._bounded(x, self._scaled(1.0 + m, exponent), 0.0)

    def expm1(self, x: Vector) -> Vector:
        """exp(x) - 1 for x <= 0, within 1.5 ULP."""
        x = self.maximum(x, _LOWEST[self.vector.element])  # from where on the difference is -1
        m, exponent = self._exp_parts(x)
        power = self._scaled(self.of(1.0), exponent)
        return self.fma(power, m, power - 1.0)

    def log(self, x: Vector) -> Vector:
        """The natural logarithm, within 1 ULP; -inf at 0 and NaN below."""
        b, element = self.b, self.vector.element
        integers, bits = self._integers(), _MANTISSA_BITS[element]
        small = x < SMALLEST[element]
        whole = b.bitcast(self.where(small, x * 2.0**bits, x).value, integers)
        above = b.sub(whole, ir.Constant(integers, [_SQRT_HALF[element]] * self.vector.count))
        exponent = b.ashr(above, ir.Constant(integers, [bits] * self.vector.count))
        shifted = b.shl(exponent, ir.Constant(integers, [bits] * self.vector.count))
        m = self.of(b.bitcast(b.sub(whole, shifted), self.vector))  # sqrt(1/2) <= m < sqrt(2)
        n = self.of(b.sitofp(exponent, self.vector))
        n = self.where(small, n - float(bits), n)
        high, low = _LN2[element]
        f = m - 1.0
        t = f / (2.0 + f)
        # log(m) = 2 atanh(t) = f - t f + 2 t^3 p: the first term is exact
        bend = self.fma(2.0 * (t * t), self._polynomial(_ATANH[element], t * t), -f)
        value = self.fma(n, high, f + self.fma(t, bend, n * low))
        value = self.where(x < math.inf, value, x)
        return self.where(x > 0.0, value, self.where(x < 0.0, math.nan, x - math.inf))

    def log1p(self, x: Vector) -> Vector:
        """log(1 + x) for 0 <= x <= 1, within 2 ULP."""
        t = x / (2.0 + x)
        return 2.0 * self.fma(t * t * t, self._polynomial(_ATANH[self.vector.element], t * t), t)

    def normal(self, x: Vector) -> tuple[Vector, Vector]:
        """The standard normal distribution function, within 8 ULP, and its density, within 3; |x| <= 50."""
        k, coefficients = _TAIL[self.vector.element]
        square = x * x
        lost = self.fma(x, x, -square)  # what rounding took from the square
        e = self.exp(-0.5 * square)
        e = self.fma(e, -0.5 * lost, e)
        distance = self.abs(x)
        q = 1.0 / (distance + k)
        tail = e * (q * self._polynomial(coefficients, (distance - k) * q))
        return self.where(x < 0.0, tail, 1.0 - tail), e * (1 / math.sqrt(2 * math.pi))

    def _integers(self) -> ir.VectorType:
        return ir.VectorType(I32 if self.vector.element == F32 else I64, self.vector.count)

    def _polynomial(self, coefficients: tuple[float, ...], x: Vector) -> Vector:
        """Evaluates a polynomial by Horner's rule, the highest power first."""
        value: Any = coefficients[0]
        for coefficient in coefficients[1:]:
            value = self.fma(value, x, coefficient)
        return value

    def _exp_parts(self, x: Vector) -> tuple[Vector, ir.Value]:
        """m = exp(r) - 1 and the bits of n, shifted to the exponent, of exp(x) = 2^n (1 + m)."""
        b, element = self.b, self.vector.element
        bits = _MANTISSA_BITS[element]
        high, low = _LN2[element]
        magic = 1.5 * 2.0**bits  # adding it rounds to an integer, in the lowest bits
        shifted = self.fma(x, 1 / math.log(2), magic)
        n = shifted - magic
        r = self.fma(n, -high, x)
        r = self.fma(n, -low, r)
        m = self.fma(r * r, self._polynomial(_EXP[element], r), r)
        integers = self._integers()
        exponent = b.shl(
            b.bitcast(shifted.value, integers), ir.Constant(integers, [bits] * self.vector.count)
        )
        return m, exponent

    def _scaled(self, mantissa: Vector, exponent: ir.Value) -> Vector:
        """2^n mantissa, by adding n to the exponent field."""
        b = self.b
        return self.of(b.bitcast(b.add(b.bitcast(mantissa.value, exponent.type), exponent), self.vector))

    def _bounded(self, x: Vector, value: Vector, lowest: float) -> Vector:
        """`value` of an exponential of x, but `lowest` far below, inf far above and NaN for NaN."""
        element = self.vector.element
        value = self.where(x < _LOWEST[element], lowest, value)
        return self.where(x < _HIGHEST[element], value, x * math.inf)
