/* Depthwise convolution: [N,H,W,C] -> [N,OH,OW,C * multiplier], weights HWC. */
#include "dot.h"
#include "engine/numeric.h"
#include "window.h"

typedef struct {
    const int8_t *weights;
    const int32_t *bias;
    onx_requantizer requantizer;
    size_t multiplier, outputs;
    size_t kernel_h, kernel_w;
    size_t x_row, x_column; /* bytes from one tap to the next in the image */
    uint32_t padding;       /* input_zero_point */
} onx_depthwise;

/* Taps inside the image. */
typedef struct {
    onx_patch patch; /* where they are, for one channel */
    const int8_t *x; /* the pixel under the first */
    size_t skipped;  /* weights before the first one's */
    onx_taps h, w;
    int needs_padding; /* the others count, with input_zero_point as their value */
} onx_inside;

/* acc[0..3] += sum of four channels' weights over `taps` adjacent taps. */
static void onx_depthwise_sum(uint32_t acc[4], const int8_t *w, size_t taps, size_t step)
{
    for (; taps > 0u; taps--, w += step)
        for (size_t i = 0; i < 4u; i++)
            acc[i] += onx_multiply(w[i], 1);
}

/* Sums of four channels' weights whose taps lie outside of the image. w: the first tap's. */
static ONX_APART void onx_depthwise_outside(const onx_depthwise *d, const onx_inside *inside, const int8_t *w,
                                            uint32_t sums[4])
{
    size_t step = d->outputs, left = (size_t)inside->w.first, right = (size_t)inside->w.end;
    for (int32_t ky = 0; ky < (int32_t)d->kernel_h; ky++, w += d->kernel_w * step) {
        if (ky < inside->h.first || ky >= inside->h.end) {
            onx_depthwise_sum(sums, w, d->kernel_w, step);
        } else {
            onx_depthwise_sum(sums, w, left, step);
            onx_depthwise_sum(sums, w + right * step, d->kernel_w - right, step);
        }
    }
}

/* acc[0..3] += products of four channels over the taps inside. */
static ONX_APART void onx_depthwise_dot(uint32_t acc[4], const int8_t *x, const int8_t *w, const onx_patch *patch)
{
    uint32_t a0 = acc[0], a1 = acc[1], a2 = acc[2], a3 = acc[3];
    size_t x_step = patch->x_run, w_step = patch->w_run;
    for (size_t row = 0; row < patch->rows; row++, x += patch->x_row, w += patch->w_row) {
        const int8_t *px = x, *pw = w;
        for (size_t run = patch->runs; run > 0u; run--, px += x_step, pw += w_step) {
            a0 += onx_multiply(px[0], pw[0]);
            a1 += onx_multiply(px[1], pw[1]);
            a2 += onx_multiply(px[2], pw[2]);
            a3 += onx_multiply(px[3], pw[3]);
        }
    }
    acc[0] = a0;
    acc[1] = a1;
    acc[2] = a2;
    acc[3] = a3;
}

/* Output channels m to m + 3, where the multiplier is 1. */
static ONX_APART void onx_depthwise_four(const onx_depthwise *d, const onx_inside *inside, size_t m, void *y)
{
    const int32_t *bias = d->bias + m;
    uint32_t acc[4] = { (uint32_t)bias[0], (uint32_t)bias[1], (uint32_t)bias[2], (uint32_t)bias[3] };
    uint32_t outside[4] = { 0, 0, 0, 0 };
    onx_depthwise_dot(acc, inside->x + m, d->weights + inside->skipped + m, &inside->patch);
    if (inside->needs_padding)
        onx_depthwise_outside(d, inside, d->weights + m, outside);
    for (size_t i = 0; i < 4u; i++)
        acc[i] += d->padding * outside[i];
    onx_finish4(&d->requantizer, y, m, acc);
}

/* Output channel m, any multiplier. */
static ONX_APART void onx_depthwise_one(const onx_depthwise *d, const onx_inside *inside, size_t m, void *y)
{
    const int8_t *w = d->weights + m, *x = inside->x + m / d->multiplier;
    uint32_t acc = onx_dot((uint32_t)d->bias[m], x, w + inside->skipped, &inside->patch);
    if (inside->needs_padding) {
        for (int32_t ky = 0; ky < (int32_t)d->kernel_h; ky++) {
            for (int32_t kx = 0; kx < (int32_t)d->kernel_w; kx++, w += d->outputs) {
                int in_row = ky >= inside->h.first && ky < inside->h.end;
                if (!in_row || kx < inside->w.first || kx >= inside->w.end)
                    acc += d->padding * onx_multiply(*w, 1);
            }
        }
    }
    onx_finish(&d->requantizer, y, m, (int32_t)acc);
}

static void onx_depthwise_pixel(const onx_depthwise *d, const onx_inside *inside, void *y)
{
    size_t m = 0;
    if (d->multiplier == 1u)
        for (; d->outputs - m >= 4u; m += 4u)
            onx_depthwise_four(d, inside, m, y);
    for (; m < d->outputs; m++)
        onx_depthwise_one(d, inside, m, y);
}

static void onx_depthwise_conv2d_run(const onx_call *call)
{
    onx_fb_depthwise_conv2d t = { call->attributes };
    onx_tensor in = onx_input_of(call, 0), out = onx_output_of(call, 0);
    onx_axis h = onx_axis_h(onx_fb_depthwise_conv2d_window(t)), w = onx_axis_w(onx_fb_depthwise_conv2d_window(t));
    onx_i32s bias = onx_fb_depthwise_conv2d_bias(t);
    size_t channels = (size_t)in.shape[3], row = (size_t)in.shape[2] * channels;
    onx_depthwise d = {
        .weights = (const int8_t *)onx_fb_weights_data(onx_fb_depthwise_conv2d_weights(t)).data,
        .bias = bias.data,
        .requantizer = onx_requantizer_of(onx_fb_depthwise_conv2d_requantization(t), out.type),
        .multiplier = onx_fb_depthwise_conv2d_multiplier(t),
        .outputs = bias.count,
        .kernel_h = (size_t)h.kernel,
        .kernel_w = (size_t)w.kernel,
        .x_row = (size_t)h.dilation * row,
        .x_column = (size_t)w.dilation * channels,
        .padding = (uint32_t)(int32_t)onx_fb_depthwise_conv2d_input_zero_point(t),
    };
    const int8_t *image = in.data;
    uint8_t *y = out.data;
    size_t pixel = d.outputs * onx_element_size(out.type); /* bytes */
    for (int32_t n = 0; n < in.shape[0]; n++, image += (size_t)in.shape[1] * row) {
        for (int32_t oy = 0; oy < out.shape[1]; oy++) {
            int32_t iy = oy * h.stride - h.before;
            onx_inside inside = {
                .patch = { .run = 1u,
                           .x_row = d.x_row,
                           .x_run = d.x_column,
                           .w_row = d.kernel_w * d.outputs,
                           .w_run = d.outputs },
                .h = onx_taps_inside(iy, h.dilation, h.kernel, in.shape[1]),
            };
            for (int32_t ox = 0; ox < out.shape[2]; ox++, y += pixel) {
                int32_t ix = ox * w.stride - w.before;
                inside.w = onx_taps_inside(ix, w.dilation, w.kernel, in.shape[2]);
                inside.patch.runs = (size_t)(inside.w.end - inside.w.first);
                inside.patch.rows = inside.patch.runs > 0u ? (size_t)(inside.h.end - inside.h.first) : 0u;
                inside.needs_padding =
                    d.padding != 0u && (inside.patch.rows != d.kernel_h || inside.patch.runs != d.kernel_w);
                inside.skipped = ((size_t)inside.h.first * d.kernel_w + (size_t)inside.w.first) * d.outputs;
                inside.x = image;
                if (inside.patch.rows > 0u)
                    inside.x += (size_t)(iy + inside.h.first * h.dilation) * row
                                + (size_t)(ix + inside.w.first * w.dilation) * channels;
                onx_depthwise_pixel(&d, &inside, y);
            }
        }
    }
}

static onx_status onx_depthwise_conv2d_check(const onx_call *call)
{
    onx_fb_depthwise_conv2d t = { call->attributes };
    onx_tensor in = onx_input_of(call, 0), out = onx_output_of(call, 0);
    onx_window2d w = onx_fb_depthwise_conv2d_window(t);
    uint32_t multiplier = onx_fb_depthwise_conv2d_multiplier(t), outputs = onx_fb_depthwise_conv2d_bias(t).count;
    if (!onx_is_int8(&in) || !onx_takes_sums(&out))
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
