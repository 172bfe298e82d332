/* Broadcasting: the shapes of two inputs and an output as strides. */
#include "pairwise.h"

/* Dimension `axis` of a tensor aligned to the right of `rank` dimensions. */
static uint32_t onx_dimension(const onx_tensor *t, uint32_t rank, uint32_t axis)
{
    uint32_t missing = rank - t->rank;
    return axis < missing ? 1u : (uint32_t)t->shape[axis - missing];
}

/* Bytes from one index to the next along each of `rank` axes; 0 where the tensor has one index and is repeated. */
static void onx_strides(const onx_tensor *t, uint32_t rank, size_t item, size_t strides[ONX_MAX_RANK])
{
    size_t stride = item;
    for (uint32_t axis = rank; axis-- > 0u;) {
        uint32_t size = onx_dimension(t, rank, axis);
        strides[axis] = size == 1u ? 0u : stride;
        stride *= size;
    }
}

void onx_pairwise_run(const onx_call *call, onx_pair_run run, const void *formula)
{
    onx_tensor a = onx_input_of(call, 0), b = onx_input_of(call, 1), out = onx_output_of(call, 0);
    size_t a_strides[ONX_MAX_RANK], b_strides[ONX_MAX_RANK];
    uint32_t index[ONX_MAX_RANK] = { 0 };
    size_t item = onx_is_int8(&out) ? sizeof(int8_t) : sizeof(float);
    const uint8_t *pa = a.data, *pb = b.data;
    uint8_t *y = out.data, *end = y + out.count * item;
    if (a.count == out.count && b.count == out.count) {
        run(formula, pa, 1u, pb, 1u, y, out.count);
        return;
    }
    onx_strides(&a, out.rank, item, a_strides);
    onx_strides(&b, out.rank, item, b_strides);
    uint32_t last = out.rank - 1u;
    size_t n = (size_t)out.shape[last];
    while (y != end) {
        run(formula, pa, a_strides[last] != 0u, pb, b_strides[last] != 0u, y, n);
        y += n * item;
        for (uint32_t axis = last; axis-- > 0u;) { /* the next index of the outer axes */
            pa += a_strides[axis];
            pb += b_strides[axis];
            if (++index[axis] < (uint32_t)out.shape[axis])
                break;
            pa -= a_strides[axis] * index[axis];
            pb -= b_strides[axis] * index[axis];
            index[axis] = 0u;
        }
    }
}

onx_status onx_pairwise_check(const onx_call *call, uint8_t type)
{
    onx_tensor a = onx_input_of(call, 0), b = onx_input_of(call, 1), out = onx_output_of(call, 0);
    if (a.type != type || b.type != type || out.type != type)
        return ONX_ERROR_UNSUPPORTED;
    if (out.rank != (a.rank > b.rank ? a.rank : b.rank))
        return ONX_ERROR_OPERATOR;
    for (uint32_t axis = 0; axis < out.rank; axis++) {
        uint32_t da = onx_dimension(&a, out.rank, axis), db = onx_dimension(&b, out.rank, axis);
        if (da != db && da != 1u && db != 1u)
            return ONX_ERROR_OPERATOR;
        if ((uint32_t)out.shape[axis] != (da > db ? da : db))
            return ONX_ERROR_OPERATOR;
    }
    return ONX_OK;
}

uint32_t onx_pairwise_safe_offset(const onx_call *call, uint32_t input)
{
    onx_tensor a = onx_input_of(call, 0), b = onx_input_of(call, 1), out = onx_output_of(call, 0);
    (void)input;
    return onx_same_shape(&a, &out) && onx_same_shape(&b, &out) ? 0u : ONX_NEVER;
}
