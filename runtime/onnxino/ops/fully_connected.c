/* Dense layer: [rows, K] x [N, K] -> [rows, N]. */
#include "conv_tile.h"
#include "dense.h"
#include "dot.h"
#include "engine/kernel.h"

/* Everything about an operator. */
typedef struct {
    const int8_t *weights;
    const int32_t *bias;
    onx_requantizer requantizer;
    size_t depth, units;
} onx_fully_connected;

/* One row, whatever the operator's numbers. y is int8 or float32. */
static ONX_APART void onx_dense_plain(const onx_fully_connected *f, const int8_t *x, void *y)
{
    const onx_patch patch = { .rows = 1u, .runs = 1u, .run = f->depth };
    const int8_t *w = f->weights;
    size_t n = 0;
    for (; f->units - n >= 4u; n += 4u, w += 4u * f->depth) {
        uint32_t acc[4];
        for (size_t i = 0; i < 4u; i++)
            acc[i] = (uint32_t)f->bias[n + i];
        onx_dot4(acc, x, w, f->depth, &patch);
        onx_finish4(&f->requantizer, y, n, acc);
    }
    for (; n < f->units; n++, w += f->depth)
        onx_finish(&f->requantizer, y, n, (int32_t)onx_dot((uint32_t)f->bias[n], x, w, &patch));
}

/* One row of 4 units or more, all but the limits. */
static ONX_APART void onx_dense_row(const onx_fully_connected *f, const int8_t *x, int8_t *y)
{
    const onx_requantizer *q = &f->requantizer;
    onx_dense d = { x, f->depth, f->weights, f->bias, q->scale, q->step, q->zero_point, y, f->units / 4u };
    onx_dense_run(&d);
    if (f->units % 4u != 0u) { /* the last four, some of them again */
        size_t n = f->units - 4u;
        d.w += n * f->depth;
        d.bias += n;
        d.scale += n * q->step;
        d.y += n;
        d.fours = 1u;
        onx_dense_run(&d);
    }
}

/* Two rows of 2 units or more, whose depth is a multiple of 4, all but the limits. */
static ONX_APART void onx_dense_two_rows(const onx_fully_connected *f, const int8_t *x, int8_t *y)
{
    const onx_requantizer *q = &f->requantizer;
    onx_tiles t = {
        .x = { x, x + f->depth },
        .run = f->depth,
        .runs = 1u,
        .depth = f->depth,
        .w = f->weights,
        .bias = f->bias,
        .scale = q->scale,
        .scale_step = q->step,
        .zero_point = q->zero_point,
        .y = { y, y + f->units },
        .pairs = f->units / 2u,
    };
    onx_tiles_run(&t);
    if (f->units % 2u != 0u) { /* the last two, one of them again */
        size_t n = f->units - 2u;
        t.w += n * f->depth;
        t.bias += n;
        t.scale += n * q->step;
        t.y[0] += n;
        t.y[1] += n;
        t.pairs = 1u;
        onx_tiles_run(&t);
    }
}

static void onx_fully_connected_run(const onx_call *call)
{
    onx_fb_fully_connected t = { call->attributes };
    onx_tensor in = onx_input_of(call, 0), out = onx_output_of(call, 0);
    onx_i32s bias = onx_fb_fully_connected_bias(t);
    onx_u8s weights = onx_fb_weights_data(onx_fb_fully_connected_weights(t));
    const onx_fully_connected f = {
        .weights = (const int8_t *)weights.data,
        .bias = bias.data,
        .requantizer = onx_requantizer_of(onx_fb_fully_connected_requantization(t), out.type),
        .depth = weights.count / bias.count,
        .units = bias.count,
    };
    const int8_t *x = in.data;
    uint8_t *y = out.data;
    size_t row = f.units * onx_element_size(out.type), taken; /* bytes; rows of a turn */
    for (size_t rows = in.count / f.depth; rows > 0u; rows -= taken, x += taken * f.depth, y += taken * row) {
        taken = 1u;
        if (f.requantizer.is_float || f.units < 2u) {
            onx_dense_plain(&f, x, y);
        } else if (rows >= 2u && f.depth % 4u == 0u) {
            onx_dense_two_rows(&f, x, (int8_t *)y);
            taken = 2u;
        } else if (f.units >= 4u) {
            onx_dense_row(&f, x, (int8_t *)y);
        } else {
            onx_dense_plain(&f, x, y);
        }
    }
    if (!f.requantizer.is_float)
        onx_limit(&f.requantizer, out.data, out.count);
}

static onx_status onx_fully_connected_check(const onx_call *call)
{
    onx_fb_fully_connected t = { call->attributes };
    onx_tensor in = onx_input_of(call, 0), out = onx_output_of(call, 0);
    onx_fb_weights w = onx_fb_fully_connected_weights(t);
    uint32_t size = onx_fb_weights_data(w).count, outputs = onx_fb_fully_connected_bias(t).count;
    if (!onx_is_int8(&in) || !onx_takes_sums(&out))
        return ONX_ERROR_UNSUPPORTED;
    if (outputs == 0u || size == 0u || size % outputs != 0u || !onx_weights_fit(w, size))
        return ONX_ERROR_OPERATOR;
    uint32_t depth = size / outputs;
    if (in.count % depth != 0u || (uint64_t)(in.count / depth) * outputs != out.count)
        return ONX_ERROR_OPERATOR;
    return onx_requantization_fits(onx_fb_fully_connected_requantization(t), outputs) ? ONX_OK : ONX_ERROR_OPERATOR;
}

const onx_kernel onx_fully_connected_kernels[1] = {
    { ONX_WEIGHT_LAYOUT_OHWI, onx_fully_connected_check, onx_fully_connected_run, NULL, NULL },
};
