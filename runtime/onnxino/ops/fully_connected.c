/* Dense layer: [rows, K] x [N, K] -> [rows, N]. */
#include "dot.h"
#include "engine/kernel.h"
#include "engine/numeric.h"

static void onx_fully_connected_run(const onx_call *call)
{
    onx_fb_fully_connected t = { call->attributes };
    onx_tensor in = onx_input_of(call, 0), out = onx_output_of(call, 0);
    onx_requantizer q = onx_requantizer_of(onx_fb_fully_connected_requantization(t), out.type);
    onx_i32s bias = onx_fb_fully_connected_bias(t);
    onx_u8s weights = onx_fb_weights_data(onx_fb_fully_connected_weights(t));
    size_t depth = weights.count / bias.count;
    const onx_patch patch = { .rows = 1u, .runs = 1u, .run = depth };
    const int8_t *x = in.data;
    uint8_t *y = out.data;
    size_t row = bias.count * onx_element_size(out.type); /* bytes */
    for (size_t rows = in.count / depth; rows > 0u; rows--, x += depth, y += row) {
        const int8_t *w = (const int8_t *)weights.data;
        size_t n = 0;
        for (; bias.count - n >= 4u; n += 4u, w += 4u * depth) {
            uint32_t acc[4];
            for (size_t i = 0; i < 4u; i++)
                acc[i] = (uint32_t)bias.data[n + i];
            onx_dot4(acc, x, w, depth, &patch);
            onx_finish4(&q, y, n, acc);
        }
        for (; n < bias.count; n++, w += depth) {
            uint32_t acc = onx_dot((uint32_t)bias.data[n], x, w, &patch);
            onx_finish(&q, y, n, (int32_t)acc);
        }
    }
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
