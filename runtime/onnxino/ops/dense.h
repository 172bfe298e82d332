/* One row of a dense layer, four units at a time.
 *
 * Written twice, with the same contract: in C (dense.c) and for the DSP instructions (dense_dsp.c). */
#ifndef ONX_DENSE_H
#define ONX_DENSE_H

#include "dsp.h"

typedef struct {
    const int8_t *x;
    size_t depth;    /* values of x, weights of a unit */
    const int8_t *w; /* the first unit's weights */
    const int32_t *bias;
    const float *scale;
    size_t scale_step; /* 0: one scale for all units; 1: one each */
    int32_t zero_point;
    int8_t *y;
    size_t fours; /* of units, 1 or more */
} onx_dense;

/* y[n] = clamp(rint(f32(bias[n] + sum(x * w[n])) * scale[n]) + zero_point, -128, 127). */
void onx_dense_run(const onx_dense *d);

#endif
