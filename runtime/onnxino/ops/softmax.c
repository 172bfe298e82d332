/* Softmax over the last axis, from a table of 256 exponentials. */
#include "engine/kernel.h"
#include "engine/numeric.h"

static void onx_softmax_run(const onx_call *call)
{
    onx_fb_softmax t = { call->attributes };
    onx_tensor in = onx_input_of(call, 0), out = onx_output_of(call, 0);
    const float *table = onx_fb_softmax_table(t).data;
    float factor = onx_fb_softmax_factor(t);
    int32_t zero_point = onx_fb_softmax_zero_point(t);
    float low = (float)(-128 - zero_point), high = (float)(127 - zero_point);
    size_t depth = (size_t)in.shape[in.rank - 1u];
    const int8_t *x = in.data;
    int8_t *y = out.data;
    for (size_t rows = in.count / depth; rows > 0u; rows--, x += depth, y += depth) {
        int32_t greatest = -128;
        float sum = 0.0f;
        for (size_t i = 0; i < depth; i++)
            greatest = x[i] > greatest ? x[i] : greatest;
        const float *exponentials = table + (255 - greatest); /* at x[i]: table[255 - (greatest - x[i])] */
        for (size_t i = 0; i < depth; i++)
            sum += exponentials[x[i]];
        for (size_t i = 0; i < depth; i++) {
            float v = onx_product(exponentials[x[i]], factor) / sum;
            y[i] = (int8_t)(onx_rint(onx_clampf(v, low, high)) + zero_point);
        }
    }
}

static onx_status onx_softmax_check(const onx_call *call)
{
    onx_fb_softmax t = { call->attributes };
    onx_tensor in = onx_input_of(call, 0), out = onx_output_of(call, 0);
    onx_f32s table = onx_fb_softmax_table(t);
    if (!onx_is_int8(&in) || !onx_is_int8(&out))
        return ONX_ERROR_UNSUPPORTED;
    if (!onx_same_shape(&in, &out) || table.count != 256u || !onx_is_scale(onx_fb_softmax_factor(t)))
        return ONX_ERROR_OPERATOR;
    for (uint32_t i = 0; i < 256u; i++)
        if (!onx_is_finite(table.data[i]) || table.data[i] < 0.0f)
            return ONX_ERROR_OPERATOR;
    return table.data[255] > 0.0f ? ONX_OK : ONX_ERROR_OPERATOR; /* so that no sum is 0 */
}

const onx_kernel onx_softmax_kernels[1] = {
    { ONX_WEIGHT_LAYOUT_UNSET, onx_softmax_check, onx_softmax_run, NULL, NULL },
};
