/* Tiles of two filters by two positions, for the DSP instructions of Cortex-M4F, M7, M33 and their kin.
 *
 * Whole loops in assembly: a tile takes all 14 registers, which no compiler finds. SXTB16 widens the four int8 values
 * of a word to two words of 16-bit pairs, of which SMLAD multiplies and adds one in a cycle. A step is four values of
 * each of the two positions and two filters: 16 products. Four steps are one turn of the loop; a run whose steps do not
 * divide by four enters it further down. What a tile needs at its ends alone waits in registers of the FPU. */
#include "conv_tile.h"

#ifdef ONX_DSP

/* s7 is the number of steps to leave out of the first turn: makes it the address to enter the loop at label 2, whose
 * steps take `bytes` each. */
#define ENTRY(bytes) \
    "vmov r1, s7\n adr.w r2, 2f\n mov.w r3, #" bytes "\n mla r1, r1, r3, r2\n orr r1, r1, #1\n vmov s7, r1\n"

/* What onx_tiles_loop loads, in the order of its registers. */
typedef struct {
    const int32_t *bias;     /* s2 */
    const float *scale;      /* s3 */
    size_t scale_bytes;      /* s4: from one scale to the next */
    int32_t zero_point;      /* s5 */
    const int8_t *run_end;   /* s6: of x[0] */
    size_t left_out;         /* s7 */
    const int8_t *x[2];      /* s8, s9 */
    size_t depth;            /* s10 */
    int8_t *y0, *y1, *y_end; /* s11, s16, s17: the end is y0's */
    size_t tail_back;        /* s18: from the last whole word's end to the start of the tail's; 0: there is no tail */
    const int8_t *last_end;  /* s19: run_end of the last run; NULL where a tail follows */
    size_t x_skip[2];        /* s20, s21 */
    size_t x_run;            /* s22: from one run of x[0] to the next */
    const int8_t *first_end; /* s23: run_end of the first run */
    const int8_t *w0, *w1;   /* r6, r7 */
} onx_tiles_registers;

/* Four values of each position (r4, r5) and filter (r6, r7): 22 cycles, 80 bytes. */
#define TILE_STEP                                               \
    "ldr r8, [r4], #4\n ldr r9, [r5], #4\n ldr r10, [r6], #4\n" \
    "sxtb16 r11, r8, ror #8\n sxtb16 r8, r8\n"                  \
    "sxtb16 r12, r9, ror #8\n sxtb16 r9, r9\n"                  \
    "sxtb16 lr, r10, ror #8\n sxtb16 r10, r10\n"                \
    "smlad r0, r8, r10, r0\n smlad r0, r11, lr, r0\n"           \
    "smlad r2, r9, r10, r2\n smlad r2, r12, lr, r2\n"           \
    "ldr r10, [r7], #4\n"                                       \
    "sxtb16 lr, r10, ror #8\n sxtb16 r10, r10\n"                \
    "smlad r1, r8, r10, r1\n smlad r1, r11, lr, r1\n"           \
    "smlad r3, r9, r10, r3\n smlad r3, r12, lr, r3\n"

/* A line is what belongs together. */
/* clang-format off */
static ONX_ASSEMBLY void onx_tiles_loop(__attribute__((unused)) const onx_tiles_registers *r)
{
    __asm__("push {r4-r11, lr}\n"
            "vpush {s16-s23}\n"
            "vldmia r0!, {s2-s11}\n"
            "vldmia r0!, {s16-s23}\n"
            "ldr r6, [r0]\n ldr r7, [r0, #4]\n"
            ENTRY("80")
            "1:\n" /* a tile */
            "vmov r8, s2\n vmov r4, s8\n vmov r5, s9\n"
            "ldr r0, [r8], #4\n ldr r1, [r8], #4\n"
            "vmov s2, r8\n vmov.f32 s6, s23\n"
            "mov r2, r0\n mov r3, r1\n"
            "vmov r8, s7\n bx r8\n"
            "2:\n" TILE_STEP TILE_STEP TILE_STEP TILE_STEP
            "vmov r8, s6\n cmp r4, r8\n bne 2b\n"
            "vmov r8, s19\n cmp r4, r8\n bne 4f\n"
            "3:\n"
            "vmov r8, s3\n vmov r9, s4\n"
            "vldr s0, [r8]\n add r8, r8, r9\n vldr s1, [r8]\n add r8, r8, r9\n"
            "vmov s3, r8\n vmov r8, s5\n"
            ONX_ASM_REQUANTIZE(s0, s1, s0, s1, r8)
            "vmov r8, s11\n vmov r9, s16\n"
            "strb r0, [r8], #1\n strb r1, [r8], #1\n strb r2, [r9], #1\n strb r3, [r9], #1\n"
            "vmov s11, r8\n vmov s16, r9\n"
            "mov r6, r7\n" /* the second filter ends where the third begins */
            "vmov r9, s10\n add r7, r7, r9\n"
            "vmov r9, s17\n cmp r8, r9\n bne 1b\n"
            "vpop {s16-s23}\n"
            "pop {r4-r11, pc}\n"
            "4:\n"
            "vmov r8, s18\n cmp r8, #0\n beq 5f\n"
            "sub r6, r6, r8\n sub r7, r7, r8\n" TILE_STEP
            "b 3b\n"
            "5:\n" /* the next run */
            "vmov r8, s20\n vmov r9, s21\n add r4, r4, r8\n add r5, r5, r9\n"
            "vmov r8, s6\n vmov r9, s22\n add r8, r8, r9\n vmov s6, r8\n"
            "vmov r8, s7\n bx r8\n");
}
/* clang-format on */

void onx_tiles_run(const onx_tiles *t)
{
    size_t tail = t->depth % 4u, x_run = t->run + t->x_skip[0];
    const onx_tiles_registers r = {
        .bias = t->bias,
        .scale = t->scale,
        .scale_bytes = t->scale_step * sizeof(float),
        .zero_point = t->zero_point,
        .left_out = (0u - t->run / 4u) % 4u,
        .x = { t->x[0], t->x[1] },
        .depth = t->depth,
        .y0 = t->y[0],
        .y1 = t->y[1],
        .y_end = t->y[0] + 2u * t->pairs,
        .tail_back = tail != 0u ? 4u - tail : 0u,
        .last_end = tail != 0u ? NULL : t->x[0] + (t->runs - 1u) * x_run + t->run,
        .x_skip = { t->x_skip[0], t->x_skip[1] },
        .x_run = x_run,
        .first_end = t->x[0] + t->run,
        .w0 = t->w,
        .w1 = t->w + t->depth,
    };
    onx_tiles_loop(&r);
}

/* What onx_stream_loop loads, in the order of its registers. */
typedef struct {
    float scale[2];            /* s0, s1 */
    int32_t bias[2];           /* s2, s3 */
    int32_t zero_point;        /* s4 */
    const uint32_t *run_end;   /* s5: of w */
    const uint32_t *w;         /* s6 */
    size_t left_out;           /* s7 */
    size_t x_back;             /* s8: from where a pair's second position ends to the next pair */
    size_t x_next, y_next;     /* s9, s10 */
    const int8_t *y_end;       /* s11 */
    int8_t *y;                 /* s16 */
    size_t x_skip;             /* s17 */
    const uint32_t *last_end;  /* s18: run_end of the last run */
    const uint32_t *first_end; /* s19: run_end of the first run */
    size_t w_run;              /* s20: bytes of a run in w */
    const int8_t *x0, *x1;     /* r4, r5 */
} onx_stream_registers;

/* Four values of each position (r4, r5) and of the packed filters (r6): 19 cycles, 72 bytes. */
#define STREAM_STEP                                                                                  \
    "ldr r7, [r4], #4\n ldr r8, [r5], #4\n"                                                          \
    "ldr r10, [r6, #4]\n ldr r11, [r6, #8]\n ldr r12, [r6, #12]\n ldr r9, [r6], #16\n"               \
    "sxtb16 lr, r7, ror #8\n sxtb16 r7, r7\n"                                                        \
    "smlad r0, lr, r10, r0\n smlad r0, r7, r9, r0\n smlad r1, lr, r12, r1\n smlad r1, r7, r11, r1\n" \
    "sxtb16 lr, r8, ror #8\n sxtb16 r8, r8\n"                                                        \
    "smlad r2, lr, r10, r2\n smlad r2, r8, r9, r2\n smlad r3, lr, r12, r3\n smlad r3, r8, r11, r3\n"

/* A line is what belongs together. */
/* clang-format off */
static ONX_ASSEMBLY void onx_stream_loop(__attribute__((unused)) const onx_stream_registers *r)
{
    __asm__("push {r4-r11, lr}\n"
            "vpush {s16-s20}\n"
            "vldmia r0!, {s0-s11}\n"
            "vldmia r0!, {s16-s20}\n"
            "ldr r4, [r0]\n ldr r5, [r0, #4]\n"
            ENTRY("72")
            "1:\n" /* a pair of positions */
            "vmov r0, s2\n vmov r1, s3\n vmov r2, s2\n vmov r3, s3\n"
            "vmov r6, s6\n vmov.f32 s5, s19\n"
            "vmov r7, s7\n bx r7\n"
            "2:\n" STREAM_STEP STREAM_STEP STREAM_STEP STREAM_STEP
            "vmov r7, s5\n cmp r6, r7\n bne 2b\n"
            "vmov r7, s18\n cmp r6, r7\n bne 3f\n"
            "vmov r8, s4\n"
            ONX_ASM_REQUANTIZE(s0, s1, s0, s1, r8)
            "vmov r7, s8\n add r4, r5, r7\n vmov r7, s9\n add r5, r4, r7\n"
            "vmov r8, s16\n vmov r9, s10\n add r10, r8, r9\n"
            "strb r0, [r8]\n strb r1, [r8, #1]\n strb r2, [r10]\n strb r3, [r10, #1]\n"
            "add r8, r10, r9\n vmov s16, r8\n"
            "vmov r7, s11\n cmp r8, r7\n bne 1b\n"
            "vpop {s16-s20}\n"
            "pop {r4-r11, pc}\n"
            "3:\n" /* the next run */
            "vmov r7, s17\n add r4, r4, r7\n add r5, r5, r7\n"
            "vmov r7, s5\n vmov r8, s20\n add r7, r7, r8\n vmov s5, r7\n"
            "vmov r7, s7\n bx r7\n");
}
/* clang-format on */

void onx_stream_run(const onx_stream *s)
{
    size_t way = s->runs * (s->run + s->x_skip) - s->x_skip; /* from a position's first value to behind its last */
    const onx_stream_registers r = {
        .scale = { s->scale[0], s->scale[1] },
        .bias = { s->bias[0], s->bias[1] },
        .zero_point = s->zero_point,
        .w = s->w,
        .left_out = (0u - s->run / 4u) % 4u,
        .x_back = s->x_next - way,
        .x_next = s->x_next,
        .y_next = s->y_next,
        .y_end = s->y + 2u * s->pairs * s->y_next,
        .y = s->y,
        .x_skip = s->x_skip,
        .last_end = s->w + s->runs * s->run,
        .first_end = s->w + s->run,
        .w_run = s->run * sizeof(uint32_t),
        .x0 = s->x,
        .x1 = s->x + s->x_next,
    };
    onx_stream_loop(&r);
}

void onx_stream_pack(uint32_t *packed, const int8_t *w, size_t depth)
{
    for (size_t i = 0; i < depth; i += 4u, packed += 4) {
        uint32_t first = onx_load_word(w + i), second = onx_load_word(w + depth + i);
        packed[0] = onx_widen(first);
        packed[1] = onx_widen_odd(first);
        packed[2] = onx_widen(second);
        packed[3] = onx_widen_odd(second);
    }
}

#endif
