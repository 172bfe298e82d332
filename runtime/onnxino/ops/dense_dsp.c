/* One row of a dense layer, for DSP instructions: as the tiles of conv_tile_dsp.c, but four units by one row. */
#include "dense.h"

#ifdef ONX_DSP

/* What onx_dense_loop loads, in the order of its registers. */
typedef struct {
    const int32_t *bias;   /* s4 */
    const float *scale;    /* s5 */
    size_t scale_bytes;    /* s6: from one scale to the next */
    int32_t zero_point;    /* s7 */
    const int8_t *x;       /* s8 */
    const int8_t *x_whole; /* s9: where the values end that make whole words */
    const int8_t *x_end;   /* s10 */
    size_t depth;          /* s11 */
    int8_t *y, *y_end;     /* s16, s17 */
    const int8_t *w;       /* r5 */
} onx_dense_registers;

/* Four values (r4) and the weights of four units (r5 to r8): 25 cycles. */
#define DENSE_STEP                                                                               \
    "ldr r9, [r4], #4\n ldr r11, [r5], #4\n ldr r12, [r6], #4\n"                                 \
    "sxtb16 r10, r9, ror #8\n sxtb16 r9, r9\n"                                                   \
    "sxtb16 lr, r11, ror #8\n sxtb16 r11, r11\n smlad r0, r10, lr, r0\n smlad r0, r9, r11, r0\n" \
    "sxtb16 lr, r12, ror #8\n sxtb16 r12, r12\n smlad r1, r10, lr, r1\n smlad r1, r9, r12, r1\n" \
    "ldr r11, [r7], #4\n ldr r12, [r8], #4\n"                                                    \
    "sxtb16 lr, r11, ror #8\n sxtb16 r11, r11\n smlad r2, r10, lr, r2\n smlad r2, r9, r11, r2\n" \
    "sxtb16 lr, r12, ror #8\n sxtb16 r12, r12\n smlad r3, r10, lr, r3\n smlad r3, r9, r12, r3\n"

/* A line is what belongs together. */
/* clang-format off */
static ONX_ASSEMBLY void onx_dense_loop(__attribute__((unused)) const onx_dense_registers *r)
{
    __asm__("push {r4-r11, lr}\n"
            "vpush {s16-s17}\n"
            "vldmia r0!, {s4-s11}\n"
            "vldmia r0!, {s16-s17}\n"
            "ldr r5, [r0]\n"
            "1:\n" /* four units */
            "vmov r9, s4\n vmov r4, s8\n vmov r10, s11\n"
            "add r6, r5, r10\n add r7, r6, r10\n add r8, r7, r10\n"
            "ldr r0, [r9], #4\n ldr r1, [r9], #4\n ldr r2, [r9], #4\n ldr r3, [r9], #4\n"
            "vmov s4, r9\n"
            "2:\n" /* whole words */
            "vmov r9, s9\n cmp r4, r9\n beq 3f\n"
            DENSE_STEP
            "vmov r9, s9\n cmp r4, r9\n beq 3f\n"
            DENSE_STEP
            "b 2b\n"
            "3:\n" /* what is left */
            "vmov r9, s10\n cmp r4, r9\n beq 4f\n"
            "ldrsb r9, [r4], #1\n ldrsb r10, [r5], #1\n ldrsb r11, [r6], #1\n"
            "ldrsb r12, [r7], #1\n ldrsb lr, [r8], #1\n"
            "mla r0, r9, r10, r0\n mla r1, r9, r11, r1\n mla r2, r9, r12, r2\n mla r3, r9, lr, r3\n"
            "b 3b\n"
            "4:\n"
            "vmov r9, s5\n vmov r10, s6\n"
            "vldr s0, [r9]\n add r9, r9, r10\n vldr s1, [r9]\n add r9, r9, r10\n"
            "vldr s2, [r9]\n add r9, r9, r10\n vldr s3, [r9]\n add r9, r9, r10\n"
            "vmov s5, r9\n vmov r9, s7\n"
            ONX_ASM_REQUANTIZE(s0, s1, s2, s3, r9)
            "mov r5, r8\n" /* the fourth unit's weights end where the fifth's begin */
            "vmov r9, s16\n vmov r10, s17\n"
            "strb r0, [r9], #1\n strb r1, [r9], #1\n strb r2, [r9], #1\n strb r3, [r9], #1\n"
            "vmov s16, r9\n"
            "cmp r9, r10\n bne 1b\n"
            "vpop {s16-s17}\n"
            "pop {r4-r11, pc}\n");
}
/* clang-format on */

void onx_dense_run(const onx_dense *d)
{
    const onx_dense_registers r = {
        .bias = d->bias,
        .scale = d->scale,
        .scale_bytes = d->scale_step * sizeof(float),
        .zero_point = d->zero_point,
        .x = d->x,
        .x_whole = d->x + d->depth / 4u * 4u,
        .x_end = d->x + d->depth,
        .depth = d->depth,
        .y = d->y,
        .y_end = d->y + 4u * d->fours,
        .w = d->w,
    };
    onx_dense_loop(&r);
}

#endif
