/* Depthwise convolution: [N,H,W,C] -> [N,OH,OW,C * multiplier], weights HWC. */
#include "dot.h"
#include "engine/numeric.h"
#include "window.h"

enum { ONX_BLOCK = 4 }; /* channels computed together: as many accumulators as fit in registers beside the pointers */

typedef struct {
    const int8_t *weights;
    const int32_t *bias;
    onx_requantizer requantizer;
    size_t channels, multiplier, outputs;
    size_t row; /* bytes of an image row */
    onx_axis h, w;
    int32_t height, width;
    int8_t padding[ONX_BLOCK]; /* what a tap outside of the image reads */
} onx_depthwise;

/* The pixel under a tap, or NULL in the border. y, x: position of the window's first tap. */
static const int8_t *onx_depthwise_tap(const onx_depthwise *d, const int8_t *image, int32_t y, int32_t x)
{
    int is_inside = y >= 0 && y < d->height && x >= 0 && x < d->width;
    return is_inside ? image + (size_t)y * d->row + (size_t)x * d->channels : NULL;
}

/* Output channels m to m + 3 of one pixel, where the multiplier is 1. */
static void onx_depthwise_block(const onx_depthwise *d, uint32_t acc[ONX_BLOCK], const int8_t *image, size_t m,
                                int32_t y, int32_t x)
{
    const int8_t *w = d->weights + m;
    uint32_t a0 = acc[0], a1 = acc[1], a2 = acc[2], a3 = acc[3];
    for (int32_t ky = 0; ky < d->h.kernel; ky++) {
        for (int32_t kx = 0; kx < d->w.kernel; kx++, w += d->outputs) {
            const int8_t *p = onx_depthwise_tap(d, image, y + ky * d->h.dilation, x + kx * d->w.dilation);
            p = p != NULL ? p + m : d->padding;
            a0 += onx_multiply(p[0], w[0]);
            a1 += onx_multiply(p[1], w[1]);
            a2 += onx_multiply(p[2], w[2]);
            a3 += onx_multiply(p[3], w[3]);
        }
    }
    acc[0] = a0;
    acc[1] = a1;
    acc[2] = a2;
    acc[3] = a3;
}

/* One output channel of one pixel, any multiplier. */
static uint32_t onx_depthwise_single(const onx_depthwise *d, uint32_t acc, const int8_t *image, size_t m, int32_t y,
                                     int32_t x)
{
    const int8_t *w = d->weights + m;
    size_t channel = m / d->multiplier;
    for (int32_t ky = 0; ky < d->h.kernel; ky++) {
        for (int32_t kx = 0; kx < d->w.kernel; kx++, w += d->outputs) {
            const int8_t *p = onx_depthwise_tap(d, image, y + ky * d->h.dilation, x + kx * d->w.dilation);
            acc += onx_multiply(p != NULL ? p[channel] : d->padding[0], *w);
        }
    }
    return acc;
}

static void onx_depthwise_pixel(const onx_depthwise *d, const int8_t *image, int8_t *out, int32_t y, int32_t x)
{
    const onx_requantizer *q = &d->requantizer;
    for (size_t m = 0; m < d->outputs;) {
        uint32_t acc[ONX_BLOCK] = { 0, 0, 0, 0 };
        size_t block = d->multiplier == 1u && d->outputs - m >= ONX_BLOCK ? ONX_BLOCK : 1u;
        for (size_t i = 0; i < block; i++)
            acc[i] = (uint32_t)d->bias[m + i];
        if (block == 1u)
            acc[0] = onx_depthwise_single(d, acc[0], image, m, y, x);
        else
            onx_depthwise_block(d, acc, image, m, y, x);
        for (size_t i = 0; i < block; i++, m++)
            out[m] = onx_requantize((int32_t)acc[i], q->scale[m * q->step], q->low, q->high, q->zero_point);
    }
}

static void onx_depthwise_conv2d_run(const onx_call *call)
{
    onx_fb_depthwise_conv2d t = { call->attributes };
    onx_tensor in = onx_input_of(call, 0), out = onx_output_of(call, 0);
    onx_i32s bias = onx_fb_depthwise_conv2d_bias(t);
    onx_depthwise d = {
        .weights = (const int8_t *)onx_fb_weights_data(onx_fb_depthwise_conv2d_weights(t)).data,
        .bias = bias.data,
        .requantizer = onx_requantizer_of(onx_fb_depthwise_conv2d_requantization(t)),
        .channels = (size_t)in.shape[3],
        .multiplier = onx_fb_depthwise_conv2d_multiplier(t),
        .outputs = bias.count,
        .row = (size_t)in.shape[2] * (size_t)in.shape[3],
        .h = onx_axis_h(onx_fb_depthwise_conv2d_window(t)),
        .w = onx_axis_w(onx_fb_depthwise_conv2d_window(t)),
        .height = in.shape[1],
        .width = in.shape[2],
    };
    memset(d.padding, onx_fb_depthwise_conv2d_input_zero_point(t), sizeof d.padding);
    const int8_t *image = in.data;
    int8_t *pixel = out.data;
    for (int32_t n = 0; n < in.shape[0]; n++, image += (size_t)in.shape[1] * d.row)
        for (int32_t oy = 0; oy < out.shape[1]; oy++)
            for (int32_t ox = 0; ox < out.shape[2]; ox++, pixel += d.outputs)
                onx_depthwise_pixel(&d, image, pixel, oy * d.h.stride - d.h.before, ox * d.w.stride - d.w.before);
}

static onx_status onx_depthwise_conv2d_check(const onx_call *call)
{
    onx_fb_depthwise_conv2d t = { call->attributes };
    onx_tensor in = onx_input_of(call, 0), out = onx_output_of(call, 0);
    onx_window2d w = onx_fb_depthwise_conv2d_window(t);
    uint32_t multiplier = onx_fb_depthwise_conv2d_multiplier(t), outputs = onx_fb_depthwise_conv2d_bias(t).count;
    if (!onx_is_int8(&in) || !onx_is_int8(&out))
        return ONX_ERROR_UNSUPPORTED;
    if (!onx_window_fits_convolution(w, &in, &out) || (uint32_t)out.shape[3] != outputs)
        return ONX_ERROR_OPERATOR;
    if (multiplier == 0u || (uint64_t)(uint32_t)in.shape[3] * multiplier != outputs)
        return ONX_ERROR_OPERATOR;
    if (!onx_weights_fit(onx_fb_depthwise_conv2d_weights(t), (uint64_t)w.kernel_h * w.kernel_w * outputs))
        return ONX_ERROR_OPERATOR;
    return onx_requantization_fits(onx_fb_depthwise_conv2d_requantization(t), outputs) ? ONX_OK : ONX_ERROR_OPERATOR;
}

const onx_kernel onx_depthwise_conv2d_kernels[1] = {
    { ONX_WEIGHT_LAYOUT_HWC, onx_depthwise_conv2d_check, onx_depthwise_conv2d_run, NULL, NULL },
};
