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

/* Sum of a filter's weights whose taps lie outside of the image. */
static uint32_t onx_conv_outside(const onx_conv *c, const int8_t *w, size_t kernel_h, onx_taps rows, onx_taps columns)
{
    size_t row = c->kernel_w * c->group_channels;
    size_t left = (size_t)columns.first * c->group_channels, right = (size_t)columns.end * c->group_channels;
    uint32_t sum = 0;
    for (size_t ky = 0; ky < kernel_h; ky++, w += row) {
        int is_outside = ky < (size_t)rows.first || ky >= (size_t)rows.end;
        for (size_t i = 0; i < (is_outside ? row : left); i++)
            sum += onx_multiply(w[i], 1);
        for (size_t i = is_outside ? row : right; i < row; i++)
            sum += onx_multiply(w[i], 1);
    }
    return sum;
}

/* The window of one pixel. */
typedef struct {
    onx_patch patch;
    size_t skipped; /* weights of a filter before those of the first tap inside */
    size_t kernel_h;
    onx_taps rows, columns;
    int needs_padding; /* taps outside count, with input_zero_point as their value */
} onx_conv_window;

/* Output channels m to m + 3. */
static ONX_APART void onx_conv_four(const onx_conv *c, const onx_conv_window *v, const int8_t *x, size_t m, void *y)
{
    const int8_t *filter = c->weights + m * c->filter;
    const int32_t *bias = c->bias + m;
    uint32_t acc[4] = { (uint32_t)bias[0], (uint32_t)bias[1], (uint32_t)bias[2], (uint32_t)bias[3] };
    onx_dot4(acc, x, filter + v->skipped, c->filter, &v->patch);
    if (v->needs_padding)
        for (size_t i = 0; i < 4u; i++)
            acc[i] += c->padding * onx_conv_outside(c, filter + i * c->filter, v->kernel_h, v->rows, v->columns);
    onx_finish4(&c->requantizer, y, m, acc);
}

/* Output channel m. */
static ONX_APART void onx_conv_one(const onx_conv *c, const onx_conv_window *v, const int8_t *x, size_t m, void *y)
{
    const int8_t *filter = c->weights + m * c->filter;
    uint32_t acc = onx_dot((uint32_t)c->bias[m], x, filter + v->skipped, &v->patch);
    if (v->needs_padding)
        acc += c->padding * onx_conv_outside(c, filter, v->kernel_h, v->rows, v->columns);
    onx_finish(&c->requantizer, y, m, (int32_t)acc);
}

/* One output pixel. x: the image's pixel under the first tap inside. */
static void onx_conv_pixel(const onx_conv *c, const int8_t *x, void *y, size_t kernel_h, onx_taps rows,
                           onx_taps columns)
{
    size_t taps = (size_t)(columns.end - columns.first), w_row = c->kernel_w * c->group_channels;
    int is_border = rows.end - rows.first != (int32_t)kernel_h || taps != c->kernel_w;
    const onx_conv_window v = {
        .patch = {
            .rows = taps > 0u ? (size_t)(rows.end - rows.first) : 0u,
            .runs = c->is_contiguous ? 1u : taps,
            .run = c->is_contiguous ? taps * c->group_channels : c->group_channels,
            .x_row = c->dilation_h * c->width * c->channels,
            .x_run = c->dilation_w * c->channels,
            .w_row = w_row,
            .w_run = c->group_channels,
        },
        .skipped = (size_t)rows.first * w_row + (size_t)columns.first * c->group_channels,
        .kernel_h = kernel_h,
        .rows = rows,
        .columns = columns,
        .needs_padding = is_border && c->padding != 0u,
    };
    for (size_t first = 0; first < c->outputs; first += c->group_outputs, x += c->group_channels) {
        size_t m = first, end = first + c->group_outputs;
        for (; end - m >= 4u; m += 4u)
            onx_conv_four(c, &v, x, m, y);
        for (; m < end; m++)
            onx_conv_one(c, &v, x, m, y);
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
        .requantizer = onx_requantizer_of(onx_fb_conv2d_requantization(t), out.type),
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
    uint8_t *y = out.data;
    size_t pixel = c.outputs * onx_element_size(out.type); /* bytes */
    for (int32_t n = 0; n < in.shape[0]; n++, image += (size_t)in.shape[1] * c.width * channels) {
        for (int32_t oy = 0; oy < out.shape[1]; oy++) {
            int32_t iy = oy * h.stride - h.before;
            onx_taps rows = onx_taps_inside(iy, h.dilation, h.kernel, in.shape[1]);
            for (int32_t ox = 0; ox < out.shape[2]; ox++, y += pixel) {
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
    if (!onx_is_int8(&in) || !onx_takes_sums(&out))
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
