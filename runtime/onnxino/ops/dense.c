/* One row of a dense layer, in C for any processor. */
#include "dense.h"
#include "dot.h"

#ifndef ONX_DSP

void onx_dense_run(const onx_dense *d)
{
    const onx_patch patch = { .rows = 1u, .runs = 1u, .run = d->depth };
    const onx_requantizer q = {
        d->scale, (uint32_t)d->scale_step, (float)(-128 - d->zero_point), (float)(127 - d->zero_point), d->zero_point, 0
    };
    for (size_t n = 0; n < 4u * d->fours; n += 4u) {
        uint32_t acc[4];
        for (size_t i = 0; i < 4u; i++)
            acc[i] = (uint32_t)d->bias[n + i];
        onx_dot4(acc, d->x, d->w + n * d->depth, d->depth, &patch);
        onx_finish4(&q, d->y, n, acc);
    }
}

#endif
