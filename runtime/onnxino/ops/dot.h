/* Integer dot products of int8 vectors. Sums are kept unsigned, where wrapping around is defined. */
#ifndef ONX_DOT_H
#define ONX_DOT_H

#include <stddef.h>
#include <stdint.h>

static inline uint32_t onx_multiply(int8_t a, int8_t b) { return (uint32_t)((int32_t)a * (int32_t)b); }

static inline uint32_t onx_dot(uint32_t acc, const int8_t *x, const int8_t *w, size_t n)
{
    for (size_t i = 0; i < n; i++)
        acc += onx_multiply(x[i], w[i]);
    return acc;
}

/* Four filters `apart` bytes from each other against the same x, which is so loaded once for four products. */
static inline void onx_dot4(uint32_t acc[4], const int8_t *x, const int8_t *w, size_t apart, size_t n)
{
    const int8_t *w1 = w + apart, *w2 = w1 + apart, *w3 = w2 + apart;
    uint32_t a0 = acc[0], a1 = acc[1], a2 = acc[2], a3 = acc[3];
    for (size_t i = 0; i < n; i++) {
        int8_t v = x[i];
        a0 += onx_multiply(v, w[i]);
        a1 += onx_multiply(v, w1[i]);
        a2 += onx_multiply(v, w2[i]);
        a3 += onx_multiply(v, w3[i]);
    }
    acc[0] = a0;
    acc[1] = a1;
    acc[2] = a2;
    acc[3] = a3;
}

static inline uint32_t onx_sum(const int8_t *w, size_t n)
{
    uint32_t acc = 0;
    for (size_t i = 0; i < n; i++)
        acc += onx_multiply(w[i], 1);
    return acc;
}

#endif
