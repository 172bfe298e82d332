/* float32 to int8, with a scale and a zero point. */
#include "engine/kernel.h"
#include "engine/numeric.h"

static void onx_quantize_run(const onx_call *call)
{
    onx_fb_quantize t = { call->attributes };
    onx_tensor in = onx_input_of(call, 0), out = onx_output_of(call, 0);
    float scale = onx_fb_quantize_scale(t);
    int32_t zero_point = onx_fb_quantize_zero_point(t);
    float low = (float)(-128 - zero_point), high = (float)(127 - zero_point);
    const float *x = in.data;
    int8_t *y = out.data;
    for (size_t i = 0; i < in.count; i++)
        y[i] = (int8_t)(onx_rint(onx_clampf(x[i] / scale, low, high)) + zero_point);
}

static onx_status onx_quantize_check(const onx_call *call)
{
    onx_fb_quantize t = { call->attributes };
    onx_tensor in = onx_input_of(call, 0), out = onx_output_of(call, 0);
    if (!onx_is_float(&in) || !onx_is_int8(&out))
        return ONX_ERROR_UNSUPPORTED;
    return onx_same_shape(&in, &out) && onx_is_scale(onx_fb_quantize_scale(t)) ? ONX_OK : ONX_ERROR_OPERATOR;
}

/* In place: byte i is written after the 4 bytes of value i are read, and lies at or before their first. */
static uint32_t onx_quantize_safe_offset(const onx_call *call, uint32_t input)
{
    (void)call;
    (void)input;
    return 0u;
}

const onx_kernel onx_quantize_kernels[1] = {
    { ONX_WEIGHT_LAYOUT_UNSET, onx_quantize_check, onx_quantize_run, NULL, onx_quantize_safe_offset },
};
