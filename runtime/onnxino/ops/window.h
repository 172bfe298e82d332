/* Windows that slide over an image with borders: the taps that lie inside, and the check of the output's shape. */
#ifndef ONX_WINDOW_H
#define ONX_WINDOW_H

#include "engine/kernel.h"

/* Taps first <= t < end of a window lie inside the image. */
typedef struct {
    int32_t first, end;
} onx_taps;

/* A window of `kernel` taps, `dilation` apart, from `start` (negative in the border) in an image `size` wide. */
static inline onx_taps onx_taps_inside(int32_t start, int32_t dilation, int32_t kernel, int32_t size)
{
    onx_taps taps = { 0, kernel };
    if (start < 0)
        taps.first = (dilation - 1 - start) / dilation;
    if (start >= size) {
        taps.end = 0;
    } else {
        int32_t inside = (size - start + dilation - 1) / dilation;
        taps.end = inside < kernel ? inside : kernel;
    }
    if (taps.first > taps.end)
        taps.first = taps.end;
    return taps;
}

/* One axis of a window. */
typedef struct {
    int32_t kernel, stride, dilation, before, after;
} onx_axis;

static inline onx_axis onx_axis_h(onx_window2d w)
{
    onx_axis a = { w.kernel_h, w.stride_h, w.dilation_h, w.pad_top, w.pad_bottom };
    return a;
}

static inline onx_axis onx_axis_w(onx_window2d w)
{
    onx_axis a = { w.kernel_w, w.stride_w, w.dilation_w, w.pad_left, w.pad_right };
    return a;
}

/* Input and output are [N,H,W,C] with the same N; each output axis is (padded - window) / stride + 1, rounded down. */
int onx_window_fits_convolution(onx_window2d w, const onx_tensor *input, const onx_tensor *output);

/* The same for pooling: also rounded up (ceil_mode), with the same C, and every window has a tap inside the image. */
int onx_window_fits_pool(onx_window2d w, const onx_tensor *input, const onx_tensor *output);

#endif
