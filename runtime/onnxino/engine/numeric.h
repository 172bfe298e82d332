/* The float32 steps that all executors share: rint, fma, rounded products, requantization (docs/numerics.md).
 *
 * Needs IEEE binary32 without excess precision, round to nearest and no flush to zero: the reset state of every
 * Cortex-M FPU. */
#ifndef ONX_NUMERIC_H
#define ONX_NUMERIC_H

#include <float.h>

#include "model_reader.h"

#ifdef __FAST_MATH__
#error "Onnxino needs exact float arithmetic: compile without -ffast-math"
#endif
#if defined(FLT_EVAL_METHOD) && FLT_EVAL_METHOD != 0
#error "Onnxino needs float expressions evaluated as float (on 32-bit x86: -msse2 -mfpmath=sse)"
#endif

#if defined(__arm__) && defined(__ARM_FP) && (__ARM_FP & 4)
#define ONX_ARM_FPU 1
#endif

/* a * b rounded to float32. Compilers may fuse a product with the sum that follows unless told -ffp-contract=off; the
 * empty assembly makes the rounded product a value that cannot be fused, whatever the flags say. */
static inline float onx_product(float a, float b)
{
    float p = a * b;
#if defined(ONX_ARM_FPU)
    __asm__("" : "+t"(p));
#elif defined(__aarch64__) && defined(__GNUC__)
    __asm__("" : "+w"(p));
#elif defined(__x86_64__) && defined(__FMA__) && defined(__GNUC__)
    __asm__("" : "+x"(p));
#elif defined(__FP_FAST_FMAF)
    volatile float rounded = p;
    p = rounded;
#endif
    return p;
}

/* Nearest integer, ties to even, for |v| <= 2^22. */
static inline int32_t onx_rint(float v)
{
#ifdef ONX_ARM_FPU
    float r;
    int32_t i;
    __asm__("vcvtr.s32.f32 %0, %1" : "=t"(r) : "t"(v)); /* rounds as FPSCR says: to nearest even */
    ONX_COPY(&i, &r, sizeof i);
    return i;
#else
    int32_t bits; /* adding 1.5 * 2^23 leaves the integer in the low bits of the significand */
    v += 12582912.0f;
    ONX_COPY(&bits, &v, sizeof bits);
    return bits - 0x4B400000;
#endif
}

/* a * b + c rounded once. */
static inline float onx_fma(float a, float b, float c)
{
#if defined(ONX_ARM_FPU) && defined(__ARM_FEATURE_FMA)
    __asm__("vfma.f32 %0, %1, %2" : "+t"(c) : "t"(a), "t"(b));
    return c;
#else
    /* The product is exact in float64. The sum is rounded to odd there (the last bit is set where it is not exact),
     * after which rounding to float32 gives what one rounding gives: float64 has more than two bits to spare. */
    double product = (double)a * (double)b;
    double addend = (double)c;
    double sum = product + addend;
    double part = sum - product;
    double error = (product - (sum - part)) + (addend - part);
    int64_t bits;
    ONX_COPY(&bits, &sum, sizeof bits);
    if ((error > 0.0 || error < 0.0) && (bits & 1) == 0) { /* neither for an infinite sum */
        bits += (error > 0.0) == (sum > 0.0) ? 1 : -1;
        ONX_COPY(&sum, &bits, sizeof sum);
    }
    return (float)sum;
#endif
}

/* v limited to [low, high], NaN to low. Before rounding, whole limits give the same as after it. */
static inline float onx_clampf(float v, float low, float high)
{
    v = v > low ? v : low;
    return v < high ? v : high;
}

/* What follows an int32 accumulator. low and high are the output's limits less zero_point. */
typedef struct {
    const float *scale;
    uint32_t step; /* 0: one scale for all channels; 1: one each */
    float low, high;
    int32_t zero_point;
    int is_float; /* the output is float32: scaled, neither rounded nor limited */
} onx_requantizer;

static inline onx_requantizer onx_requantizer_of(onx_fb_requantization t, uint8_t output_type)
{
    onx_f32s scale = onx_fb_requantization_scale(t);
    int32_t zero = onx_fb_requantization_zero_point(t);
    onx_requantizer r = { scale.data,
                          scale.count > 1u ? 1u : 0u,
                          (float)(onx_fb_requantization_minimum(t) - zero),
                          (float)(onx_fb_requantization_maximum(t) - zero),
                          zero,
                          output_type == ONX_ELEMENT_TYPE_FLOAT32 };
    return r;
}

/* clamp(rint(f32(acc) * scale) + zero_point) */
static inline int8_t onx_requantize(int32_t acc, float scale, float low, float high, int32_t zero_point)
{
    return (int8_t)(onx_rint(onx_clampf((float)acc * scale, low, high)) + zero_point);
}

/* Writes a channel of a pixel or row at y, int8 or float32, from its accumulator. */
static inline void onx_finish(const onx_requantizer *r, void *y, size_t channel, int32_t acc)
{
    float scale = r->scale[channel * r->step];
    if (r->is_float)
        ((float *)y)[channel] = (float)acc * scale;
    else
        ((int8_t *)y)[channel] = onx_requantize(acc, scale, r->low, r->high, r->zero_point);
}

/* The same for channels m to m + 3. Fields are read before y is written, which the compiler must take for them. */
static inline void onx_finish4(const onx_requantizer *r, void *y, size_t m, const uint32_t acc[4])
{
    const float *scale = r->scale + m * r->step;
    size_t step = r->step;
    float low = r->low, high = r->high;
    int32_t zero_point = r->zero_point;
    if (r->is_float)
        for (size_t i = 0; i < 4u; i++)
            ((float *)y)[m + i] = (float)(int32_t)acc[i] * scale[i * step];
    else
        for (size_t i = 0; i < 4u; i++)
            ((int8_t *)y)[m + i] = onx_requantize((int32_t)acc[i], scale[i * step], low, high, zero_point);
}

/* clamp(rint(v) - offset) for v that holds the zero point in the domain, as low and high are. */
static inline int8_t onx_round_domain(float v, float low, float high, int32_t domain_offset)
{
    return (int8_t)(onx_rint(onx_clampf(v, low, high)) - domain_offset);
}

#endif
