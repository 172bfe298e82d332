/* Any function of one int8 value, as a table of 256. */
#include "engine/kernel.h"

static void onx_lookup_run(const onx_call *call)
{
    onx_fb_lookup t = { call->attributes };
    onx_tensor in = onx_input_of(call, 0), out = onx_output_of(call, 0);
    const int8_t *x = in.data, *table = onx_fb_lookup_table(t).data + 128;
    int8_t *y = out.data;
    for (size_t i = 0; i < in.count; i++)
        y[i] = table[x[i]];
}

static onx_status onx_lookup_check(const onx_call *call)
{
    onx_fb_lookup t = { call->attributes };
    onx_tensor in = onx_input_of(call, 0), out = onx_output_of(call, 0);
    if (!onx_is_int8(&in) || !onx_is_int8(&out))
        return ONX_ERROR_UNSUPPORTED;
    return onx_same_shape(&in, &out) && onx_fb_lookup_table(t).count == 256u ? ONX_OK : ONX_ERROR_OPERATOR;
}

/* In place: each value is read before its result is written. */
static uint32_t onx_lookup_safe_offset(const onx_call *call, uint32_t input)
{
    (void)call;
    (void)input;
    return 0u;
}

const onx_kernel onx_lookup_kernels[1] = {
    { ONX_WEIGHT_LAYOUT_UNSET, onx_lookup_check, onx_lookup_run, NULL, onx_lookup_safe_offset },
};
