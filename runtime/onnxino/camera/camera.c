/* Frames of a camera: exact integers up to the pixel, then the float32 steps of engine/numeric.h. */
#include "camera/camera.h"

#include "engine/kernel.h"
#include "engine/numeric.h"

#define ONX_COEFFICIENT_BITS 22u /* as Pillow's resize of 8-bit images */

enum {
    ONX_RULE_RAW,          /* integer port: the byte, shifted to int8 */
    ONX_RULE_INTEGER,      /* integer port: (p * scale - mean) / std, rounded */
    ONX_RULE_FLOAT,        /* float32 tensor: (p * scale - mean) / std */
    ONX_RULE_QUANTIZED,    /* float port of an int8 tensor: the same, quantized */
    ONX_RULE_FLOAT_UNIT,   /* float32 tensor: p / 255 */
    ONX_RULE_UNIT,         /* float port of an int8 tensor: p / 255, quantized */
    ONX_RULE_FLOAT_PIXELS, /* float port of an int8 tensor: p, quantized */
};

/* One output pixel's coefficients, in frame pixels. */
typedef struct {
    uint32_t first, count;
    int32_t *values;
} onx_taps;

/* ---- the model's input ---- */

/* Axes of the image in the port's shape: height, width, channels. */
static onx_camera_status onx_image_axes(onx_i32s shape, onx_string layout, uint32_t axes[3])
{
    static const uint8_t nhwc[3] = { 1, 2, 3 }, nchw[3] = { 2, 3, 1 };
    if (shape.count != 4u || shape.data[0] > 1)
        return ONX_CAMERA_ERROR_INPUT;
    int is_nhwc = 0, is_nchw = 0;
    if (layout.text != NULL) {
        is_nhwc = layout.length == 4u && layout.text[1] == 'H';
        is_nchw = !is_nhwc;
    } else { /* one or three channels tell; four only where neither does */
        is_nhwc = shape.data[3] == 1 || shape.data[3] == 3;
        is_nchw = shape.data[1] == 1 || shape.data[1] == 3;
        if (is_nhwc && is_nchw)
            return ONX_CAMERA_ERROR_LAYOUT;
        if (!is_nhwc && !is_nchw)
            return ONX_CAMERA_ERROR_INPUT;
    }
    for (uint32_t i = 0; i < 3u; i++)
        axes[i] = is_nhwc ? nhwc[i] : nchw[i];
    return ONX_CAMERA_OK;
}

/* Elements between neighbours along a port's axis, in the device's tensor: the port's dimensions in the order of perm,
 * however the tensor's own shape groups them. */
static uint32_t onx_stride_of(onx_i32s port, onx_u8s perm, uint32_t port_axis)
{
    uint32_t stride = 1;
    for (uint32_t i = port.count; i-- > 0u;) {
        uint32_t axis = perm.count == port.count ? perm.data[i] : i;
        if (axis == port_axis)
            break;
        stride *= port.data[axis] < 0 ? 1u : (uint32_t)port.data[axis]; /* a symbolic dimension counts 1 */
    }
    return stride;
}

static int onx_read_channels(onx_f32s values, uint32_t channels, float absent, float *result)
{
    if (values.count != 0u && values.count != 1u && values.count != channels)
        return 0;
    for (uint32_t c = 0; c < channels; c++)
        result[c] = values.count == 0u ? absent : values.data[values.count == 1u ? 0u : c];
    return 1;
}

/* What the host's rule for pixels is (onnxino/pixels.py). */
static onx_camera_status onx_choose_rule(onx_camera *camera, onx_fb_port port, onx_fb_tensor tensor,
                                         onx_fb_preprocessing stored)
{
    uint8_t type = onx_fb_port_type(port);
    int is_float = onx_fb_tensor_type(tensor) == ONX_ELEMENT_TYPE_FLOAT32;
    camera->low = type == ONX_ELEMENT_TYPE_UINT8 ? 0 : -128;
    camera->tensor_scale = onx_fb_tensor_scale(tensor);
    camera->zero_point = onx_fb_tensor_zero_point(tensor);
    camera->scale = 1.0f;
    if (type != ONX_ELEMENT_TYPE_INT8 && type != ONX_ELEMENT_TYPE_UINT8 && type != ONX_ELEMENT_TYPE_FLOAT32)
        return ONX_CAMERA_ERROR_INPUT;
    if (stored.at != NULL) {
        camera->scale = onx_fb_preprocessing_scale(stored);
        if (!onx_read_channels(onx_fb_preprocessing_mean(stored), camera->channels, 0.0f, camera->mean)
            || !onx_read_channels(onx_fb_preprocessing_std(stored), camera->channels, 1.0f, camera->std))
            return ONX_CAMERA_ERROR_METADATA;
        camera->rule = type != ONX_ELEMENT_TYPE_FLOAT32 ? ONX_RULE_INTEGER
                       : is_float                       ? ONX_RULE_FLOAT
                                                        : ONX_RULE_QUANTIZED;
    } else if (type != ONX_ELEMENT_TYPE_FLOAT32) {
        camera->rule = ONX_RULE_RAW;
    } else if (is_float) {
        camera->rule = ONX_RULE_FLOAT_UNIT;
    } else { /* one rounding tells exactly whether scale * 255 >= 128 */
        camera->rule = onx_fma(camera->tensor_scale, 255.0f, -128.0f) >= 0.0f ? ONX_RULE_FLOAT_PIXELS : ONX_RULE_UNIT;
    }
    return ONX_CAMERA_OK;
}

/* ---- the two axes ---- */

/* How far the filter reaches to each side, in 1 / (2 unit) frame pixels: one output pixel, but one frame pixel at
 * least. */
static int32_t onx_reach(const onx_camera_axis *axis)
{
    return 2 * (axis->step > axis->unit ? axis->step : axis->unit);
}

/* The part [start / (2 unit), in - start / (2 unit)) of a side of `in` pixels becomes `out` pixels. */
static void onx_open_axis(onx_camera_axis *axis, uint32_t in, uint32_t out, int32_t start, uint32_t step, uint32_t unit)
{
    axis->in = in;
    axis->out = out;
    axis->start = start;
    axis->step = (int32_t)step;
    axis->unit = (int32_t)unit;
    uint32_t reach = step > unit ? step : unit;
    axis->taps = 2u * ((reach + unit - 1u) / unit) + 1u;
}

static void onx_open_axes(onx_camera *camera, uint32_t width, uint32_t height, uint32_t out_x, uint32_t out_y,
                          uint32_t fit)
{
    if (fit == ONX_FIT_STRETCH) {
        onx_open_axis(&camera->x, width, out_x, 0, width, out_x);
        onx_open_axis(&camera->y, height, out_y, 0, height, out_y);
    } else if (width * out_y >= height * out_x) { /* wider than wanted: the height decides the scale */
        onx_open_axis(&camera->x, width, out_x, (int32_t)(width * out_y - height * out_x), height, out_y);
        onx_open_axis(&camera->y, height, out_y, 0, height, out_y);
    } else {
        onx_open_axis(&camera->x, width, out_x, 0, width, out_x);
        onx_open_axis(&camera->y, height, out_y, (int32_t)(height * out_x - width * out_y), width, out_x);
    }
}

static int32_t onx_floor_divide(int32_t a, int32_t b) { return a >= 0 ? a / b : -((b - 1 - a) / b); }

/* The coefficients of output pixel i: a triangle around its centre, normalised to 2^22, each rounded. */
static void onx_make_taps(const onx_camera_axis *axis, uint32_t i, onx_taps *taps)
{
    int32_t centre = axis->start + (int32_t)(2u * i + 1u) * axis->step;
    int32_t reach = onx_reach(axis), unit = axis->unit;
    int32_t first = onx_floor_divide(centre - reach + unit, 2 * unit);
    int32_t end = onx_floor_divide(centre + reach + unit, 2 * unit);
    first = first < 0 ? 0 : first;
    end = end > (int32_t)axis->in ? (int32_t)axis->in : end;
    taps->first = (uint32_t)first;
    taps->count = (uint32_t)(end - first);
    uint64_t total = 0;
    for (int32_t x = first; x < end; x++) {
        int32_t distance = (2 * x + 1) * unit - centre;
        int32_t weight = reach - (distance < 0 ? -distance : distance);
        weight = weight < 0 ? 0 : weight;
        taps->values[x - first] = weight;
        total += (uint32_t)weight;
    }
    for (uint32_t k = 0; k < taps->count; k++) {
        uint64_t weight = (uint64_t)(uint32_t)taps->values[k] << (ONX_COEFFICIENT_BITS + 1u);
        taps->values[k] = (int32_t)((weight + total) / (2u * total));
    }
}

/* ---- pixels ---- */

static uint8_t onx_to_byte(int32_t v) { return (uint8_t)(v < 0 ? 0 : v > 255 ? 255 : v); }

static void onx_from_565(uint32_t word, uint8_t rgb[3])
{
    uint32_t r = word >> 11 & 31u, g = word >> 5 & 63u, b = word & 31u;
    rgb[0] = (uint8_t)(r << 3 | r >> 2);
    rgb[1] = (uint8_t)(g << 2 | g >> 4);
    rgb[2] = (uint8_t)(b << 3 | b >> 2);
}

/* BT.601, full range, in 1/256; the constant keeps the numerators above 0, where division rounds down. */
static void onx_from_yuv(int32_t y, int32_t u, int32_t v, uint8_t rgb[3])
{
    const int32_t whole = 1 << 10, offset = (whole << 8) + 128;
    u -= 128;
    v -= 128;
    rgb[0] = onx_to_byte(y + (359 * v + offset) / 256 - whole);
    rgb[1] = onx_to_byte(y + (-88 * u - 183 * v + offset) / 256 - whole);
    rgb[2] = onx_to_byte(y + (454 * u + offset) / 256 - whole);
}

static uint8_t onx_grey_of(const uint8_t rgb[3])
{
    return (uint8_t)((rgb[0] * 19595u + rgb[1] * 38470u + rgb[2] * 7471u + 32768u) >> 16);
}

/* Channels of the pixel at x in a row of the frame. */
static void onx_read_pixel(const onx_camera *camera, const uint8_t *row, uint32_t x, uint8_t pixel[3])
{
    const uint8_t *at = row + 2u * x;
    if (camera->format == ONX_FRAME_GREY8) {
        pixel[0] = pixel[1] = pixel[2] = row[x];
        return;
    }
    if (camera->format == ONX_FRAME_YUYV) {
        if (camera->channels == 1u) {
            pixel[0] = at[0];
            return;
        }
        const uint8_t *pair = row + 4u * (x / 2u);
        onx_from_yuv(at[0], pair[1], pair[3], pixel);
        return;
    }
    uint32_t high = camera->format == ONX_FRAME_RGB565_BE ? 0u : 1u;
    onx_from_565((uint32_t)at[high] << 8 | at[1u - high], pixel);
    if (camera->channels == 1u)
        pixel[0] = onx_grey_of(pixel);
}

/* (p * scale - mean) / std, every step rounded to float32. */
static float onx_normalised(const onx_camera *camera, uint32_t channel, uint8_t pixel)
{
    return (onx_product((float)pixel, camera->scale) - camera->mean[channel]) / camera->std[channel];
}

static int8_t onx_quantized(const onx_camera *camera, float v)
{
    float low = (float)(-128 - camera->zero_point), high = (float)(127 - camera->zero_point);
    return (int8_t)(onx_rint(onx_clampf(v / camera->tensor_scale, low, high)) + camera->zero_point);
}

static void onx_store(const onx_camera *camera, void *input, size_t at, uint32_t channel, uint8_t pixel)
{
    int8_t *bytes = input;
    float *floats = input;
    float low = (float)camera->low;
    switch (camera->rule) {
    case ONX_RULE_RAW: bytes[at] = (int8_t)((int32_t)pixel - 128); break;
    case ONX_RULE_INTEGER:
        bytes[at] = (int8_t)(onx_rint(onx_clampf(onx_normalised(camera, channel, pixel), low, low + 255.0f))
                             - (128 + camera->low));
        break;
    case ONX_RULE_FLOAT: floats[at] = onx_normalised(camera, channel, pixel); break;
    case ONX_RULE_QUANTIZED: bytes[at] = onx_quantized(camera, onx_normalised(camera, channel, pixel)); break;
    case ONX_RULE_FLOAT_UNIT: floats[at] = (float)pixel / 255.0f; break;
    case ONX_RULE_UNIT: bytes[at] = onx_quantized(camera, (float)pixel / 255.0f); break;
    default: bytes[at] = onx_quantized(camera, (float)pixel); break;
    }
}

/* ---- the interface ---- */

uint32_t onx_frame_size(uint32_t format, uint32_t width, uint32_t height)
{
    if (format > ONX_FRAME_YUYV || width == 0u || height == 0u || width > ONX_FRAME_SIDE || height > ONX_FRAME_SIDE)
        return 0;
    if (format == ONX_FRAME_YUYV && width % 2u != 0u)
        return 0;
    return width * height * (format == ONX_FRAME_GREY8 ? 1u : 2u);
}

onx_camera_status onx_camera_open(onx_camera *camera, const onx_model *model, uint32_t format, uint32_t width,
                                  uint32_t height, uint32_t fit)
{
    if (camera == NULL || model == NULL || format > ONX_FRAME_YUYV || fit > ONX_FIT_STRETCH)
        return ONX_CAMERA_ERROR_ARGUMENT;
    camera->format = (uint8_t)format;
    camera->frame_size = onx_frame_size(format, width, height);
    if (camera->frame_size == 0u)
        return ONX_CAMERA_ERROR_FRAME;
    onx_fb_model root = { model->root };
    if (onx_fb_model_inputs_count(root) != 1u)
        return ONX_CAMERA_ERROR_INPUT;
    onx_fb_port port = onx_fb_model_inputs_at(root, 0);
    onx_fb_tensor tensor = onx_fb_model_tensors_at(root, onx_fb_port_tensor(port));
    onx_fb_metadata metadata = onx_fb_model_metadata(root);
    onx_fb_preprocessing stored = { NULL };
    onx_string layout = { NULL, 0 };
    if (metadata.at != NULL)
        stored = onx_fb_metadata_preprocessing(metadata);
    if (stored.at != NULL)
        layout = onx_fb_preprocessing_layout(stored);
    onx_i32s shape = onx_fb_port_shape(port);
    uint32_t axes[3];
    onx_camera_status status = onx_image_axes(shape, layout, axes);
    if (status != ONX_CAMERA_OK)
        return status;
    int32_t sides[3];
    for (uint32_t i = 0; i < 3u; i++) {
        sides[i] = shape.data[axes[i]];
        if (sides[i] < 1 || sides[i] > (int32_t)ONX_FRAME_SIDE)
            return ONX_CAMERA_ERROR_INPUT;
    }
    if (sides[2] != 1 && sides[2] != 3)
        return ONX_CAMERA_ERROR_INPUT;
    camera->channels = (uint8_t)sides[2];
    camera->stride_y = onx_stride_of(shape, onx_fb_port_perm(port), axes[0]);
    camera->stride_x = onx_stride_of(shape, onx_fb_port_perm(port), axes[1]);
    camera->stride_c = onx_stride_of(shape, onx_fb_port_perm(port), axes[2]);
    onx_open_axes(camera, width, height, (uint32_t)sides[1], (uint32_t)sides[0], fit);
    uint32_t rows = camera->y.out * (camera->y.taps + 2u) * 4u; /* of each output row: first, count, coefficients */
    camera->scratch_size = rows + camera->x.taps * 4u + (camera->y.in * camera->channels + 3u) / 4u * 4u;
    return onx_choose_rule(camera, port, tensor, stored);
}

/* Column `x` of the output, resized along the rows only: one byte for each frame row and channel. */
static void onx_make_column(const onx_camera *camera, const uint8_t *frame, const onx_taps *taps, uint8_t *column)
{
    uint32_t pitch = camera->x.in * (camera->format == ONX_FRAME_GREY8 ? 1u : 2u);
    for (uint32_t y = 0; y < camera->y.in; y++) {
        int32_t sums[3] = { 1 << (ONX_COEFFICIENT_BITS - 1u), 1 << (ONX_COEFFICIENT_BITS - 1u),
                            1 << (ONX_COEFFICIENT_BITS - 1u) };
        for (uint32_t k = 0; k < taps->count; k++) {
            uint8_t pixel[3];
            onx_read_pixel(camera, frame + (size_t)y * pitch, taps->first + k, pixel);
            for (uint32_t c = 0; c < camera->channels; c++)
                sums[c] += pixel[c] * taps->values[k];
        }
        for (uint32_t c = 0; c < camera->channels; c++)
            column[y * camera->channels + c] = onx_to_byte(sums[c] >> ONX_COEFFICIENT_BITS);
    }
}

void onx_camera_convert(const onx_camera *camera, const uint8_t *frame, void *input, void *scratch)
{
    uint32_t channels = camera->channels, stride = camera->y.taps + 2u;
    int32_t *rows = scratch, *across = rows + camera->y.out * stride;
    uint8_t *column = (uint8_t *)(across + camera->x.taps);
    for (uint32_t y = 0; y < camera->y.out; y++) {
        onx_taps taps = { 0, 0, rows + y * stride + 2u };
        onx_make_taps(&camera->y, y, &taps);
        rows[y * stride] = (int32_t)taps.first;
        rows[y * stride + 1u] = (int32_t)taps.count;
    }
    for (uint32_t x = 0; x < camera->x.out; x++) {
        onx_taps taps = { 0, 0, across };
        onx_make_taps(&camera->x, x, &taps);
        onx_make_column(camera, frame, &taps, column);
        for (uint32_t y = 0; y < camera->y.out; y++) {
            const int32_t *row = rows + y * stride;
            const uint8_t *above = column + (uint32_t)row[0] * channels;
            for (uint32_t c = 0; c < channels; c++) {
                int32_t sum = 1 << (ONX_COEFFICIENT_BITS - 1u);
                for (uint32_t k = 0; k < (uint32_t)row[1]; k++)
                    sum += above[k * channels + c] * row[2u + k];
                size_t at = (size_t)y * camera->stride_y + (size_t)x * camera->stride_x + (size_t)c * camera->stride_c;
                onx_store(camera, input, at, c, onx_to_byte(sum >> ONX_COEFFICIENT_BITS));
            }
        }
    }
}
