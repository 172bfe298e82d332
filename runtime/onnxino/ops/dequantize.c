/* int8 to float32, with a scale and a zero point. */
#include "engine/kernel.h"

static void onx_dequantize_run(const onx_call *call)
{
    onx_fb_dequantize t = { call->attributes };
    onx_tensor in = onx_input_of(call, 0), out = onx_output_of(call, 0);
    float scale = onx_fb_dequantize_scale(t);
    int32_t zero_point = onx_fb_dequantize_zero_point(t);
    const int8_t *x = in.data;
    float *y = out.data;
    for (size_t i = 0; i < in.count; i++)
        y[i] = (float)(x[i] - zero_point) * scale;
}

static onx_status onx_dequantize_check(const onx_call *call)
{
    onx_fb_dequantize t = { call->attributes };
    onx_tensor in = onx_input_of(call, 0), out = onx_output_of(call, 0);
    if (!onx_is_int8(&in) || !onx_is_float(&out))
        return ONX_ERROR_UNSUPPORTED;
    return onx_same_shape(&in, &out) && onx_is_scale(onx_fb_dequantize_scale(t)) ? ONX_OK : ONX_ERROR_OPERATOR;
}

const onx_kernel onx_dequantize_kernels[1] = {
    { ONX_WEIGHT_LAYOUT_UNSET, onx_dequantize_check, onx_dequantize_run, NULL, NULL },
};
