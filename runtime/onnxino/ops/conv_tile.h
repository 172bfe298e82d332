/* Tiles of two filters by two positions: the inner loops of convolutions and dense layers.
 *
 * Written twice, with the same contract: in C (conv_tile.c) and for the DSP instructions
 * (conv_tile_dsp.c). Sums are exact in 32 bits, so that both give the same bytes in whatever order they add. */
#ifndef ONX_CONV_TILE_H
#define ONX_CONV_TILE_H

#include "dsp.h"

/* Two positions under all filters, two filters at a time. Each position's values lie in `runs` runs of `run` bytes (a
 * multiple of 4), x_skip bytes apart; a filter's weights are adjacent. Where depth is no multiple of 4 there is one run
 * of depth / 4 * 4 values, and behind it a word whose last depth % 4 bytes are the others and whose first are 0. */
typedef struct {
    const int8_t *x[2];
    size_t x_skip[2];
    size_t run, runs;
    size_t depth; /* weights of a filter */
    const int8_t *w;
    const int32_t *bias;
    const float *scale;
    size_t scale_step; /* 0: one scale for all filters; 1: one each */
    int32_t zero_point;
    int8_t *y[2];
    size_t pairs; /* of filters, 1 or more */
} onx_tiles;

/* y[p][m] = clamp(rint(f32(bias[m] + sum(x[p] * w[m])) * scale[m]) + zero_point, -128, 127). */
void onx_tiles_run(const onx_tiles *t);

/* Two filters over many positions, two at a time: pair i is positions 2i and 2i + 1. */
typedef struct {
    const int8_t *x;
    size_t x_next; /* bytes from one position to the next */
    size_t x_skip; /* as above */
    size_t run, runs;
    const uint32_t *w; /* as onx_stream_pack wrote them */
    int32_t bias[2];
    float scale[2];
    int32_t zero_point;
    int8_t *y; /* the two filters' results are adjacent */
    size_t y_next;
    size_t pairs; /* of positions, 1 or more */
} onx_stream;

/* Two adjacent filters of `depth` weights (a multiple of 4) as 16-bit values: depth words. */
void onx_stream_pack(uint32_t *packed, const int8_t *w, size_t depth);

/* The same sums as onx_tiles_run. */
void onx_stream_run(const onx_stream *s);

#endif
