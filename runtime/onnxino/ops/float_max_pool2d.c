/* Maximum over windows in float32: [N,H,W,C] -> [N,OH,OW,C]. */
#include "engine/numeric.h"
#include "window.h"

/* y[c] = x[c] where it is greater, or NaN */
static void onx_float_maximum(float *y, const float *x, size_t n)
{
    for (size_t i = 0; i < n; i++)
        y[i] = x[i] > y[i] || x[i] != x[i] ? x[i] : y[i];
}

static void onx_float_max_pool2d_run(const onx_call *call)
{
    onx_fb_float_max_pool2d t = { call->attributes };
    onx_tensor in = onx_input_of(call, 0), out = onx_output_of(call, 0);
    onx_axis h = onx_axis_h(onx_fb_float_max_pool2d_window(t)), w = onx_axis_w(onx_fb_float_max_pool2d_window(t));
    size_t channels = (size_t)in.shape[3], row = (size_t)in.shape[2] * channels;
    const float *image = in.data;
    float *y = out.data;
    for (int32_t n = 0; n < in.shape[0]; n++, image += (size_t)in.shape[1] * row) {
        for (int32_t oy = 0; oy < out.shape[1]; oy++) {
            int32_t iy = oy * h.stride - h.before;
            onx_taps rows = onx_taps_inside(iy, h.dilation, h.kernel, in.shape[1]);
            for (int32_t ox = 0; ox < out.shape[2]; ox++, y += channels) {
                int32_t ix = ox * w.stride - w.before;
                onx_taps columns = onx_taps_inside(ix, w.dilation, w.kernel, in.shape[2]);
                for (size_t c = 0; c < channels; c++)
                    y[c] = -__builtin_inff();
                for (int32_t ky = rows.first; ky < rows.end; ky++) {
                    const float *line = image + (size_t)(iy + ky * h.dilation) * row;
                    for (int32_t kx = columns.first; kx < columns.end; kx++)
                        onx_float_maximum(y, line + (size_t)(ix + kx * w.dilation) * channels, channels);
                }
            }
        }
    }
}

static onx_status onx_float_max_pool2d_check(const onx_call *call)
{
    onx_fb_float_max_pool2d t = { call->attributes };
    onx_tensor in = onx_input_of(call, 0), out = onx_output_of(call, 0);
    if (!onx_is_float(&in) || !onx_is_float(&out))
        return ONX_ERROR_UNSUPPORTED;
    return onx_window_fits_pool(onx_fb_float_max_pool2d_window(t), &in, &out) ? ONX_OK : ONX_ERROR_OPERATOR;
}

const onx_kernel onx_float_max_pool2d_kernels[1] = {
    { ONX_WEIGHT_LAYOUT_UNSET, onx_float_max_pool2d_check, onx_float_max_pool2d_run, NULL, NULL },
};
