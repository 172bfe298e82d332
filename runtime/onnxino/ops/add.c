/* Quantized sum with broadcasting, in the order of ONNX Runtime's loop. */
#include "dsp.h"
#include "pairwise.h"

typedef struct {
    float scale_a, scale_b, constant;
    float low, high; /* in the domain */
    int32_t domain_offset;
} onx_add;

#ifdef ONX_DSP

/* The usual numbers: results have the whole range, and no sum is infinite, let
 * alone NaN. */
static int onx_is_usual(const onx_add *f)
{
    return f->low == (float)(-128 + f->domain_offset) && f->high == (float)(127 + f->domain_offset)
           && f->scale_a < 1e30f && f->scale_b < 1e30f && f->constant < 1e30f && f->constant > -1e30f;
}

/* What onx_add_fours loads, in the order of its registers. */
typedef struct {
    float scale_a, scale_b, constant; /* s0 to s2 */
    const int8_t *a, *b;              /* r4, r5 */
    int8_t *y;                        /* r6 */
    const int8_t *y_end;              /* r7: a multiple of four results behind y */
    int32_t domain_offset;            /* r8 */
} onx_add_registers;

/* Four bytes of a word plus the offset, as integers in FPU registers. */
#define ADD_OPERANDS(word, s0, s1, s2, s3)                                    \
    "sxtab r0, r8, " word "\n sxtab r1, r8, " word ", ror #8\n"               \
    "sxtab r2, r8, " word ", ror #16\n sxtab r3, r8, " word ", ror #24\n"     \
    "vmov " s0 ", r0\n vmov " s1 ", r1\n vmov " s2 ", r2\n vmov " s3 ", r3\n" \
    "vcvt.f32.s32 " s0 ", " s0 "\n vcvt.f32.s32 " s1 ", " s1 "\n"             \
    "vcvt.f32.s32 " s2 ", " s2 "\n vcvt.f32.s32 " s3 ", " s3 "\n"

/* A line is what belongs together. */
/* clang-format off */
static ONX_ASSEMBLY void onx_add_fours(__attribute__((unused)) const onx_add_registers *r)
{
    __asm__("push {r4-r10, lr}\n"
            "vldmia r0!, {s0-s2}\n"
            "ldm r0, {r4-r8}\n"
            "1:\n"
            "ldr r9, [r4], #4\n ldr r10, [r5], #4\n"
            ADD_OPERANDS("r9", "s4", "s5", "s6", "s7")
            ADD_OPERANDS("r10", "s8", "s9", "s10", "s11")
            "vmov.f32 s12, s2\n vmov.f32 s13, s2\n vmov.f32 s14, s2\n vmov.f32 s15, s2\n"
            "vfma.f32 s12, s8, s1\n vfma.f32 s13, s9, s1\n vfma.f32 s14, s10, s1\n vfma.f32 s15, s11, s1\n"
            "vfma.f32 s12, s4, s0\n vfma.f32 s13, s5, s0\n vfma.f32 s14, s6, s0\n vfma.f32 s15, s7, s0\n"
            "vcvtr.s32.f32 s12, s12\n vcvtr.s32.f32 s13, s13\n vcvtr.s32.f32 s14, s14\n vcvtr.s32.f32 s15, s15\n"
            "vmov r0, s12\n vmov r1, s13\n vmov r2, s14\n vmov r3, s15\n"
            "qsub r0, r0, r8\n qsub r1, r1, r8\n qsub r2, r2, r8\n qsub r3, r3, r8\n"
            "ssat r0, #8, r0\n ssat r1, #8, r1\n ssat r2, #8, r2\n ssat r3, #8, r3\n"
            "strb r0, [r6], #1\n strb r1, [r6], #1\n strb r2, [r6], #1\n strb r3, [r6], #1\n"
            "cmp r6, r7\n bne 1b\n"
            "pop {r4-r10, pc}\n");
}
/* clang-format on */

#endif

static void onx_add_elements(const void *formula, const void *a, size_t a_step, const void *b, size_t b_step, void *y,
                             size_t n)
{
    const onx_add f = *(const onx_add *)formula; /* a copy: the stores to y cannot change it */
    const int8_t *pa = a, *pb = b;
    int8_t *py = y;
    size_t i = 0;
#ifdef ONX_DSP
    if (n >= 4u && a_step == 1u && b_step == 1u && onx_is_usual(&f)) {
        i = n / 4u * 4u;
        const onx_add_registers r = { f.scale_a, f.scale_b, f.constant, pa, pb, py, py + i, f.domain_offset };
        onx_add_fours(&r);
        pa += i;
        pb += i;
    }
#endif
    for (; i < n; i++, pa += a_step, pb += b_step) {
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
