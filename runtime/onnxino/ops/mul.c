/* Quantized product with broadcasting. */
#include "engine/numeric.h"
#include "pairwise.h"

typedef struct {
    float scale;
    float zero_point, low, high; /* in the domain: the sum is rounded there, which decides ties */
    int32_t domain_offset, zero_a, zero_b;
} onx_mul;

static void onx_mul_elements(const void *formula, const void *a, size_t a_step, const void *b, size_t b_step, void *y,
                             size_t n)
{
    const onx_mul f = *(const onx_mul *)formula; /* a copy: the stores to y cannot change it */
    const int8_t *pa = a, *pb = b;
    int8_t *py = y;
    for (size_t i = 0; i < n; i++, pa += a_step, pb += b_step) {
        int32_t product = (*pa - f.zero_a) * (*pb - f.zero_b);
        float v = onx_product((float)product, f.scale) + f.zero_point;
        py[i] = onx_round_domain(v, f.low, f.high, f.domain_offset);
    }
}

static void onx_mul_run(const onx_call *call)
{
    onx_fb_mul t = { call->attributes };
    int32_t offset = onx_fb_mul_domain_offset(t);
    onx_mul f = {
        .scale = onx_fb_mul_scale(t),
        .zero_point = (float)(onx_fb_mul_zero_point(t) + offset),
        .low = (float)(onx_fb_mul_minimum(t) + offset),
        .high = (float)(onx_fb_mul_maximum(t) + offset),
        .domain_offset = offset,
        .zero_a = onx_fb_mul_zero_point_a(t),
        .zero_b = onx_fb_mul_zero_point_b(t),
    };
    onx_pairwise_run(call, onx_mul_elements, &f);
}

static onx_status onx_mul_check(const onx_call *call)
{
    onx_fb_mul t = { call->attributes };
    int32_t offset = onx_fb_mul_domain_offset(t);
    if (!onx_is_scale(onx_fb_mul_scale(t)) || (offset != 0 && offset != 128)
        || onx_fb_mul_minimum(t) > onx_fb_mul_maximum(t))
        return ONX_ERROR_OPERATOR;
    return onx_pairwise_check(call, ONX_ELEMENT_TYPE_INT8);
}

const onx_kernel onx_mul_kernels[1] = {
    { ONX_WEIGHT_LAYOUT_UNSET, onx_mul_check, onx_mul_run, NULL, onx_pairwise_safe_offset },
};
