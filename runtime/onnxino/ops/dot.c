/* The dot products of convolutions and dense layers. */
#include "dot.h"

uint32_t onx_dot(uint32_t acc, const int8_t *x, const int8_t *w, const onx_patch *patch)
{
    for (size_t row = 0; row < patch->rows; row++) {
        const int8_t *px = x + row * patch->x_row, *pw = w + row * patch->w_row;
        for (size_t run = patch->runs; run > 0u; run--, px += patch->x_run, pw += patch->w_run) {
            ONX_ROLLED
            for (size_t i = 0; i < patch->run; i++)
                acc += onx_multiply(px[i], pw[i]);
        }
    }
    return acc;
}

/* One run for four filters. A function of its own, so that the loop has all registers. */
static ONX_APART void onx_dot4_run(uint32_t acc[4], const int8_t *x, const int8_t *w, size_t apart, size_t n)
{
    const int8_t *w1 = w + apart, *w2 = w1 + apart, *w3 = w2 + apart;
    uint32_t a0 = acc[0], a1 = acc[1], a2 = acc[2], a3 = acc[3];
    ONX_ROLLED
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

void onx_dot4(uint32_t acc[4], const int8_t *x, const int8_t *w, size_t apart, const onx_patch *patch)
{
    for (size_t row = 0; row < patch->rows; row++, x += patch->x_row, w += patch->w_row) {
        const int8_t *px = x, *pw = w;
        for (size_t run = patch->runs; run > 0u; run--, px += patch->x_run, pw += patch->w_run)
            onx_dot4_run(acc, px, pw, apart, patch->run);
    }
}
