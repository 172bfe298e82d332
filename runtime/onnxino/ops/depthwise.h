/* Depthwise convolution: what its parts share (depthwise_conv2d.c, depthwise_plain.c, depthwise_lanes.c). */
#ifndef ONX_DEPTHWISE_H
#define ONX_DEPTHWISE_H

#include "engine/numeric.h"
#include "window.h"

/* Everything about an operator, worked out once. */
typedef struct {
    const int8_t *weights;
    const int32_t *bias;
    onx_requantizer requantizer;
    onx_axis h, w;
    int32_t height, width, out_height, out_width;
    size_t channels, multiplier, outputs;
    int8_t padding; /* input_zero_point */
} onx_depthwise;

/* A whole image, whatever the operator's numbers, one pixel at a time. y: the output image, int8 or float32. */
void onx_depthwise_plain(const onx_depthwise *d, const int8_t *image, void *y);

/* A whole image, four channels at a time; 0, with nothing done, where that does not serve this operator. */
int onx_depthwise_lanes(const onx_depthwise *d, const int8_t *image, int8_t *y);

#endif
