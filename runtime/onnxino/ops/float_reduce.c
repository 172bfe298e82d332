/* Mean, sum, maximum and minimum over any axes in float32, in the order in which the elements lie in memory. */
#include "engine/kernel.h"
#include "engine/numeric.h"

/* Some axes of a tensor; neighbours are merged into one. */
typedef struct {
    uint32_t rank;
    size_t size[ONX_MAX_RANK], stride[ONX_MAX_RANK];
} onx_axes;

static onx_axes onx_axes_of(const onx_tensor *t, uint32_t set)
{
    onx_axes a = { 0 };
    size_t stride = t->count;
    for (uint32_t axis = 0; axis < t->rank; axis++) {
        size_t size = (size_t)t->shape[axis];
        stride /= size;
        if ((set >> axis & 1u) == 0u)
            continue;
        if (axis > 0u && (set >> (axis - 1u) & 1u) != 0u) {
            a.size[a.rank - 1u] *= size;
            a.stride[a.rank - 1u] = stride;
        } else {
            a.size[a.rank] = size;
            a.stride[a.rank++] = stride;
        }
    }
    return a;
}

/* Elements from the first to element `number` of the first `rank` axes. */
static size_t onx_axes_offset(const onx_axes *a, uint32_t rank, size_t number)
{
    size_t offset = 0;
    while (rank-- > 0u) {
        offset += number % a->size[rank] * a->stride[rank];
        number /= a->size[rank];
    }
    return offset;
}

/* v and the next element */
static float onx_reduce_step(uint8_t function, float v, float x)
{
    switch (function) {
    case ONX_REDUCE_FUNCTION_MAX: return x > v || x != x ? x : v;
    case ONX_REDUCE_FUNCTION_MIN: return x < v || x != x ? x : v;
    default: return v + x;
    }
}

static void onx_float_reduce_run(const onx_call *call)
{
    onx_fb_float_reduce t = { call->attributes };
    onx_tensor in = onx_input_of(call, 0), out = onx_output_of(call, 0);
    onx_u8s axes = onx_fb_float_reduce_axes(t);
    uint8_t function = onx_fb_float_reduce_function(t);
    uint32_t set = 0;
    for (uint32_t i = 0; i < axes.count; i++)
        set |= 1u << axes.data[i];
    onx_axes kept = onx_axes_of(&in, ~set), reduced = onx_axes_of(&in, set);
    size_t elements = in.count / out.count, last = reduced.rank - 1u, runs = elements / reduced.size[last];
    float *y = out.data;
    for (size_t i = 0; i < out.count; i++) {
        const float *first = (const float *)in.data + onx_axes_offset(&kept, kept.rank, i);
        float v = *first;
        for (size_t run = 0; run < runs; run++) {
            const float *x = first + onx_axes_offset(&reduced, (uint32_t)last, run);
            for (size_t k = run == 0u ? 1u : 0u; k < reduced.size[last]; k++)
                v = onx_reduce_step(function, v, x[k * reduced.stride[last]]);
        }
        y[i] = function == ONX_REDUCE_FUNCTION_MEAN ? v / (float)elements : v;
    }
}

static onx_status onx_float_reduce_check(const onx_call *call)
{
    onx_fb_float_reduce t = { call->attributes };
    onx_tensor in = onx_input_of(call, 0), out = onx_output_of(call, 0);
    onx_u8s axes = onx_fb_float_reduce_axes(t);
    uint32_t set = 0;
    if (!onx_is_float(&in) || !onx_is_float(&out))
        return ONX_ERROR_UNSUPPORTED;
    for (uint32_t i = 0; i < axes.count; i++) {
        if (axes.data[i] >= in.rank || set >> axes.data[i] != 0u) /* ascending */
            return ONX_ERROR_OPERATOR;
        set |= 1u << axes.data[i];
    }
    return set != 0u && onx_is_reduced(&in, &out, set) ? ONX_OK : ONX_ERROR_OPERATOR;
}

const onx_kernel onx_float_reduce_kernels[1] = {
    { ONX_WEIGHT_LAYOUT_UNSET, onx_float_reduce_check, onx_float_reduce_run, NULL, NULL },
};
