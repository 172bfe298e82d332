/* The float helpers of engine/numeric.h over arrays, for tests through ctypes. */
#include "engine/numeric.h"

void test_rint(const float *v, int32_t *out, size_t n);
void test_fma(const float *a, const float *b, const float *c, float *out, size_t n);
void test_requantize(const int32_t *acc, const float *scale, int8_t *out, size_t n, int32_t zero_point);

void test_rint(const float *v, int32_t *out, size_t n)
{
    for (size_t i = 0; i < n; i++)
        out[i] = onx_rint(v[i]);
}

void test_fma(const float *a, const float *b, const float *c, float *out, size_t n)
{
    for (size_t i = 0; i < n; i++)
        out[i] = onx_fma(a[i], b[i], c[i]);
}

void test_requantize(const int32_t *acc, const float *scale, int8_t *out, size_t n, int32_t zero_point)
{
    float low = (float)(-128 - zero_point), high = (float)(127 - zero_point);
    for (size_t i = 0; i < n; i++)
        out[i] = onx_requantize(acc[i], scale[i], low, high, zero_point);
}
