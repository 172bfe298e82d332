/* The DSP instructions of Cortex-M4F, M7, M33 and their kin: where they are, and what the kernels written for them
 * share.
 */
#ifndef ONX_DSP_H
#define ONX_DSP_H

#include "engine/numeric.h"

#if defined(__GNUC__) && defined(__ARM_FEATURE_DSP) && defined(__thumb2__) && defined(ONX_ARM_FPU) \
    && __ARM_ARCH_PROFILE == 'M' && !defined(__ARM_BIG_ENDIAN)
#define ONX_DSP 1

/* A function that is assembly alone, which no compiler may look into: it does not see what is read there. */
#ifdef __clang__
#define ONX_ASSEMBLY __attribute__((naked, noinline))
#else
#define ONX_ASSEMBLY __attribute__((naked, noinline, noipa))
#endif

/* Assembly: requantizes the accumulators r0 to r3 with four scales (FPU registers) and a zero point (core register).
 * VCVTR and QADD saturate, so that SSAT sees no overflow. No instruction waits for the one before. Takes s12 to s15. */
#define ONX_ASM_REQUANTIZE(scale0, scale1, scale2, scale3, zero)                                          \
    "vmov s12, r0\n vmov s13, r1\n vmov s14, r2\n vmov s15, r3\n"                                         \
    "vcvt.f32.s32 s12, s12\n vcvt.f32.s32 s13, s13\n vcvt.f32.s32 s14, s14\n vcvt.f32.s32 s15, s15\n"     \
    "vmul.f32 s12, s12, " #scale0 "\n vmul.f32 s13, s13, " #scale1 "\n"                                   \
    "vmul.f32 s14, s14, " #scale2 "\n vmul.f32 s15, s15, " #scale3 "\n"                                   \
    "vcvtr.s32.f32 s12, s12\n vcvtr.s32.f32 s13, s13\n vcvtr.s32.f32 s14, s14\n vcvtr.s32.f32 s15, s15\n" \
    "vmov r0, s12\n vmov r1, s13\n vmov r2, s14\n vmov r3, s15\n"                                         \
    "qadd r0, r0, " #zero "\n qadd r1, r1, " #zero "\n qadd r2, r2, " #zero "\n qadd r3, r3, " #zero "\n" \
    "ssat r0, #8, r0\n ssat r1, #8, r1\n ssat r2, #8, r2\n ssat r3, #8, r3\n"

/* The even bytes of a word as a pair of 16-bit values. */
static inline uint32_t onx_widen(uint32_t word)
{
    uint32_t pair;
    __asm__("sxtb16 %0, %1" : "=r"(pair) : "r"(word));
    return pair;
}

/* The odd bytes. */
static inline uint32_t onx_widen_odd(uint32_t word)
{
    uint32_t pair;
    __asm__("sxtb16 %0, %1, ror #8" : "=r"(pair) : "r"(word));
    return pair;
}

/* Both halves of acc plus the even bytes of a word. */
static inline uint32_t onx_add_widened(uint32_t acc, uint32_t word)
{
    uint32_t sum;
    __asm__("sxtab16 %0, %1, %2" : "=r"(sum) : "r"(acc), "r"(word));
    return sum;
}

/* Both halves of acc plus the odd bytes. */
static inline uint32_t onx_add_widened_odd(uint32_t acc, uint32_t word)
{
    uint32_t sum;
    __asm__("sxtab16 %0, %1, %2, ror #8" : "=r"(sum) : "r"(acc), "r"(word));
    return sum;
}

/* acc + the product of the lower halves of two pairs. */
static inline uint32_t onx_add_lower(uint32_t acc, uint32_t a, uint32_t b)
{
    uint32_t sum;
    __asm__("smlabb %0, %1, %2, %3" : "=r"(sum) : "r"(a), "r"(b), "r"(acc));
    return sum;
}

/* acc + the product of the upper halves. */
static inline uint32_t onx_add_upper(uint32_t acc, uint32_t a, uint32_t b)
{
    uint32_t sum;
    __asm__("smlatt %0, %1, %2, %3" : "=r"(sum) : "r"(a), "r"(b), "r"(acc));
    return sum;
}

#endif

static inline uint32_t onx_load_word(const int8_t *from)
{
    uint32_t word;
    ONX_COPY(&word, from, sizeof word);
    return word;
}

static inline void onx_copy_word(int8_t *to, const int8_t *from)
{
    uint32_t word = onx_load_word(from);
    ONX_COPY(to, &word, sizeof word);
}

/* Kernels that limit their results to -128 and 127 call this for n of them, in case the requantizer's range is less. */
void onx_limit(const onx_requantizer *r, int8_t *y, size_t n);

#endif
