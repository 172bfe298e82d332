/* Mean of each channel over the whole image, in integers: [N,H,W,C] -> [N,1,1,C]. */
#include "dot.h"
#include "dsp.h"
#include "engine/kernel.h"

enum { ONX_BLOCK = 8 }; /* channels summed together */

#ifdef ONX_DSP
enum { ONX_PAIR_SUMS = 255 }; /* int8 values whose sum a half of a word holds */

/* acc[0..7] += eight channels of `pixels` pixels. */
static ONX_APART void onx_mean2d_sum(uint32_t acc[ONX_BLOCK], const int8_t *x, size_t pixels, size_t channels)
{
    while (pixels > 0u) {
        size_t count = pixels < ONX_PAIR_SUMS ? pixels : ONX_PAIR_SUMS;
        uint32_t even = 0, odd = 0, next_even = 0, next_odd = 0;
        ONX_ROLLED
        for (size_t i = 0; i < count; i++, x += channels) {
            uint32_t word = onx_load_word(x), next = onx_load_word(x + 4);
            even = onx_add_widened(even, word);
            odd = onx_add_widened_odd(odd, word);
            next_even = onx_add_widened(next_even, next);
            next_odd = onx_add_widened_odd(next_odd, next);
        }
        const uint32_t sums[4] = { even, odd, next_even, next_odd };
        for (size_t i = 0; i < 4u; i++) { /* channels 0 and 2, 1 and 3, 4 and 6, 5 and 7 */
            size_t c = i / 2u * 4u + i % 2u;
            acc[c] += (uint32_t)(int32_t)(int16_t)sums[i];
            acc[c + 2u] += (uint32_t)(int32_t)(int16_t)(sums[i] >> 16);
        }
        pixels -= count;
    }
}
#endif

/* acc += `block` channels of `pixels` pixels. */
static void onx_mean2d_block(uint32_t acc[ONX_BLOCK], const int8_t *x, size_t pixels, size_t channels, size_t block)
{
#ifdef ONX_DSP
    if (block == ONX_BLOCK) {
        onx_mean2d_sum(acc, x, pixels, channels);
        return;
    }
#endif
    for (size_t i = 0; i < pixels; i++, x += channels) {
        ONX_ROLLED
        for (size_t c = 0; c < block; c++)
            acc[c] += onx_multiply(x[c], 1);
    }
}

static void onx_mean2d_run(const onx_call *call)
{
    onx_fb_mean2d t = { call->attributes };
    onx_tensor in = onx_input_of(call, 0), out = onx_output_of(call, 0);
    onx_requantizer q = onx_requantizer_of(onx_fb_mean2d_requantization(t), out.type);
    size_t pixels = (size_t)in.shape[1] * (size_t)in.shape[2], channels = (size_t)in.shape[3];
    uint32_t zeros = (uint32_t)onx_fb_mean2d_input_zero_point(t) * (uint32_t)pixels;
    const int8_t *image = in.data;
    int8_t *y = out.data;
    for (int32_t n = 0; n < in.shape[0]; n++, image += pixels * channels, y += channels) {
        for (size_t first = 0; first < channels; first += ONX_BLOCK) {
            size_t block = channels - first < ONX_BLOCK ? channels - first : ONX_BLOCK;
            uint32_t acc[ONX_BLOCK] = { 0 };
            onx_mean2d_block(acc, image + first, pixels, channels, block);
            for (size_t c = 0; c < block; c++)
                y[first + c] = onx_requantize((int32_t)(acc[c] - zeros), q.scale[0], q.low, q.high, q.zero_point);
        }
    }
}

static onx_status onx_mean2d_check(const onx_call *call)
{
    onx_fb_mean2d t = { call->attributes };
    onx_tensor in = onx_input_of(call, 0), out = onx_output_of(call, 0);
    if (!onx_is_int8(&in) || !onx_is_int8(&out))
        return ONX_ERROR_UNSUPPORTED;
    if (in.rank != 4u || out.rank != 4u || out.shape[0] != in.shape[0] || out.shape[1] != 1 || out.shape[2] != 1
        || out.shape[3] != in.shape[3])
        return ONX_ERROR_OPERATOR;
    return onx_requantization_fits(onx_fb_mean2d_requantization(t), 1u) ? ONX_OK : ONX_ERROR_OPERATOR;
}

const onx_kernel onx_mean2d_kernels[1] = {
    { ONX_WEIGHT_LAYOUT_UNSET, onx_mean2d_check, onx_mean2d_run, NULL, NULL },
};
