/* Depthwise convolution: [N,H,W,C] -> [N,OH,OW,C * multiplier], weights HWC. */
#include "depthwise.h"

static void onx_depthwise_conv2d_run(const onx_call *call)
{
    onx_fb_depthwise_conv2d t = { call->attributes };
    onx_tensor in = onx_input_of(call, 0), out = onx_output_of(call, 0);
    onx_i32s bias = onx_fb_depthwise_conv2d_bias(t);
    const onx_depthwise d = {
        .weights = (const int8_t *)onx_fb_weights_data(onx_fb_depthwise_conv2d_weights(t)).data,
        .bias = bias.data,
        .requantizer = onx_requantizer_of(onx_fb_depthwise_conv2d_requantization(t), out.type),
        .h = onx_axis_h(onx_fb_depthwise_conv2d_window(t)),
        .w = onx_axis_w(onx_fb_depthwise_conv2d_window(t)),
        .height = in.shape[1],
        .width = in.shape[2],
        .out_height = out.shape[1],
        .out_width = out.shape[2],
        .channels = (size_t)in.shape[3],
        .multiplier = onx_fb_depthwise_conv2d_multiplier(t),
        .outputs = bias.count,
        .padding = onx_fb_depthwise_conv2d_input_zero_point(t),
    };
    const int8_t *image = in.data;
    uint8_t *y = out.data;
    for (int32_t n = 0; n < in.shape[0]; n++) {
        if (!onx_depthwise_lanes(&d, image, (int8_t *)y))
            onx_depthwise_plain(&d, image, y);
        image += (size_t)d.height * (size_t)d.width * d.channels;
        y += (size_t)d.out_height * (size_t)d.out_width * d.outputs * onx_element_size(out.type);
    }
}

static onx_status onx_depthwise_conv2d_check(const onx_call *call)
{
    onx_fb_depthwise_conv2d t = { call->attributes };
    onx_tensor in = onx_input_of(call, 0), out = onx_output_of(call, 0);
    onx_window2d w = onx_fb_depthwise_conv2d_window(t);
    uint32_t multiplier = onx_fb_depthwise_conv2d_multiplier(t), outputs = onx_fb_depthwise_conv2d_bias(t).count;
    if (!onx_is_int8(&in) || !onx_takes_sums(&out))
        return ONX_ERROR_UNSUPPORTED;
    if (!onx_window_fits_convolution(w, &in, &out) || (uint32_t)out.shape[3] != outputs)
        return ONX_ERROR_OPERATOR;
    if (multiplier == 0u || (uint64_t)(uint32_t)in.shape[3] * multiplier != outputs)
        return ONX_ERROR_OPERATOR;
    if (!onx_weights_fit(onx_fb_depthwise_conv2d_weights(t), (uint64_t)w.kernel_h * w.kernel_w * outputs))
        return ONX_ERROR_OPERATOR;
    return onx_requantization_fits(onx_fb_depthwise_conv2d_requantization(t), outputs) ? ONX_OK : ONX_ERROR_OPERATOR;
}

const onx_kernel onx_depthwise_conv2d_kernels[1] = {
    { ONX_WEIGHT_LAYOUT_HWC, onx_depthwise_conv2d_check, onx_depthwise_conv2d_run, NULL, NULL },
};
