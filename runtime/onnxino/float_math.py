"""exp, log, tanh, erf, pow and roundings in float32 arrays: engine/float_math.c, operation by operation.

Every product and every sum is rounded by itself, so that NumPy, and C on any processor, give the same bits.
docs/numerics.md states the errors. All functions take float32 arrays of any shape and return the same; none warns.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float32]


def _f32(text: str) -> np.float32:
    return np.float32(float.fromhex(text))


ZERO, HALF, ONE, TWO = (np.float32(v) for v in (0.0, 0.5, 1.0, 2.0))
LOG2_E = _f32("0x1.715476p+0")
LN2_HIGH = _f32("0x1.62e4p-1")  # 16 bits: its product with any exponent is exact
LN2_LOW = _f32("0x1.7f7d1cp-20")  # the rest of ln 2
EXP = [_f32(v) for v in ("0x1.5554a0p-3", "0x1.55568ep-5", "0x1.123236p-7", "0x1.6b6c8ep-10")]
EXP_LEAST, EXP_GREATEST = np.float32(-104.0), np.float32(89.0)  # beyond them the result is 0 or infinite
LOG = [_f32(v) for v in ("0x1.55557ap-1", "0x1.995ed8p-2", "0x1.31e036p-2")]
ROOT_HALF_BITS = np.int32(0x3F3504F3)  # of sqrt(1/2)
LEAST_NORMAL = _f32("0x1p-126")
TANH = [_f32(v) for v in ("-0x1.555532p-2", "0x1.1106f6p-3", "-0x1.b835a4p-5", "0x1.51f8cep-6", "-0x1.750ce2p-8")]
TANH_SMALL = np.float32(0.625)
ERF = [_f32(v) for v in ("0x1.06eba8p-3", "-0x1.81273ep-2", "0x1.ce2ce6p-4", "-0x1.b7f71ap-6", "0x1.53f224p-8",
                         "-0x1.a3515ep-11", "0x1.4771fep-14")]  # fmt: skip
ERFC = [_f32(v) for v in ("-0x1.661c5cp-12", "-0x1.2088eap+0", "-0x1.46baf2p-1", "-0x1.a652f4p-4", "0x1.65ca8ep-6",
                          "-0x1.825862p-9", "0x1.86d7d8p-13")]  # fmt: skip
ERF_ONE = np.float32(4.0)  # from here on erf is 1


def _silent(function: Callable[..., Float]) -> Callable[..., Float]:
    """Overflow, underflow and NaN are results like others: no warnings."""

    @wraps(function)
    def call(*arguments: Any) -> Float:
        with np.errstate(all="ignore"):
            return function(*arguments)

    return call


def _polynomial(x: Float, coefficients: Sequence[np.float32]) -> Float:
    """Horner's rule; the constant term comes first."""
    value: Any = coefficients[-1]
    for coefficient in reversed(coefficients[:-1]):
        value = value * x + coefficient
    return value


def clamp(x: Float, low: Any, high: Any) -> Float:
    """x limited to [low, high]; NaN stays, and so does the sign of a zero that equals a limit."""
    x = np.where(x < low, low, x)
    return np.where(x > high, high, x)


def _power_of_two(exponent: NDArray[np.int32]) -> Float:
    return ((exponent + np.int32(127)) << np.int32(23)).view(np.float32)


@_silent
def exp(x: Float) -> Float:
    """e to the power of x, by 2^k * e^r with abs(r) <= ln(2) / 2."""
    limited = clamp(np.where(np.isnan(x), ZERO, x), EXP_LEAST, EXP_GREATEST)
    k = np.rint(limited * LOG2_E)
    high, low = limited - k * LN2_HIGH, k * LN2_LOW
    r = high - low
    square = r * r
    rest = square * (HALF + r * _polynomial(r, EXP))
    y = ONE + (high - (low - rest))
    exponent = k.astype(np.int32)
    half = exponent >> np.int32(1)  # two factors, for 2^k alone may be no float32
    return np.where(np.isnan(x), x, y * _power_of_two(half) * _power_of_two(exponent - half))


@_silent
def log(x: Float) -> Float:
    """The natural logarithm, by x = 2^k * (1 + f) with sqrt(1/2) <= 1 + f < sqrt(2); -inf for 0, NaN below."""
    subnormal = x < LEAST_NORMAL
    bits = np.where(subnormal, x * np.float32(1 << 25), x).view(np.int32)
    k = (bits - ROOT_HALF_BITS) >> np.int32(23)
    f = (bits - (k << np.int32(23))).view(np.float32) - ONE
    exponent = (k - np.where(subnormal, np.int32(25), np.int32(0))).astype(np.float32)
    s: Any = f / (TWO + f)
    z = s * s
    r = z * _polynomial(z, LOG)
    h = HALF * f * f
    y = exponent * LN2_HIGH - ((h - (s * (h + r) + exponent * LN2_LOW)) - f)
    y = np.where(x < np.inf, y, x)  # infinity and NaN stay
    y = np.where(x == ZERO, np.float32(-np.inf), y)
    return np.where(x < ZERO, np.float32(np.nan), y)


@_silent
def tanh(x: Float) -> Float:
    """The hyperbolic tangent: a polynomial near 0, else 1 - 2 / (e^2a + 1) of a = abs(x), with the sign of x."""
    a = np.abs(x)
    z = a * a
    near = a + a * (z * _polynomial(z, TANH))
    far = ONE - TWO / (exp(TWO * a) + ONE)
    return np.copysign(np.where(a < TANH_SMALL, near, far), x)


@_silent
def erf(x: Float) -> Float:
    """The error function: a polynomial up to 1, else 1 - e^p(a) of a = abs(x), with the sign of x."""
    a = np.abs(x)
    near = a + a * _polynomial(a * a, ERF)
    far = ONE - exp(_polynomial(np.where(a > ERF_ONE, ERF_ONE, a), ERFC))
    return np.copysign(np.where(a < ONE, near, far), x)


@_silent
def power(a: Float, b: Float) -> Float:
    """a to the power of b; both of one shape. Exact products for b = 1, 2, 3, a root for 0.5, else e^(b ln a)."""
    y = exp(b * log(np.abs(a)))
    whole = (np.abs(b) >= np.float32(1 << 23)) | (np.rint(b) == b)
    odd = whole & (np.abs(b) < np.float32(1 << 24)) & (clamp(b, -(1 << 24), 1 << 24).astype(np.int64) & 1 != 0)
    y = np.where(np.abs(a) == ONE, ONE, y)
    y = np.where(np.signbit(a) & odd, -y, y)
    y = np.where((a < ZERO) & (a > -np.inf) & ~whole, np.float32(np.nan), y)
    y = np.where(np.isnan(b), b, y)
    y = np.where(b == HALF, np.sqrt(a), y)
    y = np.where(b == np.float32(3.0), a * a * a, y)
    y = np.where(b == TWO, a * a, y)
    y = np.where(b == ONE, a, y)
    y = np.where(b == -ONE, ONE / a, y)
    return np.where((a == ONE) | (b == ZERO), ONE, y)


@_silent
def floor(x: Float) -> Float:
    """The largest whole number not above x; zeros have the sign of x."""
    return np.floor(x)


@_silent
def ceil(x: Float) -> Float:
    """The smallest whole number not below x; zeros have the sign of x."""
    return np.ceil(x)


@_silent
def round_even(x: Float) -> Float:
    """The nearest whole number, ties to even; zeros have the sign of x."""
    return np.rint(x)


@_silent
def sqrt(x: Float) -> Float:
    """The square root, correctly rounded; NaN below 0."""
    return np.sqrt(x)
