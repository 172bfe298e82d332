/* The input surrounded by one value. */
#include "engine/kernel.h"

static void onx_pad_fill(uint8_t *y, size_t bytes, onx_u8s value)
{
    if (value.count == 1u)
        memset(y, value.data[0], bytes);
    else
        for (uint8_t *end = y + bytes; y < end; y += value.count)
            memcpy(y, value.data, value.count);
}

static void onx_pad_run(const onx_call *call)
{
    onx_fb_pad t = { call->attributes };
    onx_tensor in = onx_input_of(call, 0), out = onx_output_of(call, 0);
    const uint32_t *before = onx_fb_pad_before(t).data;
    uint32_t index[ONX_MAX_RANK] = { 0 }, last = in.rank - 1u;
    size_t strides[ONX_MAX_RANK], size = onx_element_size(in.type), stride = size; /* bytes, of the output */
    size_t run = (size_t)in.shape[last] * size;
    const uint8_t *x = in.data, *end = x + (size_t)in.count * size;
    uint8_t *y = out.data;
    onx_pad_fill(y, (size_t)out.count * size, onx_fb_pad_value(t));
    for (uint32_t axis = in.rank; axis-- > 0u; stride *= (size_t)out.shape[axis]) {
        strides[axis] = stride;
        y += before[axis] * stride;
    }
    for (; x != end; x += run) {
        memcpy(y, x, run);
        for (uint32_t axis = last; axis-- > 0u;) { /* the next index of the outer axes */
            y += strides[axis];
            if (++index[axis] < (uint32_t)in.shape[axis])
                break;
            y -= strides[axis] * index[axis];
            index[axis] = 0u;
        }
    }
}

static onx_status onx_pad_check(const onx_call *call)
{
    onx_fb_pad t = { call->attributes };
    onx_tensor in = onx_input_of(call, 0), out = onx_output_of(call, 0);
    onx_u32s before = onx_fb_pad_before(t);
    if (!onx_can_move(&in, &out))
        return ONX_ERROR_UNSUPPORTED;
    if (in.rank != out.rank || before.count != in.rank || onx_fb_pad_value(t).count != onx_element_size(in.type))
        return ONX_ERROR_OPERATOR;
    for (uint32_t i = 0; i < in.rank; i++)
        if ((uint64_t)before.data[i] + (uint32_t)in.shape[i] > (uint32_t)out.shape[i])
            return ONX_ERROR_OPERATOR;
    return ONX_OK;
}

const onx_kernel onx_pad_kernels[1] = {
    { ONX_WEIGHT_LAYOUT_UNSET, onx_pad_check, onx_pad_run, NULL, NULL },
};
