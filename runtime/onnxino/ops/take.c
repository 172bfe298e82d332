/* The input at known indices of one axis: slices, splits, gathers, nearest resize, edge padding. */
#include "engine/kernel.h"

static void onx_take_run(const onx_call *call)
{
    onx_fb_take t = { call->attributes };
    onx_tensor in = onx_input_of(call, 0), out = onx_output_of(call, 0);
    onx_u32s indices = onx_fb_take_indices(t);
    uint32_t axis = onx_fb_take_axis(t);
    size_t run = onx_element_size(in.type); /* bytes of one index */
    for (uint32_t i = axis + 1u; i < in.rank; i++)
        run *= (size_t)in.shape[i];
    size_t step = run * (size_t)in.shape[axis];
    const uint8_t *x = in.data;
    uint8_t *y = out.data, *end = y + (size_t)out.count * onx_element_size(out.type);
    for (; y < end; x += step)
        for (uint32_t i = 0; i < indices.count; i++, y += run)
            memcpy(y, x + indices.data[i] * run, run);
}

static onx_status onx_take_check(const onx_call *call)
{
    onx_fb_take t = { call->attributes };
    onx_tensor in = onx_input_of(call, 0), out = onx_output_of(call, 0);
    onx_u32s indices = onx_fb_take_indices(t);
    uint32_t axis = onx_fb_take_axis(t);
    if (!onx_can_move(&in, &out))
        return ONX_ERROR_UNSUPPORTED;
    if (in.rank != out.rank || axis >= in.rank || (uint32_t)out.shape[axis] != indices.count)
        return ONX_ERROR_OPERATOR;
    for (uint32_t i = 0; i < in.rank; i++)
        if (i != axis && in.shape[i] != out.shape[i])
            return ONX_ERROR_OPERATOR;
    for (uint32_t i = 0; i < indices.count; i++)
        if (indices.data[i] >= (uint32_t)in.shape[axis])
            return ONX_ERROR_OPERATOR;
    return ONX_OK;
}

const onx_kernel onx_take_kernels[1] = {
    { ONX_WEIGHT_LAYOUT_UNSET, onx_take_check, onx_take_run, NULL, NULL },
};
