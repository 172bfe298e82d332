/* Convolution with groups, dilation and padding: [N,H,W,C] -> [N,OH,OW,M], weights OHWI. */
#include "conv.h"
#include "conv_tile.h"

static void onx_conv2d_run(const onx_call *call)
{
    onx_fb_conv2d t = { call->attributes };
    onx_tensor in = onx_input_of(call, 0), out = onx_output_of(call, 0);
    onx_i32s bias = onx_fb_conv2d_bias(t);
    size_t groups = onx_fb_conv2d_group(t), channels = (size_t)in.shape[3];
    onx_conv c = {
        .weights = (const int8_t *)onx_fb_weights_data(onx_fb_conv2d_weights(t)).data,
        .bias = bias.data,
        .requantizer = onx_requantizer_of(onx_fb_conv2d_requantization(t), out.type),
        .h = onx_axis_h(onx_fb_conv2d_window(t)),
        .w = onx_axis_w(onx_fb_conv2d_window(t)),
        .height = in.shape[1],
        .width = in.shape[2],
        .out_height = out.shape[1],
        .out_width = out.shape[2],
        .channels = channels,
        .group_channels = channels / groups,
        .outputs = bias.count,
        .group_outputs = bias.count / groups,
        .padding = onx_fb_conv2d_input_zero_point(t),
    };
    c.filter = (size_t)c.h.kernel * (size_t)c.w.kernel * c.group_channels;
    c.is_contiguous = groups == 1u && c.w.dilation == 1;
    const int8_t *image = in.data;
    uint8_t *y = out.data;
    size_t pixel = c.outputs * onx_element_size(out.type); /* bytes */
    for (int32_t n = 0; n < in.shape[0]; n++) {
        if (!onx_conv_tiled(&c, image, y)) {
            for (int32_t oy = 0; oy < c.out_height; oy++)
                for (int32_t ox = 0; ox < c.out_width; ox++)
                    onx_conv_pixel(&c, image, y + ((size_t)oy * (size_t)c.out_width + (size_t)ox) * pixel, oy, ox);
        }
        image += (size_t)c.height * (size_t)c.width * channels;
        y += (size_t)c.out_height * (size_t)c.out_width * pixel;
    }
}

static onx_status onx_conv2d_check(const onx_call *call)
{
    onx_fb_conv2d t = { call->attributes };
    onx_tensor in = onx_input_of(call, 0), out = onx_output_of(call, 0);
    onx_window2d w = onx_fb_conv2d_window(t);
    uint32_t group = onx_fb_conv2d_group(t), outputs = onx_fb_conv2d_bias(t).count;
    if (!onx_is_int8(&in) || !onx_takes_sums(&out))
        return ONX_ERROR_UNSUPPORTED;
    if (!onx_window_fits_convolution(w, &in, &out) || (uint32_t)out.shape[3] != outputs)
        return ONX_ERROR_OPERATOR;
    if (group == 0u || (uint32_t)in.shape[3] % group != 0u || outputs % group != 0u)
        return ONX_ERROR_OPERATOR;
    uint64_t taps = (uint64_t)w.kernel_h * w.kernel_w; /* below 2^32, so the products below stay under 2^64 */
    uint64_t filter = taps * ((uint32_t)in.shape[3] / group);
    if (filter > UINT32_MAX || !onx_weights_fit(onx_fb_conv2d_weights(t), filter * outputs))
        return ONX_ERROR_OPERATOR;
    return onx_requantization_fits(onx_fb_conv2d_requantization(t), outputs) ? ONX_OK : ONX_ERROR_OPERATOR;
}

const onx_kernel onx_conv2d_kernels[1] = {
    { ONX_WEIGHT_LAYOUT_OHWI, onx_conv2d_check, onx_conv2d_run, NULL, NULL },
};
