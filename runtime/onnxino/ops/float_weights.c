/* Weights of float32 operators: checks, and the inner loops of sums in the written order. */
#include "float_weights.h"

onx_float_weights onx_float_weights_of(onx_fb_weights weights, onx_f32s scale)
{
    onx_u8s data = onx_fb_weights_data(weights);
    onx_float_weights w = { NULL, NULL, scale.data, scale.count > 1u ? 1u : 0u };
    if (onx_fb_weights_type(weights) == ONX_ELEMENT_TYPE_FLOAT32)
        w.real = (const void *)data.data; /* vectors are aligned to 16 bytes */
    else
        w.stored = (const int8_t *)data.data;
    return w;
}

uint32_t onx_float_weights_count(onx_fb_weights weights)
{
    uint32_t bytes = onx_fb_weights_data(weights).count;
    return onx_fb_weights_type(weights) == ONX_ELEMENT_TYPE_FLOAT32 ? bytes / 4u : bytes;
}

int onx_float_weights_fit(onx_fb_weights weights, onx_f32s scale, uint64_t count, uint32_t outputs)
{
    onx_u8s data = onx_fb_weights_data(weights);
    if (onx_fb_weights_type(weights) == ONX_ELEMENT_TYPE_FLOAT32) {
        const float *real = (const void *)data.data;
        if (scale.data != NULL || data.count % 4u != 0u || data.count / 4u != count)
            return 0;
        for (uint32_t i = 0; i < data.count / 4u; i++)
            if (!onx_is_finite(real[i]))
                return 0;
        return 1;
    }
    if (!onx_weights_fit(weights, count) || (scale.count != 1u && scale.count != outputs))
        return 0;
    for (uint32_t i = 0; i < scale.count; i++)
        if (!onx_is_scale(scale.data[i]) || !onx_is_finite(scale.data[i] * 128.0f))
            return 0;
    return 1;
}

static void onx_real_products4(float acc[4], const float *x, const float *w, size_t apart, size_t n)
{
    const float *w1 = w + apart, *w2 = w1 + apart, *w3 = w2 + apart;
    float a0 = acc[0], a1 = acc[1], a2 = acc[2], a3 = acc[3];
    for (size_t k = 0; k < n; k++) {
        float v = x[k];
        a0 += onx_product(v, w[k]);
        a1 += onx_product(v, w1[k]);
        a2 += onx_product(v, w2[k]);
        a3 += onx_product(v, w3[k]);
    }
    acc[0] = a0;
    acc[1] = a1;
    acc[2] = a2;
    acc[3] = a3;
}

static float onx_real_products(float acc, const float *x, const float *w, size_t n)
{
    for (size_t k = 0; k < n; k++)
        acc += onx_product(x[k], w[k]);
    return acc;
}

static float onx_stored_products(float acc, const float *x, const int8_t *w, float scale, size_t n)
{
    for (size_t k = 0; k < n; k++)
        acc += onx_product(x[k], onx_product((float)w[k], scale));
    return acc;
}

void onx_float_products(const onx_float_weights *weights, float acc[ONX_FLOAT_BLOCK], size_t block, size_t m,
                        const float *x, size_t at, size_t apart, size_t n)
{
    if (weights->real != NULL && block == ONX_FLOAT_BLOCK) {
        onx_real_products4(acc, x, weights->real + at, apart, n);
    } else if (weights->real != NULL) {
        acc[0] = onx_real_products(acc[0], x, weights->real + at, n);
    } else {
        for (size_t i = 0; i < block; i++) {
            float scale = weights->scale[(m + i) * weights->step];
            acc[i] = onx_stored_products(acc[i], x, weights->stored + at + i * apart, scale, n);
        }
    }
}
