/* Quantized sum with broadcasting, in the order of ONNX Runtime's loop. */
#include "engine/numeric.h"
#include "pairwise.h"

typedef struct {
    float scale_a, scale_b, constant;
    float low, high; /* in the domain */
    int32_t domain_offset;
} onx_add;

static void onx_add_elements(const void *formula, const void *a, size_t a_step, const void *b, size_t b_step, void *y,
                             size_t n)
{
    const onx_add f = *(const onx_add *)formula; /* a copy: the stores to y cannot change it */
    const int8_t *pa = a, *pb = b;
    int8_t *py = y;
    for (size_t i = 0; i < n; i++, pa += a_step, pb += b_step) {
        float va = (float)(*pa + f.domain_offset), vb = (float)(*pb + f.domain_offset);
        float sum = onx_fma(va, f.scale_a, onx_fma(vb, f.scale_b, f.constant));
        py[i] = onx_round_domain(sum, f.low, f.high, f.domain_offset);
    }
}

static void onx_add_run(const onx_call *call)
{
    onx_fb_add t = { call->attributes };
    int32_t offset = onx_fb_add_domain_offset(t);
    onx_add f = {
        .scale_a = onx_fb_add_scale_a(t),
        .scale_b = onx_fb_add_scale_b(t),
        .constant = onx_fb_add_constant(t),
        .low = (float)(onx_fb_add_minimum(t) + offset),
        .high = (float)(onx_fb_add_maximum(t) + offset),
        .domain_offset = offset,
    };
    onx_pairwise_run(call, onx_add_elements, &f);
}

static onx_status onx_add_check(const onx_call *call)
{
    onx_fb_add t = { call->attributes };
    int32_t offset = onx_fb_add_domain_offset(t);
    if (!onx_is_scale(onx_fb_add_scale_a(t)) || !onx_is_scale(onx_fb_add_scale_b(t))
        || !onx_is_finite(onx_fb_add_constant(t)) || (offset != 0 && offset != 128)
        || onx_fb_add_minimum(t) > onx_fb_add_maximum(t))
        return ONX_ERROR_OPERATOR;
    return onx_pairwise_check(call, ONX_ELEMENT_TYPE_INT8);
}

const onx_kernel onx_add_kernels[1] = {
    { ONX_WEIGHT_LAYOUT_UNSET, onx_add_check, onx_add_run, NULL, onx_pairwise_safe_offset },
};
