/* Index of the largest or smallest element along one axis, of int8 or float32: int32. */
#include "engine/kernel.h"

typedef struct {
    int smallest, last;
} onx_arg_max;

/* Does x take the place of the best element before it? NaN is better than every number. */
static int onx_is_better(const onx_arg_max *p, float x, float best)
{
    if (best != best)
        return p->last && x != x;
    if (x != x)
        return 1;
    if (x == best)
        return p->last;
    return p->smallest ? x < best : x > best;
}

/* Element i of the tensor; float32 holds every int8. */
static float onx_arg_max_value(const onx_tensor *t, size_t i)
{
    return onx_is_float(t) ? ((const float *)t->data)[i] : (float)((const int8_t *)t->data)[i];
}

static void onx_arg_max_run(const onx_call *call)
{
    onx_fb_arg_max t = { call->attributes };
    onx_tensor in = onx_input_of(call, 0), out = onx_output_of(call, 0);
    onx_arg_max p = { onx_fb_arg_max_smallest(t), onx_fb_arg_max_last(t) };
    uint32_t axis = onx_fb_arg_max_axis(t);
    size_t size = (size_t)in.shape[axis], inner = 1;
    for (uint32_t i = axis + 1u; i < in.rank; i++)
        inner *= (size_t)in.shape[i];
    int32_t *y = out.data;
    for (size_t i = 0; i < out.count; i++) {
        size_t first = i / inner * inner * size + i % inner;
        float best = onx_arg_max_value(&in, first);
        y[i] = 0;
        for (size_t k = 1; k < size; k++) {
            float x = onx_arg_max_value(&in, first + k * inner);
            if (onx_is_better(&p, x, best)) {
                best = x;
                y[i] = (int32_t)k;
            }
        }
    }
}

static onx_status onx_arg_max_check(const onx_call *call)
{
    onx_fb_arg_max t = { call->attributes };
    onx_tensor in = onx_input_of(call, 0), out = onx_output_of(call, 0);
    uint32_t axis = onx_fb_arg_max_axis(t);
    if ((!onx_is_int8(&in) && !onx_is_float(&in)) || out.type != ONX_ELEMENT_TYPE_INT32)
        return ONX_ERROR_UNSUPPORTED;
    return axis < in.rank && onx_is_reduced(&in, &out, 1u << axis) ? ONX_OK : ONX_ERROR_OPERATOR;
}

const onx_kernel onx_arg_max_kernels[1] = {
    { ONX_WEIGHT_LAYOUT_UNSET, onx_arg_max_check, onx_arg_max_run, NULL, NULL },
};
