/* Inputs joined along one axis. */
#include "engine/kernel.h"

/* Bytes of the dimensions from `axis` on: what one index of the axes before it holds. */
static size_t onx_concat_run_of(const onx_tensor *t, uint32_t axis)
{
    size_t run = onx_element_size(t->type);
    for (; axis < t->rank; axis++)
        run *= (size_t)t->shape[axis];
    return run;
}

static void onx_concat_run(const onx_call *call)
{
    onx_fb_concat t = { call->attributes };
    uint32_t axis = onx_fb_concat_axis(t), inputs = onx_fb_operator_inputs(call->op).count;
    onx_tensor out = onx_output_of(call, 0);
    size_t step = onx_concat_run_of(&out, axis);
    uint8_t *y = out.data, *end = y + (size_t)out.count * onx_element_size(out.type);
    for (uint32_t i = 0; i < inputs; i++) {
        onx_tensor in = onx_input_of(call, i);
        size_t run = onx_concat_run_of(&in, axis);
        const uint8_t *x = in.data;
        for (uint8_t *to = y; to < end; to += step, x += run)
            memcpy(to, x, run);
        y += run;
    }
}

static onx_status onx_concat_check(const onx_call *call)
{
    onx_fb_concat t = { call->attributes };
    uint32_t axis = onx_fb_concat_axis(t), inputs = onx_fb_operator_inputs(call->op).count;
    onx_tensor out = onx_output_of(call, 0);
    uint64_t total = 0;
    if (axis >= out.rank)
        return ONX_ERROR_OPERATOR;
    for (uint32_t i = 0; i < inputs; i++) {
        onx_tensor in = onx_input_of(call, i);
        if (!onx_can_move(&in, &out))
            return ONX_ERROR_UNSUPPORTED;
        if (in.rank != out.rank)
            return ONX_ERROR_OPERATOR;
        for (uint32_t k = 0; k < out.rank; k++)
            if (k != axis && in.shape[k] != out.shape[k])
                return ONX_ERROR_OPERATOR;
        total += (uint32_t)in.shape[axis];
    }
    return total == (uint32_t)out.shape[axis] ? ONX_OK : ONX_ERROR_OPERATOR;
}

const onx_kernel onx_concat_kernels[1] = {
    { ONX_WEIGHT_LAYOUT_UNSET, onx_concat_check, onx_concat_run, NULL, NULL },
};
