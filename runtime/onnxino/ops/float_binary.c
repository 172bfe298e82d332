/* A function of two float32 values with broadcasting, then a clamp. */
#include "engine/float_math.h"
#include "pairwise.h"

typedef struct {
    uint8_t function; /* enum onx_binary_function */
    float minimum, maximum;
} onx_float_binary;

static inline float onx_binary_value(uint8_t function, float a, float b)
{
    switch (function) {
    case ONX_BINARY_FUNCTION_ADD: return a + b;
    case ONX_BINARY_FUNCTION_SUB: return a - b;
    case ONX_BINARY_FUNCTION_MUL: return onx_product(a, b);
    case ONX_BINARY_FUNCTION_DIV: return a / b;
    case ONX_BINARY_FUNCTION_MIN: return a < b || onx_is_nan(a) ? a : b;
    case ONX_BINARY_FUNCTION_MAX: return a > b || onx_is_nan(a) ? a : b;
    case ONX_BINARY_FUNCTION_PRELU: return a >= 0.0f ? a : a * b;
    default: return onx_pow(a, b);
    }
}

static void onx_float_binary_elements(const void *formula, const void *a, size_t a_step, const void *b, size_t b_step,
                                      void *y, size_t n)
{
    const onx_float_binary *f = formula;
    const float *pa = a, *pb = b;
    float *py = y;
    for (size_t i = 0; i < n; i++, pa += a_step, pb += b_step)
        py[i] = onx_clamp(onx_binary_value(f->function, *pa, *pb), f->minimum, f->maximum);
}

static void onx_float_binary_run(const onx_call *call)
{
    onx_fb_float_binary t = { call->attributes };
    onx_float_binary f = { onx_fb_float_binary_function(t), onx_fb_float_binary_minimum(t),
                           onx_fb_float_binary_maximum(t) };
    onx_pairwise_run(call, onx_float_binary_elements, &f);
}

static onx_status onx_float_binary_check(const onx_call *call)
{
    onx_fb_float_binary t = { call->attributes };
    if (!(onx_fb_float_binary_minimum(t) <= onx_fb_float_binary_maximum(t)))
        return ONX_ERROR_OPERATOR;
    return onx_pairwise_check(call, ONX_ELEMENT_TYPE_FLOAT32);
}

const onx_kernel onx_float_binary_kernels[1] = {
    { ONX_WEIGHT_LAYOUT_UNSET, onx_float_binary_check, onx_float_binary_run, NULL, onx_pairwise_safe_offset },
};
