/* Elementary functions in float32. Each product goes through onx_product where a sum follows: never fused. */
#include "float_math.h"

static const float onx_ln2_high = 0x1.62e4p-1f; /* 16 bits: its product with any exponent is exact */
static const float onx_ln2_low = 0x1.7f7d1cp-20f;

/* Horner's rule; the constant term comes first. */
static float onx_polynomial(float x, const float *coefficients, uint32_t count)
{
    float value = coefficients[count - 1u];
    for (uint32_t i = count - 1u; i-- > 0u;)
        value = onx_product(value, x) + coefficients[i];
    return value;
}

static float onx_power_of_two(int32_t exponent) { return onx_float((uint32_t)(exponent + 127) << 23); }

/* 2^k * e^r with abs(r) <= ln(2) / 2 */
float onx_exp(float x)
{
    static const float c[] = { 0x1.5554a0p-3f, 0x1.55568ep-5f, 0x1.123236p-7f, 0x1.6b6c8ep-10f };
    if (onx_is_nan(x))
        return x;
    x = onx_clamp(x, -104.0f, 89.0f); /* beyond, the result is 0 or infinite */
    int32_t exponent = onx_rint(onx_product(x, 0x1.715476p+0f));
    float k = (float)exponent;
    float high = x - onx_product(k, onx_ln2_high), low = onx_product(k, onx_ln2_low);
    float r = high - low;
    float square = onx_product(r, r);
    float rest = onx_product(square, 0.5f + onx_product(r, onx_polynomial(r, c, 4u)));
    float y = 1.0f + (high - (low - rest));
    int32_t half = (exponent + 256) / 2 - 128; /* two factors, for 2^k alone may be no float32 */
    return y * onx_power_of_two(half) * onx_power_of_two(exponent - half);
}

/* x = 2^k * (1 + f) with sqrt(1/2) <= 1 + f < sqrt(2) */
float onx_log(float x)
{
    static const float c[] = { 0x1.55557ap-1f, 0x1.995ed8p-2f, 0x1.31e036p-2f };
    const uint32_t root_half = 0x3F3504F3u;
    int32_t shift = 0;
    if (x < 0.0f)
        return onx_float(0x7FC00000u);
    if (x == 0.0f)
        return onx_float(0xFF800000u);
    if (onx_bits(x) >= 0x7F800000u) /* infinity and NaN */
        return x;
    if (x < 0x1p-126f) {
        x *= 0x1p25f;
        shift = 25;
    }
    uint32_t bits = onx_bits(x);
    int32_t k = (int32_t)((bits + (0x3F800000u - root_half)) >> 23) - 127;
    float f = onx_float(bits - ((uint32_t)k << 23)) - 1.0f;
    float exponent = (float)(k - shift);
    float s = f / (2.0f + f);
    float z = onx_product(s, s);
    float r = onx_product(z, onx_polynomial(z, c, 3u));
    float h = onx_product(0.5f * f, f);
    float low = onx_product(s, h + r) + onx_product(exponent, onx_ln2_low);
    return onx_product(exponent, onx_ln2_high) - ((h - low) - f);
}

/* A polynomial near 0, else 1 - 2 / (e^2a + 1) of a = abs(x), with the sign of x. */
float onx_tanh(float x)
{
    static const float c[] = { -0x1.555532p-2f, 0x1.1106f6p-3f, -0x1.b835a4p-5f, 0x1.51f8cep-6f, -0x1.750ce2p-8f };
    float a = onx_abs(x), z = onx_product(a, a), y;
    if (a < 0.625f)
        y = a + onx_product(a, onx_product(z, onx_polynomial(z, c, 5u)));
    else
        y = 1.0f - 2.0f / (onx_exp(2.0f * a) + 1.0f);
    return onx_with_sign(y, x);
}

/* A polynomial up to 1, else 1 - e^p(a) of a = abs(x), with the sign of x. */
float onx_erf(float x)
{
    static const float near[] = { 0x1.06eba8p-3f, -0x1.81273ep-2f,  0x1.ce2ce6p-4f, -0x1.b7f71ap-6f,
                                  0x1.53f224p-8f, -0x1.a3515ep-11f, 0x1.4771fep-14f };
    static const float far[] = { -0x1.661c5cp-12f, -0x1.2088eap+0f, -0x1.46baf2p-1f, -0x1.a652f4p-4f,
                                 0x1.65ca8ep-6f,   -0x1.825862p-9f, 0x1.86d7d8p-13f };
    float a = onx_abs(x), y;
    if (a < 1.0f)
        y = a + onx_product(a, onx_polynomial(onx_product(a, a), near, 7u));
    else
        y = 1.0f - onx_exp(onx_polynomial(a > 4.0f ? 4.0f : a, far, 7u)); /* from 4 on erf is 1 */
    return onx_with_sign(y, x);
}

/* Exact products for b = 1, 2, 3, a root for 0.5, else e^(b ln a). */
float onx_pow(float a, float b)
{
    if (a == 1.0f || b == 0.0f)
        return 1.0f;
    if (b == -1.0f)
        return 1.0f / a;
    if (b == 1.0f)
        return a;
    if (b == 2.0f)
        return a * a;
    if (b == 3.0f)
        return a * a * a;
    if (b == 0.5f)
        return onx_sqrt(a);
    if (onx_is_nan(b))
        return b;
    int whole = onx_round_even(b) == b;
    if (a < 0.0f && onx_bits(a) != 0xFF800000u && !whole)
        return onx_float(0x7FC00000u);
    int odd = whole && onx_abs(b) < 16777216.0f && ((int32_t)b & 1) != 0;
    float y = onx_abs(a) == 1.0f ? 1.0f : onx_exp(b * onx_log(onx_abs(a)));
    return odd && onx_bits(a) >> 31 != 0u ? -y : y;
}

/* 25 bits of the root, of which the last one rounds: a tie cannot be, for its square would have more bits than x. */
float onx_sqrt_by_digits(float x)
{
    uint32_t bits = onx_bits(x), root = 0;
    if (x == 0.0f || onx_is_nan(x) || bits == 0x7F800000u)
        return x;
    if (x < 0.0f)
        return onx_float(0x7FC00000u);
    int32_t exponent = (int32_t)(bits >> 23) - 150; /* x = significand * 2^exponent */
    uint32_t significand = (bits & 0x7FFFFFu) | 0x800000u;
    if (bits < 0x800000u) {
        exponent = -149;
        for (significand = bits; significand < 0x800000u; significand <<= 1)
            exponent--;
    }
    if (exponent % 2 == 0) { /* odd, so that less 25 it can be halved */
        significand <<= 1;
        exponent--;
    }
    uint64_t square = (uint64_t)significand << 25;
    for (uint32_t bit = 1u << 24; bit != 0u; bit >>= 1)
        if ((uint64_t)(root | bit) * (root | bit) <= square)
            root |= bit;
    uint32_t nearest = (root + 1u) >> 1;
    return onx_float(nearest - 0x800000u + ((uint32_t)((exponent - 25) / 2 + 1 + 150) << 23));
}
