/* Integer dot products of int8. Sums are kept unsigned, where wrapping around is defined. */
#ifndef ONX_DOT_H
#define ONX_DOT_H

#include <stddef.h>
#include <stdint.h>

/* ONX_APART keeps a function out of its caller's loop, whose registers it would take; ONX_ROLLED keeps a loop as it is:
 * on Cortex-M, unrolling costs more in spilled registers than it saves (vectorizing hosts vectorize all the same). */
#ifdef __GNUC__
#define ONX_ROLLED _Pragma("GCC unroll 1")
#define ONX_APART __attribute__((noinline))
#else
#define ONX_ROLLED
#define ONX_APART
#endif

static inline uint32_t onx_multiply(int8_t a, int8_t b) { return (uint32_t)((int32_t)a * (int32_t)b); }

/* Where the operands of a window's products lie: `rows` rows of `runs` runs of `run` adjacent values each, and the
 * bytes from one row or run to the next in the image (x) and in the filter (w). */
typedef struct {
    size_t rows, runs, run;
    size_t x_row, x_run;
    size_t w_row, w_run;
} onx_patch;

/* acc + sum(x * w) over the patch. */
uint32_t onx_dot(uint32_t acc, const int8_t *x, const int8_t *w, const onx_patch *patch);

/* The same for four filters, `apart` bytes from each other: each x is loaded once for four products. */
void onx_dot4(uint32_t acc[4], const int8_t *x, const int8_t *w, size_t apart, const onx_patch *patch);

#endif
