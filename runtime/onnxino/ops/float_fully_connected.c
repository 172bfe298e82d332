/* Dense layer in float32, summed in the order of K: [rows, K] x [N, K] -> [rows, N]. */
#include "float_weights.h"

static void onx_float_fully_connected_run(const onx_call *call)
{
    onx_fb_float_fully_connected t = { call->attributes };
    onx_tensor in = onx_input_of(call, 0), out = onx_output_of(call, 0);
    onx_fb_weights stored = onx_fb_float_fully_connected_weights(t);
    onx_float_weights w = onx_float_weights_of(stored, onx_fb_float_fully_connected_weight_scale(t));
    onx_f32s bias = onx_fb_float_fully_connected_bias(t);
    float low = onx_fb_float_fully_connected_minimum(t), high = onx_fb_float_fully_connected_maximum(t);
    size_t depth = onx_float_weights_count(stored) / bias.count;
    const float *x = in.data;
    float *y = out.data;
    for (size_t rows = in.count / depth; rows > 0u; rows--, x += depth) {
        for (size_t n = 0; n < bias.count;) {
            size_t block = bias.count - n < ONX_FLOAT_BLOCK ? 1u : ONX_FLOAT_BLOCK;
            float acc[ONX_FLOAT_BLOCK] = { 0.0f };
            memcpy(acc, bias.data + n, block * sizeof acc[0]);
            onx_float_products(&w, acc, block, n, x, n * depth, depth, depth);
            for (size_t i = 0; i < block; i++, n++)
                *y++ = onx_float_finish(acc[i], low, high);
        }
    }
}

static onx_status onx_float_fully_connected_check(const onx_call *call)
{
    onx_fb_float_fully_connected t = { call->attributes };
    onx_tensor in = onx_input_of(call, 0), out = onx_output_of(call, 0);
    onx_fb_weights w = onx_fb_float_fully_connected_weights(t);
    uint32_t size = onx_float_weights_count(w), outputs = onx_fb_float_fully_connected_bias(t).count;
    if (!onx_is_float(&in) || !onx_is_float(&out))
        return ONX_ERROR_UNSUPPORTED;
    if (outputs == 0u || size == 0u || size % outputs != 0u)
        return ONX_ERROR_OPERATOR;
    if (!onx_float_weights_fit(w, onx_fb_float_fully_connected_weight_scale(t), size, outputs))
        return ONX_ERROR_OPERATOR;
    uint32_t depth = size / outputs;
    if (in.count % depth != 0u || (uint64_t)(in.count / depth) * outputs != out.count)
        return ONX_ERROR_OPERATOR;
    /* not the opposite comparison, which NaN would pass */
    return onx_fb_float_fully_connected_minimum(t) <= onx_fb_float_fully_connected_maximum(t) ? ONX_OK
                                                                                              : ONX_ERROR_OPERATOR;
}

const onx_kernel onx_float_fully_connected_kernels[1] = {
    { ONX_WEIGHT_LAYOUT_OHWI, onx_float_fully_connected_check, onx_float_fully_connected_run, NULL, NULL },
};
