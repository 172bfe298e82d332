/* Four adjacent channels of a depthwise convolution over a row of positions.
 *
 * Written twice, with the same contract: in C (lanes.c) and for the DSP instructions (lanes_dsp.c). */
#ifndef ONX_LANES_H
#define ONX_LANES_H

#include "dsp.h"

enum { ONX_MOST_ROWS = 16 };

typedef struct {
    float scale[4];
    int32_t bias[4];
    int32_t zero_point;
    size_t x_next; /* bytes from one position to the next */
    int8_t *y;
    size_t y_next;
    const int8_t *y_end;               /* y behind the last position; there is one or more */
    size_t x_tap;                      /* bytes from one tap of a row to the next */
    const uint32_t *w;                 /* as onx_lanes_pack wrote them */
    const int8_t *rows[ONX_MOST_ROWS]; /* the first position's first tap in each row of the window */
    size_t height, width;              /* taps of the window; height is at most ONX_MOST_ROWS */
} onx_lanes;

/* The weights of four channels, two words for each tap: height * width taps, w_tap bytes apart. */
void onx_lanes_pack(uint32_t *packed, const int8_t *w, size_t height, size_t width, size_t w_tap);

/* y[i] = clamp(rint(f32(bias[i] + sum(x[i] * w[i])) * scale[i]) + zero_point, -128, 127) of each position. */
void onx_lanes_run(const onx_lanes *l);

#endif
