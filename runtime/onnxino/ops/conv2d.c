/* Convolution with groups, dilation and padding: [N,H,W,C] -> [N,OH,OW,M], weights OHWI. */
#include "dot.h"
#include "engine/numeric.h"
#include "window.h"

/* Everything a pixel needs, worked out once. */
typedef struct {
    const int8_t *weights;
    const int32_t *bias;
    onx_requantizer requantizer;
    size_t width, channels;        /* of the input */
    size_t group_channels;         /* input channels of one group */
    size_t outputs, group_outputs; /* output channels: all, of one group */
    size_t kernel_w, filter;       /* taps of a row; weights of one filter */
    size_t dilation_h, dilation_w;
    int is_contiguous; /* a row of the window is one run of memory, in image and filter alike */
    uint32_t padding;  /* input_zero_point */
} onx_conv;

/* acc[0..3] += one row of the window for four filters (one: `single`). x: first tap inside, w: its weights. */
static void onx_conv_row(const onx_conv *c, uint32_t acc[4], int single, const int8_t *x, const int8_t *w, size_t taps)
{
    size_t run = c->is_contiguous ? taps * c->group_channels : c->group_channels;
    size_t runs = c->is_contiguous ? 1u : taps;
    for (; runs > 0u; runs--) {
        if (single)
            acc[0] = onx_dot(acc[0], x, w, run);
        else
            onx_dot4(acc, x, w, c->filter, run);
        x += c->dilation_w * c->channels;
        w += c->group_channels;
    }
}

/* Sum of a filter's weights whose taps lie outside of the image. */
static uint32_t onx_conv_outside(const onx_conv *c, const int8_t *w, size_t kernel_h, onx_taps rows, onx_taps columns)
{
    size_t row = c->kernel_w * c->group_channels;
    size_t left = (size_t)columns.first * c->group_channels, inside = (size_t)columns.end * c->group_channels;
    uint32_t sum = 0;
    for (size_t ky = 0; ky < kernel_h; ky++, w += row) {
        if (ky < (size_t)rows.first || ky >= (size_t)rows.end)
            sum += onx_sum(w, row);
        else
            sum += onx_sum(w, left) + onx_sum(w + inside, row - inside);
    }
    return sum;
}

/* One output pixel. x: the pixel under the first tap inside. */
static void onx_conv_pixel(const onx_conv *c, const int8_t *x, int8_t *y, size_t kernel_h, onx_taps rows,
                           onx_taps columns)
{
    const onx_requantizer *q = &c->requantizer;
    size_t taps = (size_t)(columns.end - columns.first);
    int is_border = rows.end - rows.first != (int32_t)kernel_h || taps != c->kernel_w;
    size_t x_row = c->dilation_h * c->width * c->channels, w_row = c->kernel_w * c->group_channels;
    for (size_t m = 0; m < c->outputs;) {
        size_t group = m / c->group_outputs;
        int single = c->group_outputs - m % c->group_outputs < 4u;
        size_t block = single ? 1u : 4u;
        uint32_t acc[4] = { 0, 0, 0, 0 };
        const int8_t *filter = c->weights + m * c->filter;
        const int8_t *w = filter + (size_t)rows.first * w_row + (size_t)columns.first * c->group_channels;
        const int8_t *row = x + group * c->group_channels;
        for (size_t i = 0; i < block; i++)
            acc[i] = (uint32_t)c->bias[m + i];
        if (taps > 0u)
            for (int32_t ky = rows.first; ky < rows.end; ky++, row += x_row, w += w_row)
                onx_conv_row(c, acc, single, row, w, taps);
        for (size_t i = 0; i < block; i++) {
            if (is_border && c->padding != 0u)
                acc[i] += c->padding * onx_conv_outside(c, filter + i * c->filter, kernel_h, rows, columns);
            y[m + i] = onx_requantize((int32_t)acc[i], q->scale[(m + i) * q->step], q->low, q->high, q->zero_point);
        }
        m += block;
    }
}

static void onx_conv2d_run(const onx_call *call)
{
    onx_fb_conv2d t = { call->attributes };
    onx_tensor in = onx_input_of(call, 0), out = onx_output_of(call, 0);
    onx_axis h = onx_axis_h(onx_fb_conv2d_window(t)), w = onx_axis_w(onx_fb_conv2d_window(t));
    onx_i32s bias = onx_fb_conv2d_bias(t);
    size_t groups = onx_fb_conv2d_group(t), channels = (size_t)in.shape[3];
    onx_conv c = {
        .weights = (const int8_t *)onx_fb_weights_data(onx_fb_conv2d_weights(t)).data,
        .bias = bias.data,
        .requantizer = onx_requantizer_of(onx_fb_conv2d_requantization(t)),
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
        .padding = (uint32_t)(int32_t)onx_fb_conv2d_input_zero_point(t),
    };
    const int8_t *image = in.data;
    int8_t *y = out.data;
    for (int32_t n = 0; n < in.shape[0]; n++, image += (size_t)in.shape[1] * c.width * channels) {
        for (int32_t oy = 0; oy < out.shape[1]; oy++) {
            int32_t iy = oy * h.stride - h.before;
            onx_taps rows = onx_taps_inside(iy, h.dilation, h.kernel, in.shape[1]);
            for (int32_t ox = 0; ox < out.shape[2]; ox++, y += c.outputs) {
                int32_t ix = ox * w.stride - w.before;
                onx_taps columns = onx_taps_inside(ix, w.dilation, w.kernel, in.shape[2]);
                const int8_t *x = image;
                if (rows.first < rows.end && columns.first < columns.end)
                    x += ((size_t)(iy + rows.first * h.dilation) * c.width + (size_t)(ix + columns.first * w.dilation))
                         * channels;
                onx_conv_pixel(&c, x, y, (size_t)h.kernel, rows, columns);
            }
        }
    }
}

static onx_status onx_conv2d_check(const onx_call *call)
{
    onx_fb_conv2d t = { call->attributes };
    onx_tensor in = onx_input_of(call, 0), out = onx_output_of(call, 0);
    onx_window2d w = onx_fb_conv2d_window(t);
    uint32_t group = onx_fb_conv2d_group(t), outputs = onx_fb_conv2d_bias(t).count;
    if (!onx_is_int8(&in) || !onx_is_int8(&out))
        return ONX_ERROR_UNSUPPORTED;
    if (!onx_window_fits_convolution(w, &in, &out) || (uint32_t)out.shape[3] != outputs)
        return ONX_ERROR_OPERATOR;
    if (group == 0u || (uint32_t)in.shape[3] % group != 0u || outputs % group != 0u)
        return ONX_ERROR_OPERATOR;
    uint64_t taps = (uint64_t)w.kernel_h * w.kernel_w; /* below 2^32, so the products below stay under 2^64 */
    uint64_t filter = taps * ((uint32_t)in.shape[3] / group);
    if (filter > UINT32_MAX || !onx_weights_fit(onx_fb_conv2d_weights(t), filter * outputs))
        return ONX_ERROR_OPERATOR;
    return onx_requantization_fits(onx_fb_conv2d_requantization(t), outputs) ? ONX_OK : ONX_ERROR_OPERATOR;
}

const onx_kernel onx_conv2d_kernels[1] = {
    { ONX_WEIGHT_LAYOUT_OHWI, onx_conv2d_check, onx_conv2d_run, NULL, NULL },
};
