/* A function of each float32 value. */
#include "engine/float_math.h"
#include "engine/kernel.h"

typedef float (*onx_unary)(float x, float alpha, float beta);

#define ONX_UNARY(name, value)                                      \
    static float onx_unary_##name(float x, float alpha, float beta) \
    {                                                               \
        (void)alpha;                                                \
        (void)beta;                                                 \
        return value;                                               \
    }

static float onx_hard_sigmoid(float x, float alpha, float beta)
{
    return onx_clamp(onx_product(alpha, x) + beta, 0.0f, 1.0f);
}

static float onx_sigmoid(float x)
{
    float e = onx_exp(-onx_abs(x));
    return (x >= 0.0f ? 1.0f : e) / (1.0f + e);
}

ONX_UNARY(clamp, onx_clamp(x, alpha, beta))
ONX_UNARY(sigmoid, onx_sigmoid(x))
ONX_UNARY(tanh, onx_tanh(x))
ONX_UNARY(exp, onx_exp(x))
ONX_UNARY(log, onx_log(x))
ONX_UNARY(sqrt, onx_sqrt(x))
ONX_UNARY(abs, onx_abs(x))
ONX_UNARY(neg, -x)
ONX_UNARY(reciprocal, 1.0f / x)
ONX_UNARY(erf, onx_erf(x))
ONX_UNARY(elu, x >= 0.0f ? x : alpha * (onx_exp(x) - 1.0f))
ONX_UNARY(selu, x > 0.0f ? beta * x : beta * (alpha * (onx_exp(x) - 1.0f)))
ONX_UNARY(leaky_relu, x >= 0.0f ? x : alpha * x)
ONX_UNARY(hard_sigmoid, onx_hard_sigmoid(x, alpha, beta))
ONX_UNARY(hard_swish, x *onx_hard_sigmoid(x, 1.0f / 6.0f, 0.5f))
ONX_UNARY(softplus, (x < 0.0f ? 0.0f : x) + onx_log(1.0f + onx_exp(-onx_abs(x))))
ONX_UNARY(softsign, x / (1.0f + onx_abs(x)))
ONX_UNARY(gelu, 0.5f * x * (1.0f + onx_erf(x * 0.70710678f)))
ONX_UNARY(floor, onx_floor(x))
ONX_UNARY(ceil, onx_ceil(x))
ONX_UNARY(round, onx_round_even(x))
ONX_UNARY(sign, x > 0.0f ? 1.0f : x < 0.0f ? -1.0f : x + 0.0f)

static const onx_unary onx_unary_functions[] = {
    [ONX_UNARY_FUNCTION_CLAMP] = onx_unary_clamp,
    [ONX_UNARY_FUNCTION_SIGMOID] = onx_unary_sigmoid,
    [ONX_UNARY_FUNCTION_TANH] = onx_unary_tanh,
    [ONX_UNARY_FUNCTION_EXP] = onx_unary_exp,
    [ONX_UNARY_FUNCTION_LOG] = onx_unary_log,
    [ONX_UNARY_FUNCTION_SQRT] = onx_unary_sqrt,
    [ONX_UNARY_FUNCTION_ABS] = onx_unary_abs,
    [ONX_UNARY_FUNCTION_NEG] = onx_unary_neg,
    [ONX_UNARY_FUNCTION_RECIPROCAL] = onx_unary_reciprocal,
    [ONX_UNARY_FUNCTION_ERF] = onx_unary_erf,
    [ONX_UNARY_FUNCTION_ELU] = onx_unary_elu,
    [ONX_UNARY_FUNCTION_SELU] = onx_unary_selu,
    [ONX_UNARY_FUNCTION_LEAKY_RELU] = onx_unary_leaky_relu,
    [ONX_UNARY_FUNCTION_HARD_SIGMOID] = onx_unary_hard_sigmoid,
    [ONX_UNARY_FUNCTION_HARD_SWISH] = onx_unary_hard_swish,
    [ONX_UNARY_FUNCTION_SOFTPLUS] = onx_unary_softplus,
    [ONX_UNARY_FUNCTION_SOFTSIGN] = onx_unary_softsign,
    [ONX_UNARY_FUNCTION_GELU] = onx_unary_gelu,
    [ONX_UNARY_FUNCTION_FLOOR] = onx_unary_floor,
    [ONX_UNARY_FUNCTION_CEIL] = onx_unary_ceil,
    [ONX_UNARY_FUNCTION_ROUND] = onx_unary_round,
    [ONX_UNARY_FUNCTION_SIGN] = onx_unary_sign,
};

static void onx_float_unary_run(const onx_call *call)
{
    onx_fb_float_unary t = { call->attributes };
    onx_tensor in = onx_input_of(call, 0), out = onx_output_of(call, 0);
    onx_unary function = onx_unary_functions[onx_fb_float_unary_function(t)];
    float alpha = onx_fb_float_unary_alpha(t), beta = onx_fb_float_unary_beta(t);
    const float *x = in.data;
    float *y = out.data;
    for (size_t i = 0; i < in.count; i++)
        y[i] = function(x[i], alpha, beta);
}

static onx_status onx_float_unary_check(const onx_call *call)
{
    onx_fb_float_unary t = { call->attributes };
    onx_tensor in = onx_input_of(call, 0), out = onx_output_of(call, 0);
    float alpha = onx_fb_float_unary_alpha(t), beta = onx_fb_float_unary_beta(t);
    if (!onx_is_float(&in) || !onx_is_float(&out))
        return ONX_ERROR_UNSUPPORTED;
    if (!onx_same_shape(&in, &out) || onx_is_nan(alpha) || onx_is_nan(beta))
        return ONX_ERROR_OPERATOR;
    return onx_fb_float_unary_function(t) != ONX_UNARY_FUNCTION_CLAMP || alpha <= beta ? ONX_OK : ONX_ERROR_OPERATOR;
}

/* In place: each value is read before its result is written. */
static uint32_t onx_float_unary_safe_offset(const onx_call *call, uint32_t input)
{
    (void)call;
    (void)input;
    return 0u;
}

const onx_kernel onx_float_unary_kernels[1] = {
    { ONX_WEIGHT_LAYOUT_UNSET, onx_float_unary_check, onx_float_unary_run, NULL, onx_float_unary_safe_offset },
};
