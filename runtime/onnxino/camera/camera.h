/* A camera's raw frame to a model's image input: crop, resize, normalise, quantize, as the model's metadata says.
 *
 *     onx_camera camera;
 *     onx_camera_status status = onx_camera_open(&camera, &model, ONX_FRAME_RGB565_BE, 160, 120, ONX_FIT_CROP);
 *     if (status == ONX_CAMERA_OK)                                     // scratch: camera.scratch_size bytes
 *         onx_camera_convert(&camera, frame, onx_input(&session, 0), scratch);
 *
 * The same bytes as onnxino.camera in Python, and as Pillow's bilinear filter followed by the host's pixel rule
 * (docs/camera.md states the arithmetic). No malloc, no globals; frame, input and scratch belong to the caller. */
#ifndef ONX_CAMERA_H
#define ONX_CAMERA_H

#include "engine/onnxino.h"

#ifdef __cplusplus
extern "C" {
#endif

#define ONX_FRAME_SIDE 4096u /* the largest width and height in pixels, of frames and of a model's input */
#define ONX_CAMERA_CHANNELS 4u

typedef enum {
    ONX_FRAME_GREY8 = 0,     /* 1 byte a pixel */
    ONX_FRAME_RGB565_BE = 1, /* 2 bytes, high byte first: as the OV7675 sends it */
    ONX_FRAME_RGB565_LE = 2, /* 2 bytes, low byte first */
    ONX_FRAME_YUYV = 3,      /* YUV 4:2:2, full range: Y0 U Y1 V for each two pixels; even widths only */
} onx_frame_format;

typedef enum {
    ONX_FIT_CROP = 0,    /* the largest centred part with the proportions of the model's input */
    ONX_FIT_STRETCH = 1, /* the whole frame, distorted */
} onx_fit;

typedef enum {
    ONX_CAMERA_OK = 0,
    ONX_CAMERA_ERROR_ARGUMENT = -1, /* a NULL pointer, or an unknown format or fit */
    ONX_CAMERA_ERROR_FRAME = -2,    /* width or height is 0 or above ONX_FRAME_SIDE, or a YUYV width is odd */
    ONX_CAMERA_ERROR_INPUT = -3,    /* the model's only input is no image of 1 or 3 channels, or takes no pixels */
    ONX_CAMERA_ERROR_LAYOUT = -4,   /* the input could be NHWC or NCHW, and the metadata does not say which */
    ONX_CAMERA_ERROR_METADATA = -5, /* the metadata's means or deviations are not one, or one for each channel */
} onx_camera_status;

/* One axis of the resize: output pixel i looks at centre (start + (2 i + 1) step) / (2 unit), in frame pixels. */
typedef struct {
    uint32_t in, out;
    int32_t start, step, unit;
    uint32_t taps; /* the most frame pixels that one output pixel reads */
} onx_camera_axis;

/* How a frame becomes the input. Filled by onx_camera_open; read-only for the caller. */
typedef struct {
    uint32_t scratch_size; /* bytes that onx_camera_convert needs, at a multiple of 4 */
    uint32_t frame_size;   /* bytes of a frame */
    uint8_t format;
    uint8_t channels;
    uint8_t rule; /* how a pixel becomes a value: see camera.c */
    int8_t low;   /* of an integer port: its least value */
    onx_camera_axis x, y;
    uint32_t stride_x, stride_y, stride_c; /* of the device's tensor, in elements */
    float scale, mean[ONX_CAMERA_CHANNELS], std[ONX_CAMERA_CHANNELS];
    float tensor_scale;
    int32_t zero_point;
} onx_camera;

/* Bytes of a frame; 0 for an unknown format or a size that ONX_CAMERA_ERROR_FRAME refuses. */
uint32_t onx_frame_size(uint32_t format, uint32_t width, uint32_t height);

/* Prepares the conversion of frames of one size to the only input of `model` (verified by onx_model_open). */
onx_camera_status onx_camera_open(onx_camera *camera, const onx_model *model, uint32_t format, uint32_t width,
                                  uint32_t height, uint32_t fit);

/* Writes the whole input tensor from a frame of camera->frame_size bytes. The frame is only read; input, frame and
 * scratch must not overlap. */
void onx_camera_convert(const onx_camera *camera, const uint8_t *frame, void *input, void *scratch);

#ifdef __cplusplus
}
#endif

#endif
