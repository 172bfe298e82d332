/* The functions of engine/float_math.h over arrays, and their largest errors against float64, for tests by ctypes. */
#include <math.h>

#include "engine/float_math.h"

#define OVER_ARRAYS(name)                                 \
    void test_##name(const float *x, float *y, size_t n); \
    void test_##name(const float *x, float *y, size_t n)  \
    {                                                     \
        for (size_t i = 0; i < n; i++)                    \
            y[i] = onx_##name(x[i]);                      \
    }

OVER_ARRAYS(exp)
OVER_ARRAYS(log)
OVER_ARRAYS(tanh)
OVER_ARRAYS(erf)
OVER_ARRAYS(sqrt)
OVER_ARRAYS(sqrt_by_digits)
OVER_ARRAYS(floor)
OVER_ARRAYS(ceil)
OVER_ARRAYS(round_even)

void test_pow(const float *a, const float *b, float *y, size_t n);
void test_pow(const float *a, const float *b, float *y, size_t n)
{
    for (size_t i = 0; i < n; i++)
        y[i] = onx_pow(a[i], b[i]);
}

/* The distance between float32 values at a real number. */
static double ulp_at(double v)
{
    int exponent;
    frexp(v, &exponent);
    return ldexp(1.0, (exponent < -125 ? -125 : exponent) - 24);
}

/* The largest error in ulp over every `step`th of all 2^32 bit patterns from `first` on, and where it is. Infinity and
 * NaN must be what rounding the float64 result gives; else the error is infinite. */
#define LARGEST_ERROR(name)                                                                                \
    double error_of_##name(uint32_t first, uint32_t step, uint32_t *where);                                \
    double error_of_##name(uint32_t first, uint32_t step, uint32_t *where)                                 \
    {                                                                                                      \
        double largest = 0.0;                                                                              \
        for (uint64_t bits = first; bits < (uint64_t)1 << 32; bits += step) {                              \
            float x = onx_float((uint32_t)bits), y = onx_##name(x);                                        \
            double exact = name((double)x), error = fabs((double)y - exact) / ulp_at(exact);               \
            if (isnan(exact) || isinf((float)exact) || isinf(y))                                           \
                error = isnan(exact) ? (isnan(y) ? 0.0 : INFINITY) : ((float)exact == y ? 0.0 : INFINITY); \
            if (!(error <= largest)) {                                                                     \
                largest = error;                                                                           \
                *where = (uint32_t)bits;                                                                   \
            }                                                                                              \
        }                                                                                                  \
        return largest;                                                                                    \
    }

LARGEST_ERROR(exp)
LARGEST_ERROR(log)
LARGEST_ERROR(tanh)
LARGEST_ERROR(erf)
