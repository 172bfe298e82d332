/* Convolution: what its parts share (conv2d.c, conv_plain.c, conv_tiled.c). */
#ifndef ONX_CONV_H
#define ONX_CONV_H

#include "engine/numeric.h"
#include "window.h"

/* Everything about an operator, worked out once. Sizes of tensors are elements. */
typedef struct {
    const int8_t *weights;
    const int32_t *bias;
    onx_requantizer requantizer;
    onx_axis h, w;
    int32_t height, width, out_height, out_width;
    size_t channels, group_channels; /* of the input: all, of one group */
    size_t outputs, group_outputs;   /* of the output */
    size_t filter;                   /* weights of one filter */
    int is_contiguous;               /* a row of the window is one run of memory, in image and filter alike */
    int8_t padding;                  /* input_zero_point */
} onx_conv;

/* All channels of output pixel (oy, ox), which are to be written at y as int8 or float32. */
void onx_conv_pixel(const onx_conv *c, const int8_t *image, void *y, int32_t oy, int32_t ox);

/* A whole image by tiles; 0, with nothing done, where tiles do not serve this operator. y: the output image. */
int onx_conv_tiled(const onx_conv *c, const int8_t *image, void *y);

/* The window whose first tap is pixel (iy, ix) of an image (or of a group's channels), taps outside as zero points, as
 * a column: `filter` bytes, rounded up to a multiple of 4. Windows are of 4 values or more. */
void onx_conv_column(const onx_conv *c, const int8_t *image, int8_t *column, int32_t iy, int32_t ix);

/* The same for a window inside of the image, whose first value is at x. */
void onx_conv_whole_column(const onx_conv *c, const int8_t *x, int8_t *column);

#endif
