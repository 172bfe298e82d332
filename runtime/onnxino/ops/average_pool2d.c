/* Mean over windows in float32, summed in ONNX Runtime's order: [N,H,W,C] -> [N,OH,OW,C]. */
#include "engine/numeric.h"
#include "window.h"

enum { ONX_BLOCK = 8 }; /* channels summed together, so that an image row is read along its memory */

typedef struct {
    float input_scale, output_scale;
    float zero_point, low, high; /* of the output, in the domain */
    int32_t input_zero_point, domain_offset;
    onx_axis h, w;
    int32_t height, width;
    size_t channels;
    int counts_padding;
} onx_average;

/* Taps of one axis that lie inside the image, or with `counts_padding` inside the padded one. */
static int32_t onx_average_count(const onx_average *p, onx_axis a, int32_t start, int32_t size, onx_taps inside)
{
    if (p->counts_padding)
        inside = onx_taps_inside(start + a.before, a.dilation, a.kernel, size + a.before + a.after);
    return inside.end - inside.first;
}

/* `n` channels (at most ONX_BLOCK) of one pixel; x is the image at the first of them. */
static void onx_average_block(const onx_average *p, const int8_t *x, int8_t *y, size_t n, int32_t iy, int32_t ix,
                              onx_taps rows, onx_taps columns, float count)
{
    float sum[ONX_BLOCK] = { 0.0f };
    for (int32_t ky = rows.first; ky < rows.end; ky++) {
        const int8_t *line = x + (size_t)(iy + ky * p->h.dilation) * (size_t)p->width * p->channels;
        for (int32_t kx = columns.first; kx < columns.end; kx++) {
            const int8_t *pixel = line + (size_t)(ix + kx * p->w.dilation) * p->channels;
            for (size_t c = 0; c < n; c++)
                sum[c] += onx_product(p->input_scale, (float)(pixel[c] - p->input_zero_point));
        }
    }
    for (size_t c = 0; c < n; c++)
        y[c] = onx_round_domain(sum[c] / count / p->output_scale + p->zero_point, p->low, p->high, p->domain_offset);
}

static void onx_average_pool2d_run(const onx_call *call)
{
    onx_fb_average_pool2d t = { call->attributes };
    onx_tensor in = onx_input_of(call, 0), out = onx_output_of(call, 0);
    int32_t offset = onx_fb_average_pool2d_domain_offset(t);
    onx_average p = {
        .input_scale = onx_fb_average_pool2d_input_scale(t),
        .output_scale = onx_fb_average_pool2d_output_scale(t),
        .zero_point = (float)(onx_fb_average_pool2d_output_zero_point(t) + offset),
        .low = (float)(-128 + offset),
        .high = (float)(127 + offset),
        .input_zero_point = onx_fb_average_pool2d_input_zero_point(t),
        .domain_offset = offset,
        .h = onx_axis_h(onx_fb_average_pool2d_window(t)),
        .w = onx_axis_w(onx_fb_average_pool2d_window(t)),
        .height = in.shape[1],
        .width = in.shape[2],
        .channels = (size_t)in.shape[3],
        .counts_padding = onx_fb_average_pool2d_count_include_pad(t),
    };
    const int8_t *image = in.data;
    int8_t *y = out.data;
    for (int32_t n = 0; n < in.shape[0]; n++, image += (size_t)p.height * (size_t)p.width * p.channels) {
        for (int32_t oy = 0; oy < out.shape[1]; oy++) {
            int32_t iy = oy * p.h.stride - p.h.before;
            onx_taps rows = onx_taps_inside(iy, p.h.dilation, p.h.kernel, p.height);
            float tall = (float)onx_average_count(&p, p.h, iy, p.height, rows);
            for (int32_t ox = 0; ox < out.shape[2]; ox++, y += p.channels) {
                int32_t ix = ox * p.w.stride - p.w.before;
                onx_taps columns = onx_taps_inside(ix, p.w.dilation, p.w.kernel, p.width);
                float count = tall * (float)onx_average_count(&p, p.w, ix, p.width, columns);
                for (size_t c = 0; c < p.channels; c += ONX_BLOCK) {
                    size_t block = p.channels - c < ONX_BLOCK ? p.channels - c : ONX_BLOCK;
                    onx_average_block(&p, image + c, y + c, block, iy, ix, rows, columns, count);
                }
            }
        }
    }
}

static onx_status onx_average_pool2d_check(const onx_call *call)
{
    onx_fb_average_pool2d t = { call->attributes };
    onx_tensor in = onx_input_of(call, 0), out = onx_output_of(call, 0);
    int32_t offset = onx_fb_average_pool2d_domain_offset(t);
    if (!onx_is_int8(&in) || !onx_is_int8(&out))
        return ONX_ERROR_UNSUPPORTED;
    if (!onx_is_scale(onx_fb_average_pool2d_input_scale(t)) || !onx_is_scale(onx_fb_average_pool2d_output_scale(t))
        || (offset != 0 && offset != 128))
        return ONX_ERROR_OPERATOR;
    return onx_window_fits_pool(onx_fb_average_pool2d_window(t), &in, &out) ? ONX_OK : ONX_ERROR_OPERATOR;
}

const onx_kernel onx_average_pool2d_kernels[1] = {
    { ONX_WEIGHT_LAYOUT_UNSET, onx_average_pool2d_check, onx_average_pool2d_run, NULL, NULL },
};
