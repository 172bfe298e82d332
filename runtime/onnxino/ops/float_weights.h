/* Weights of float32 operators, stored as float32 or as int8 with scales, and sums of products in the written order. */
#ifndef ONX_FLOAT_WEIGHTS_H
#define ONX_FLOAT_WEIGHTS_H

#include "engine/kernel.h"
#include "engine/numeric.h"

enum { ONX_FLOAT_BLOCK = 4 }; /* output channels computed together: each input value is loaded once for all of them */

typedef struct {
    const float *real;    /* NULL: stored as int8 */
    const int8_t *stored; /* NULL: stored as float32 */
    const float *scale;   /* of stored weights */
    uint32_t step;        /* 0: one scale for all output channels; 1: one each */
} onx_float_weights;

onx_float_weights onx_float_weights_of(onx_fb_weights weights, onx_f32s scale);

/* How many weights there are, whatever their type. */
uint32_t onx_float_weights_count(onx_fb_weights weights);

/* Exactly `count` finite weights: float32 without scales, or int8 with one scale or one for each output channel. */
int onx_float_weights_fit(onx_fb_weights weights, onx_f32s scale, uint64_t count, uint32_t outputs);

/* acc[i] += x[k] * weights[at + i * apart + k] for each k < n in order, for `block` (1 or ONX_FLOAT_BLOCK) output
 * channels beginning with m. */
void onx_float_products(const onx_float_weights *weights, float acc[ONX_FLOAT_BLOCK], size_t block, size_t m,
                        const float *x, size_t at, size_t apart, size_t n);

/* min(max(v + 0.0, low), high); NaN stays. */
static inline float onx_float_finish(float v, float low, float high)
{
    v += 0.0f; /* no zero is negative, so that it does not matter which of two zeros is the greater */
    low += 0.0f;
    high += 0.0f;
    v = v < low ? low : v;
    return v > high ? high : v;
}

#endif
