/* Matrix product of two activations in float32, summed in the order of K: [..., M, K] x [..., K, N] -> [..., M, N]. */
#include "engine/kernel.h"
#include "engine/numeric.h"

/* Dimension `axis` of the tensor aligned to the right of `rank` dimensions. */
static uint32_t onx_mat_mul_dimension(const onx_tensor *t, uint32_t rank, uint32_t axis)
{
    uint32_t missing = rank - t->rank;
    return axis < missing ? 1u : (uint32_t)t->shape[axis - missing];
}

/* Matrices before that of `number` among those of the output, whose leading dimensions the tensor's broadcast to. */
static size_t onx_mat_mul_matrix(const onx_tensor *t, const onx_tensor *out, size_t number)
{
    size_t matrix = 0, stride = 1;
    for (uint32_t axis = out->rank - 2u; axis-- > 0u;) {
        uint32_t size = onx_mat_mul_dimension(t, out->rank, axis);
        size_t index = number % (uint32_t)out->shape[axis];
        number /= (uint32_t)out->shape[axis];
        matrix += size == 1u ? 0u : index * stride;
        stride *= size;
    }
    return matrix;
}

/* y += one row of A times B; each element of y is summed in the order of K. */
static void onx_mat_mul_row(const float *a, const float *b, float *y, size_t depth, size_t columns)
{
    for (size_t k = 0; k < depth; k++, b += columns)
        for (size_t n = 0; n < columns; n++)
            y[n] += onx_product(a[k], b[n]);
}

static void onx_float_mat_mul_run(const onx_call *call)
{
    onx_tensor a = onx_input_of(call, 0), b = onx_input_of(call, 1), out = onx_output_of(call, 0);
    size_t rows = (size_t)out.shape[out.rank - 2u], columns = (size_t)out.shape[out.rank - 1u];
    size_t depth = (size_t)a.shape[a.rank - 1u], matrices = out.count / (rows * columns);
    float *y = out.data;
    memset(y, 0, out.count * sizeof *y);
    for (size_t i = 0; i < matrices; i++) {
        const float *row = (const float *)a.data + onx_mat_mul_matrix(&a, &out, i) * rows * depth;
        const float *matrix = (const float *)b.data + onx_mat_mul_matrix(&b, &out, i) * depth * columns;
        for (size_t m = 0; m < rows; m++, row += depth, y += columns)
            onx_mat_mul_row(row, matrix, y, depth, columns);
    }
}

static onx_status onx_float_mat_mul_check(const onx_call *call)
{
    onx_tensor a = onx_input_of(call, 0), b = onx_input_of(call, 1), out = onx_output_of(call, 0);
    if (!onx_is_float(&a) || !onx_is_float(&b) || !onx_is_float(&out))
        return ONX_ERROR_UNSUPPORTED;
    if (a.rank < 2u || b.rank < 2u || out.rank != (a.rank > b.rank ? a.rank : b.rank))
        return ONX_ERROR_OPERATOR;
    if (a.shape[a.rank - 1u] != b.shape[b.rank - 2u] || out.shape[out.rank - 2u] != a.shape[a.rank - 2u]
        || out.shape[out.rank - 1u] != b.shape[b.rank - 1u])
        return ONX_ERROR_OPERATOR;
    for (uint32_t axis = 0; axis + 2u < out.rank; axis++) {
        uint32_t da = onx_mat_mul_dimension(&a, out.rank, axis), db = onx_mat_mul_dimension(&b, out.rank, axis);
        if ((da != db && da != 1u && db != 1u) || (uint32_t)out.shape[axis] != (da > db ? da : db))
            return ONX_ERROR_OPERATOR;
    }
    return ONX_OK;
}

const onx_kernel onx_float_mat_mul_kernels[1] = {
    { ONX_WEIGHT_LAYOUT_UNSET, onx_float_mat_mul_check, onx_float_mat_mul_run, NULL, NULL },
};
