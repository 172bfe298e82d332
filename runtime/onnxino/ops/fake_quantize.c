/* float32 onto the grid of a quantization that the device does not hold, and back. */
#include "engine/float_math.h"
#include "engine/kernel.h"

/* Value c of a vector that has one value for each channel, or one for all. */
static inline float onx_of_channel(onx_f32s values, uint32_t c) { return values.data[values.count > 1u ? c : 0u]; }

static void onx_fake_quantize_run(const onx_call *call)
{
    onx_fb_fake_quantize t = { call->attributes };
    onx_tensor in = onx_input_of(call, 0), out = onx_output_of(call, 0);
    onx_f32s scales = onx_fb_fake_quantize_scale(t);
    onx_f32s lows = onx_fb_fake_quantize_minimum(t), highs = onx_fb_fake_quantize_maximum(t);
    uint32_t axis = onx_fb_fake_quantize_axis(t), channels = (uint32_t)in.shape[axis], c = 0;
    size_t run = 1; /* values from one channel to the next */
    for (uint32_t i = axis + 1u; i < in.rank; i++)
        run *= (size_t)in.shape[i];
    const float *x = in.data, *end = x + in.count;
    for (float *y = out.data; x != end; x += run, y += run) {
        float scale = onx_of_channel(scales, c), low = onx_of_channel(lows, c), high = onx_of_channel(highs, c);
        for (size_t i = 0; i < run; i++)
            y[i] = (onx_round_even(onx_clampf(x[i] / scale, low, high)) + 0.0f) * scale;
        c = c + 1u < channels ? c + 1u : 0u;
    }
}

static int onx_is_whole(float v) { return onx_is_finite(v) && onx_round_even(v) == v; }

static int onx_counts_fit(onx_f32s values, uint32_t channels) { return values.count == 1u || values.count == channels; }

static onx_status onx_fake_quantize_check(const onx_call *call)
{
    onx_fb_fake_quantize t = { call->attributes };
    onx_tensor in = onx_input_of(call, 0), out = onx_output_of(call, 0);
    onx_f32s scales = onx_fb_fake_quantize_scale(t);
    onx_f32s lows = onx_fb_fake_quantize_minimum(t), highs = onx_fb_fake_quantize_maximum(t);
    uint32_t axis = onx_fb_fake_quantize_axis(t);
    if (!onx_is_float(&in) || !onx_is_float(&out))
        return ONX_ERROR_UNSUPPORTED;
    if (!onx_same_shape(&in, &out) || axis >= in.rank)
        return ONX_ERROR_OPERATOR;
    uint32_t channels = (uint32_t)in.shape[axis];
    if (!onx_counts_fit(scales, channels) || !onx_counts_fit(lows, channels) || !onx_counts_fit(highs, channels))
        return ONX_ERROR_OPERATOR;
    for (uint32_t c = 0; c < channels; c++) {
        float low = onx_of_channel(lows, c), high = onx_of_channel(highs, c);
        if (!onx_is_scale(onx_of_channel(scales, c)) || !onx_is_whole(low) || !onx_is_whole(high) || low > high)
            return ONX_ERROR_OPERATOR;
    }
    return ONX_OK;
}

/* In place: each value is read before its result is written. */
static uint32_t onx_fake_quantize_safe_offset(const onx_call *call, uint32_t input)
{
    (void)call;
    (void)input;
    return 0u;
}

const onx_kernel onx_fake_quantize_kernels[1] = {
    { ONX_WEIGHT_LAYOUT_UNSET, onx_fake_quantize_check, onx_fake_quantize_run, NULL, onx_fake_quantize_safe_offset },
};
