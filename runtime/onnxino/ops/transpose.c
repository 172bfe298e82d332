/* Axes in another order: output axis i is input axis perm[i]. */
#include "engine/kernel.h"

/* y[i] = x[i * step] for elements of `size` bytes. */
static void onx_transpose_gather(uint8_t *y, const uint8_t *x, size_t n, size_t step, size_t size)
{
    if (size == 1u) {
        for (size_t i = 0; i < n; i++)
            y[i] = x[i * step];
    } else { /* 4 bytes: nothing else moves */
        for (size_t i = 0; i < n; i++)
            memcpy(y + 4u * i, x + 4u * (i * step), 4u);
    }
}

static void onx_transpose_run(const onx_call *call)
{
    onx_fb_transpose t = { call->attributes };
    onx_tensor in = onx_input_of(call, 0), out = onx_output_of(call, 0);
    onx_u8s perm = onx_fb_transpose_perm(t);
    size_t input_strides[ONX_MAX_RANK], strides[ONX_MAX_RANK], stride = 1;
    uint32_t index[ONX_MAX_RANK] = { 0 }, last = out.rank - 1u;
    for (uint32_t axis = in.rank; axis-- > 0u;) {
        input_strides[axis] = stride;
        stride *= (size_t)in.shape[axis];
    }
    for (uint32_t axis = 0; axis < out.rank; axis++)
        strides[axis] = input_strides[perm.data[axis]];
    size_t size = onx_element_size(in.type), n = (size_t)out.shape[last], step = strides[last];
    const uint8_t *x = in.data;
    uint8_t *y = out.data, *end = y + (size_t)out.count * size;
    while (y != end) {
        onx_transpose_gather(y, x, n, step, size);
        y += n * size;
        for (uint32_t axis = last; axis-- > 0u;) { /* the next index of the outer axes */
            x += strides[axis] * size;
            if (++index[axis] < (uint32_t)out.shape[axis])
                break;
            x -= strides[axis] * index[axis] * size;
            index[axis] = 0u;
        }
    }
}

static onx_status onx_transpose_check(const onx_call *call)
{
    onx_fb_transpose t = { call->attributes };
    onx_tensor in = onx_input_of(call, 0), out = onx_output_of(call, 0);
    onx_u8s perm = onx_fb_transpose_perm(t);
    uint32_t seen = 0;
    if (!onx_can_move(&in, &out))
        return ONX_ERROR_UNSUPPORTED;
    if (in.rank != out.rank || perm.count != in.rank)
        return ONX_ERROR_OPERATOR;
    for (uint32_t axis = 0; axis < out.rank; axis++) {
        if (perm.data[axis] >= in.rank || (seen >> perm.data[axis] & 1u) != 0u)
            return ONX_ERROR_OPERATOR;
        seen |= 1u << perm.data[axis];
        if (out.shape[axis] != in.shape[perm.data[axis]])
            return ONX_ERROR_OPERATOR;
    }
    return ONX_OK;
}

const onx_kernel onx_transpose_kernels[1] = {
    { ONX_WEIGHT_LAYOUT_UNSET, onx_transpose_check, onx_transpose_run, NULL, NULL },
};
