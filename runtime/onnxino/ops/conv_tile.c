/* Tiles of two filters by two positions, in C for any processor. */
#include "conv_tile.h"
#include "dot.h"

#ifndef ONX_DSP

/* acc[filter + 2 * position] += n products each. A function of its own, so that the loop has all registers. */
static ONX_APART void onx_tile_sum(uint32_t acc[4], const int8_t *x0, const int8_t *x1, const int8_t *w0,
                                   const int8_t *w1, size_t n)
{
    uint32_t a0 = 0, a1 = 0, a2 = 0, a3 = 0;
    ONX_ROLLED
    for (size_t i = 0; i < n; i++) {
        a0 += onx_multiply(x0[i], w0[i]);
        a1 += onx_multiply(x0[i], w1[i]);
        a2 += onx_multiply(x1[i], w0[i]);
        a3 += onx_multiply(x1[i], w1[i]);
    }
    acc[0] += a0;
    acc[1] += a1;
    acc[2] += a2;
    acc[3] += a3;
}

/* The four results of a tile. */
static void onx_tile_finish(const uint32_t acc[4], float scale0, float scale1, int32_t zero_point, int8_t *y0,
                            int8_t *y1)
{
    float low = (float)(-128 - zero_point), high = (float)(127 - zero_point);
    y0[0] = onx_requantize((int32_t)acc[0], scale0, low, high, zero_point);
    y0[1] = onx_requantize((int32_t)acc[1], scale1, low, high, zero_point);
    y1[0] = onx_requantize((int32_t)acc[2], scale0, low, high, zero_point);
    y1[1] = onx_requantize((int32_t)acc[3], scale1, low, high, zero_point);
}

void onx_tiles_run(const onx_tiles *t)
{
    const int8_t *w = t->w;
    size_t tail = t->depth % 4u;
    for (size_t m = 0; m < 2u * t->pairs; m += 2u, w += t->depth) {
        const int8_t *x0 = t->x[0], *x1 = t->x[1];
        uint32_t acc[4] = { (uint32_t)t->bias[m], (uint32_t)t->bias[m + 1u], (uint32_t)t->bias[m],
                            (uint32_t)t->bias[m + 1u] };
        for (size_t run = t->runs; run > 0u; run--) {
            onx_tile_sum(acc, x0, x1, w, w + t->depth, t->run);
            w += t->run;
            x0 += t->run;
            x1 += t->run;
            if (run > 1u) {
                x0 += t->x_skip[0];
                x1 += t->x_skip[1];
            }
        }
        if (tail != 0u) {
            onx_tile_sum(acc, x0, x1, w + tail - 4, w + t->depth + tail - 4, 4u);
            w += tail;
        }
        onx_tile_finish(acc, t->scale[m * t->scale_step], t->scale[(m + 1u) * t->scale_step], t->zero_point,
                        t->y[0] + m, t->y[1] + m);
    }
}

void onx_stream_pack(uint32_t *packed, const int8_t *w, size_t depth)
{
    ONX_COPY(packed, w, 2u * depth); /* nothing is gained by widening them here */
}

void onx_stream_run(const onx_stream *s)
{
    const int8_t *w0 = (const int8_t *)s->w, *w1 = w0 + s->runs * s->run, *x = s->x;
    int8_t *y = s->y;
    for (size_t pair = 0; pair < s->pairs; pair++, x += 2u * s->x_next, y += 2u * s->y_next) {
        uint32_t acc[4] = { (uint32_t)s->bias[0], (uint32_t)s->bias[1], (uint32_t)s->bias[0], (uint32_t)s->bias[1] };
        for (size_t run = 0; run < s->runs; run++) {
            const int8_t *from = x + run * (s->run + s->x_skip);
            onx_tile_sum(acc, from, from + s->x_next, w0 + run * s->run, w1 + run * s->run, s->run);
        }
        onx_tile_finish(acc, s->scale[0], s->scale[1], s->zero_point, y, y + s->y_next);
    }
}

#endif
