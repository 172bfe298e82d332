/* Mean of each channel over the whole image, in integers: [N,H,W,C] -> [N,1,1,C]. */
#include "dot.h"
#include "engine/kernel.h"
#include "engine/numeric.h"

enum { ONX_BLOCK = 8 }; /* channels summed together */

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
            const int8_t *x = image + first;
            for (size_t i = 0; i < pixels; i++, x += channels)
                for (size_t c = 0; c < block; c++)
                    acc[c] += onx_multiply(x[c], 1);
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
