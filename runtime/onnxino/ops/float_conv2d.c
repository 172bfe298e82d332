/* Convolution in float32 with groups, dilation and padding: [N,H,W,C] -> [N,OH,OW,M], weights OHWI, summed by rows,
 * columns and channels of the window. */
#include "float_weights.h"
#include "window.h"

/* Everything a pixel needs, worked out once. */
typedef struct {
    onx_float_weights weights;
    const float *bias;
    float low, high;
    size_t width, channels;        /* of the input */
    size_t group_channels;         /* input channels of one group */
    size_t outputs, group_outputs; /* output channels: all, of one group */
    size_t kernel_w, filter;       /* taps of a row; weights of one filter */
    size_t dilation_h, dilation_w;
    int is_contiguous; /* a row of the window is one run of memory, in image and filter alike */
} onx_float_conv;

/* One row of the window for `block` filters from m. x: first tap inside, at: its weights. */
static void onx_float_conv_row(const onx_float_conv *c, float acc[ONX_FLOAT_BLOCK], size_t block, size_t m,
                               const float *x, size_t at, size_t taps)
{
    size_t run = c->is_contiguous ? taps * c->group_channels : c->group_channels;
    size_t runs = c->is_contiguous ? 1u : taps;
    for (; runs > 0u; runs--) {
        onx_float_products(&c->weights, acc, block, m, x, at, c->filter, run);
        x += c->dilation_w * c->channels;
        at += c->group_channels;
    }
}

/* One output pixel. x: the pixel under the first tap inside. */
static void onx_float_conv_pixel(const onx_float_conv *c, const float *x, float *y, onx_taps rows, onx_taps columns)
{
    size_t taps = (size_t)(columns.end - columns.first);
    size_t x_row = c->dilation_h * c->width * c->channels, w_row = c->kernel_w * c->group_channels;
    for (size_t m = 0; m < c->outputs;) {
        size_t block = c->group_outputs - m % c->group_outputs < ONX_FLOAT_BLOCK ? 1u : ONX_FLOAT_BLOCK;
        float acc[ONX_FLOAT_BLOCK] = { 0.0f };
        size_t at = m * c->filter + (size_t)rows.first * w_row + (size_t)columns.first * c->group_channels;
        const float *row = x + m / c->group_outputs * c->group_channels;
        memcpy(acc, c->bias + m, block * sizeof acc[0]);
        if (taps > 0u)
            for (int32_t ky = rows.first; ky < rows.end; ky++, row += x_row, at += w_row)
                onx_float_conv_row(c, acc, block, m, row, at, taps);
        for (size_t i = 0; i < block; i++, m++)
            y[m] = onx_float_finish(acc[i], c->low, c->high);
    }
}

static void onx_float_conv2d_run(const onx_call *call)
{
    onx_fb_float_conv2d t = { call->attributes };
    onx_tensor in = onx_input_of(call, 0), out = onx_output_of(call, 0);
    onx_axis h = onx_axis_h(onx_fb_float_conv2d_window(t)), w = onx_axis_w(onx_fb_float_conv2d_window(t));
    onx_f32s bias = onx_fb_float_conv2d_bias(t);
    size_t groups = onx_fb_float_conv2d_group(t), channels = (size_t)in.shape[3];
    onx_float_conv c = {
        .weights = onx_float_weights_of(onx_fb_float_conv2d_weights(t), onx_fb_float_conv2d_weight_scale(t)),
        .bias = bias.data,
        .low = onx_fb_float_conv2d_minimum(t),
        .high = onx_fb_float_conv2d_maximum(t),
        .width = (size_t)in.shape[2],
        .channels = channels,
        .group_channels = channels / groups,
        .outputs = bias.count,
        .group_outputs = bias.count / groups,
        .kernel_w = (size_t)w.kernel,
        .filter = (size_t)h.kernel * (size_t)w.kernel * (channels / groups),
        .dilation_h = (size_t)h.dilation,
        .dilation_w = (size_t)w.dilation,
        .is_contiguous = groups == 1u && w.dilation == 1,
    };
    const float *image = in.data;
    float *y = out.data;
    for (int32_t n = 0; n < in.shape[0]; n++, image += (size_t)in.shape[1] * c.width * channels) {
        for (int32_t oy = 0; oy < out.shape[1]; oy++) {
            int32_t iy = oy * h.stride - h.before;
            onx_taps rows = onx_taps_inside(iy, h.dilation, h.kernel, in.shape[1]);
            for (int32_t ox = 0; ox < out.shape[2]; ox++, y += c.outputs) {
                int32_t ix = ox * w.stride - w.before;
                onx_taps columns = onx_taps_inside(ix, w.dilation, w.kernel, in.shape[2]);
                const float *x = image;
                if (rows.first < rows.end && columns.first < columns.end)
                    x += ((size_t)(iy + rows.first * h.dilation) * c.width + (size_t)(ix + columns.first * w.dilation))
                         * channels;
                onx_float_conv_pixel(&c, x, y, rows, columns);
            }
        }
    }
}

static onx_status onx_float_conv2d_check(const onx_call *call)
{
    onx_fb_float_conv2d t = { call->attributes };
    onx_tensor in = onx_input_of(call, 0), out = onx_output_of(call, 0);
    onx_window2d w = onx_fb_float_conv2d_window(t);
    uint32_t group = onx_fb_float_conv2d_group(t), outputs = onx_fb_float_conv2d_bias(t).count;
    if (!onx_is_float(&in) || !onx_is_float(&out))
        return ONX_ERROR_UNSUPPORTED;
    if (!onx_window_fits_convolution(w, &in, &out) || (uint32_t)out.shape[3] != outputs)
        return ONX_ERROR_OPERATOR;
    if (group == 0u || (uint32_t)in.shape[3] % group != 0u || outputs % group != 0u)
        return ONX_ERROR_OPERATOR;
    uint64_t taps = (uint64_t)w.kernel_h * w.kernel_w; /* below 2^32, so the products below stay under 2^64 */
    uint64_t filter = taps * ((uint32_t)in.shape[3] / group);
    if (filter > UINT32_MAX
        || !onx_float_weights_fit(onx_fb_float_conv2d_weights(t), onx_fb_float_conv2d_weight_scale(t), filter * outputs,
                                  outputs))
        return ONX_ERROR_OPERATOR;
    return onx_fb_float_conv2d_minimum(t) <= onx_fb_float_conv2d_maximum(t) ? ONX_OK : ONX_ERROR_OPERATOR;
}

const onx_kernel onx_float_conv2d_kernels[1] = {
    { ONX_WEIGHT_LAYOUT_OHWI, onx_float_conv2d_check, onx_float_conv2d_run, NULL, NULL },
};
