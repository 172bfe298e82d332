/* exp, log, tanh, erf, pow, sqrt and roundings in float32, without a C library. runtime/onnxino/float_math.py does the
 * same operations in the same order, so that all executors share every bit; docs/numerics.md states the errors. */
#ifndef ONX_FLOAT_MATH_H
#define ONX_FLOAT_MATH_H

#include "numeric.h"

float onx_exp(float x);
float onx_log(float x); /* natural; -inf for 0, NaN below */
float onx_tanh(float x);
float onx_erf(float x);
float onx_pow(float a, float b);
float onx_sqrt_by_digits(float x); /* onx_sqrt for processors without the instruction */

static inline uint32_t onx_bits(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

static inline float onx_float(uint32_t bits)
{
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

static inline int onx_is_nan(float x) { return (onx_bits(x) & 0x7FFFFFFFu) > 0x7F800000u; }
static inline float onx_abs(float x) { return onx_float(onx_bits(x) & 0x7FFFFFFFu); }
/* The magnitude of x with the sign of y. */
static inline float onx_with_sign(float x, float y)
{
    return onx_float((onx_bits(x) & 0x7FFFFFFFu) | (onx_bits(y) & 0x80000000u));
}

/* x limited to [low, high]; NaN stays, and so does the sign of a zero that equals a limit. */
static inline float onx_clamp(float x, float low, float high)
{
    x = x < low ? low : x;
    return x > high ? high : x;
}

/* The square root, correctly rounded; NaN below 0. */
static inline float onx_sqrt(float x)
{
#if defined(ONX_ARM_FPU)
    __asm__("vsqrt.f32 %0, %1" : "=t"(x) : "t"(x));
    return x;
#elif defined(__x86_64__) && defined(__GNUC__)
    __asm__("sqrtss %1, %0" : "=x"(x) : "x"(x));
    return x;
#elif defined(__aarch64__) && defined(__GNUC__)
    __asm__("fsqrt %s0, %s1" : "=w"(x) : "w"(x));
    return x;
#else
    return onx_sqrt_by_digits(x);
#endif
}

/* The nearest whole number, ties to even; zeros have the sign of x. */
static inline float onx_round_even(float x)
{
    float a = onx_abs(x);
    if (!(a < 8388608.0f)) /* 2^23: whole already, or NaN */
        return x;
    return onx_with_sign((a + 8388608.0f) - 8388608.0f, x);
}

/* The largest whole number not above x; zeros have the sign of x. */
static inline float onx_floor(float x)
{
    float r = onx_round_even(x);
    return r > x ? onx_with_sign(r - 1.0f, x) : r;
}

/* The smallest whole number not below x; zeros have the sign of x. */
static inline float onx_ceil(float x)
{
    float r = onx_round_even(x);
    return r < x ? onx_with_sign(r + 1.0f, x) : r;
}

#endif
