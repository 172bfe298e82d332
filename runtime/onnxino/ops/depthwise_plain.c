/* Depthwise convolution of one pixel, whatever the operator's numbers: what depthwise_lanes.c does not serve. */
#include "depthwise.h"
#include "dot.h"

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
    for (int32_t ky = 0; ky < d->h.kernel; ky++, w += (size_t)d->w.kernel * step) {
        if (ky < inside->h.first || ky >= inside->h.end) {
            onx_depthwise_sum(sums, w, (size_t)d->w.kernel, step);
        } else {
            onx_depthwise_sum(sums, w, left, step);
            onx_depthwise_sum(sums, w + right * step, (size_t)d->w.kernel - right, step);
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
        acc[i] += (uint32_t)d->padding * outside[i];
    onx_finish4(&d->requantizer, y, m, acc);
}

/* Output channel m, any multiplier. */
static ONX_APART void onx_depthwise_one(const onx_depthwise *d, const onx_inside *inside, size_t m, void *y)
{
    const int8_t *w = d->weights + m, *x = inside->x + m / d->multiplier;
    uint32_t acc = onx_dot((uint32_t)d->bias[m], x, w + inside->skipped, &inside->patch);
    if (inside->needs_padding) {
        for (int32_t ky = 0; ky < d->h.kernel; ky++) {
            for (int32_t kx = 0; kx < d->w.kernel; kx++, w += d->outputs) {
                int in_row = ky >= inside->h.first && ky < inside->h.end;
                if (!in_row || kx < inside->w.first || kx >= inside->w.end)
                    acc += (uint32_t)d->padding * onx_multiply(*w, 1);
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

void onx_depthwise_plain(const onx_depthwise *d, const int8_t *image, void *y)
{
    uint8_t *at = y;
    size_t pixel = d->outputs * (d->requantizer.is_float ? sizeof(float) : sizeof(int8_t)); /* bytes */
    size_t kernel_h = (size_t)d->h.kernel, kernel_w = (size_t)d->w.kernel, row = (size_t)d->width * d->channels;
    for (int32_t oy = 0; oy < d->out_height; oy++) {
        int32_t iy = oy * d->h.stride - d->h.before;
        onx_inside inside = {
            .patch = { .run = 1u,
                       .x_row = (size_t)d->h.dilation * row,
                       .x_run = (size_t)d->w.dilation * d->channels,
                       .w_row = kernel_w * d->outputs,
                       .w_run = d->outputs },
            .h = onx_taps_inside(iy, d->h.dilation, d->h.kernel, d->height),
        };
        for (int32_t ox = 0; ox < d->out_width; ox++, at += pixel) {
            int32_t ix = ox * d->w.stride - d->w.before;
            inside.w = onx_taps_inside(ix, d->w.dilation, d->w.kernel, d->width);
            inside.patch.runs = (size_t)(inside.w.end - inside.w.first);
            inside.patch.rows = inside.patch.runs > 0u ? (size_t)(inside.h.end - inside.h.first) : 0u;
            inside.needs_padding = d->padding != 0 && (inside.patch.rows != kernel_h || inside.patch.runs != kernel_w);
            inside.skipped = ((size_t)inside.h.first * kernel_w + (size_t)inside.w.first) * d->outputs;
            inside.x = image;
            if (inside.patch.rows > 0u)
                inside.x += (size_t)(iy + inside.h.first * d->h.dilation) * row
                            + (size_t)(ix + inside.w.first * d->w.dilation) * d->channels;
            onx_depthwise_pixel(d, &inside, at);
        }
    }
}
