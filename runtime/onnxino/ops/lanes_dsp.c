/* Four channels of a depthwise convolution, for DSP instructions.
 *
 * A word holds a tap of four channels. Of two taps a and b, PKHBT and PKHTB make the words a0 a1 b0 b1 and a2 a3 b2 b3,
 * of which SXTB16 takes a channel's pair of values, and SMLAD multiplies it with the channel's pair of weights: two
 * products in one cycle. Windows of 3 x 3, the usual ones, are four such pairs and a single tap, in assembly; others
 * take one tap at a time. */
#include "dot.h"
#include "lanes.h"

#ifdef ONX_DSP

#include <stddef.h>

/* Taps of a 3 x 3 window in pairs, and the last one. */
static const uint8_t onx_pairs[4][2] = { { 0, 3 }, { 1, 4 }, { 2, 5 }, { 6, 7 } };

static int onx_is_3x3(size_t height, size_t width) { return height == 3u && width == 3u; }

void onx_lanes_pack(uint32_t *packed, const int8_t *w, size_t height, size_t width, size_t w_tap)
{
    size_t single = 0;
    if (onx_is_3x3(height, width)) {
        for (size_t pair = 0; pair < 4u; pair++) {
            uint32_t a = onx_load_word(w + onx_pairs[pair][0] * w_tap);
            uint32_t b = onx_load_word(w + onx_pairs[pair][1] * w_tap);
            uint32_t lower = (a & 0xFFFFu) | b << 16, upper = a >> 16 | (b & 0xFFFF0000u);
            *packed++ = onx_widen(lower);
            *packed++ = onx_widen_odd(lower);
            *packed++ = onx_widen(upper);
            *packed++ = onx_widen_odd(upper);
        }
        single = 8;
    }
    for (w += single * w_tap; single < height * width; single++, w += w_tap) {
        uint32_t word = onx_load_word(w);
        *packed++ = onx_widen(word);
        *packed++ = onx_widen_odd(word);
    }
}

_Static_assert(offsetof(onx_lanes, y_end) == 48 && offsetof(onx_lanes, rows) == 60, "where onx_lanes_3x3 finds them");

/* Two taps of four channels with the weights at r5 + w0 to w3: 18 cycles. */
#define PAIR(a, b, w0, w1, w2, w3)                                                            \
    "ldr r9, " a "\n ldr r10, " b "\n ldr r11, [r5, #" w0 "]\n ldr r12, [r5, #" w1 "]\n"      \
    "pkhbt lr, r9, r10, lsl #16\n pkhtb r10, r10, r9, asr #16\n"                              \
    "sxtb16 r9, lr\n smlad r0, r9, r11, r0\n sxtb16 lr, lr, ror #8\n smlad r1, lr, r12, r1\n" \
    "ldr r11, [r5, #" w2 "]\n ldr r12, [r5, #" w3 "]\n"                                       \
    "sxtb16 r9, r10\n smlad r2, r9, r11, r2\n sxtb16 r10, r10, ror #8\n smlad r3, r10, r12, r3\n"

/* A line is what belongs together. */
/* clang-format off */
static ONX_ASSEMBLY void onx_lanes_3x3(__attribute__((unused)) const onx_lanes *l)
{
    __asm__("push {r4-r11, lr}\n"
            "vpush {s16}\n"
            "vldmia r0!, {s0-s11}\n" /* scale, bias, zero_point, x_next, y, y_next */
            "vldmia r0!, {s16}\n"    /* y_end */
            "ldm r0, {r4-r8}\n"      /* x_tap, w, rows */
            "1:\n"
            "vmov r0, s4\n vmov r1, s5\n vmov r2, s6\n vmov r3, s7\n"
            PAIR("[r6]", "[r7]", "0", "4", "8", "12")
            PAIR("[r6, r4]", "[r7, r4]", "16", "20", "24", "28")
            PAIR("[r6, r4, lsl #1]", "[r7, r4, lsl #1]", "32", "36", "40", "44")
            PAIR("[r8]", "[r8, r4]", "48", "52", "56", "60")
            "ldr r9, [r8, r4, lsl #1]\n ldr r10, [r5, #64]\n ldr r11, [r5, #68]\n"
            "sxtb16 r12, r9\n sxtb16 lr, r9, ror #8\n"
            "smlabb r0, r12, r10, r0\n smlabb r1, lr, r11, r1\n"
            "smlatt r2, r12, r10, r2\n smlatt r3, lr, r11, r3\n"
            "vmov r9, s8\n"
            ONX_ASM_REQUANTIZE(s0, s1, s2, s3, r9)
            "vmov r9, s9\n add r6, r6, r9\n add r7, r7, r9\n add r8, r8, r9\n"
            "vmov r10, s10\n vmov r11, s11\n"
            "strb r0, [r10]\n strb r1, [r10, #1]\n strb r2, [r10, #2]\n strb r3, [r10, #3]\n"
            "add r10, r10, r11\n vmov s10, r10\n"
            "vmov r11, s16\n cmp r10, r11\n bne 1b\n"
            "vpop {s16}\n"
            "pop {r4-r11, pc}\n");
}
/* clang-format on */

static ONX_APART void onx_lanes_taps(const onx_lanes *l, size_t offset, uint32_t acc[4])
{
    uint32_t a0 = acc[0], a1 = acc[1], a2 = acc[2], a3 = acc[3];
    const uint32_t *w = l->w;
    size_t x_tap = l->x_tap;
    for (size_t row = 0; row < l->height; row++) {
        const int8_t *x = l->rows[row] + offset;
        ONX_ROLLED
        for (size_t tap = l->width; tap > 0u; tap--, x += x_tap, w += 2) {
            uint32_t values = onx_load_word(x), even = onx_widen(values), odd = onx_widen_odd(values);
            a0 = onx_add_lower(a0, even, w[0]);
            a1 = onx_add_lower(a1, odd, w[1]);
            a2 = onx_add_upper(a2, even, w[0]);
            a3 = onx_add_upper(a3, odd, w[1]);
        }
    }
    acc[0] = a0;
    acc[1] = a1;
    acc[2] = a2;
    acc[3] = a3;
}

void onx_lanes_run(const onx_lanes *l)
{
    if (onx_is_3x3(l->height, l->width)) {
        onx_lanes_3x3(l);
        return;
    }
    const onx_requantizer q = { l->scale,      1u, (float)(-128 - l->zero_point), (float)(127 - l->zero_point),
                                l->zero_point, 0 };
    size_t offset = 0;
    for (int8_t *y = l->y; y != l->y_end; y += l->y_next, offset += l->x_next) {
        uint32_t acc[4] = { (uint32_t)l->bias[0], (uint32_t)l->bias[1], (uint32_t)l->bias[2], (uint32_t)l->bias[3] };
        onx_lanes_taps(l, offset, acc);
        onx_finish4(&q, y, 0, acc);
    }
}

#endif
