/* Softmax, or its logarithm, over the last axis in float32. */
#include "engine/float_math.h"
#include "engine/kernel.h"

/* y may be x itself or lie before it. */
static void onx_softmax_row(const float *x, float *y, size_t depth, int logarithm)
{
    float greatest = x[0], sum = 0.0f;
    for (size_t i = 1; i < depth; i++)
        greatest = x[i] > greatest ? x[i] : greatest;
    for (size_t i = 0; i < depth; i++) {
        float shifted = x[i] - greatest, e = onx_exp(shifted);
        sum += e;
        y[i] = logarithm ? shifted : e;
    }
    float log_of_sum = onx_log(sum);
    for (size_t i = 0; i < depth; i++)
        y[i] = logarithm ? y[i] - log_of_sum : y[i] / sum;
}

static void onx_float_softmax_run(const onx_call *call)
{
    onx_fb_float_softmax t = { call->attributes };
    onx_tensor in = onx_input_of(call, 0), out = onx_output_of(call, 0);
    size_t depth = (size_t)in.shape[in.rank - 1u];
    const float *x = in.data, *end = x + in.count;
    for (float *y = out.data; x != end; x += depth, y += depth)
        onx_softmax_row(x, y, depth, onx_fb_float_softmax_log(t));
}

static onx_status onx_float_softmax_check(const onx_call *call)
{
    onx_tensor in = onx_input_of(call, 0), out = onx_output_of(call, 0);
    if (!onx_is_float(&in) || !onx_is_float(&out))
        return ONX_ERROR_UNSUPPORTED;
    return onx_same_shape(&in, &out) ? ONX_OK : ONX_ERROR_OPERATOR;
}

/* In place: a row's exponentials replace it, and are divided where they are. */
static uint32_t onx_float_softmax_safe_offset(const onx_call *call, uint32_t input)
{
    (void)call;
    (void)input;
    return 0u;
}

const onx_kernel onx_float_softmax_kernels[1] = {
    { ONX_WEIGHT_LAYOUT_UNSET, onx_float_softmax_check, onx_float_softmax_run, NULL, onx_float_softmax_safe_offset },
};
