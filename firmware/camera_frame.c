/* A camera's frame in the free part of the arena, and its conversion to the model's input. */
#include <string.h>

#include "device.h"

void onx_frame_forget(onx_device *device) { device->frame.open = false; }

static const char *camera_text(onx_camera_status status)
{
    switch (status) {
    case ONX_CAMERA_OK: return "";
    case ONX_CAMERA_ERROR_ARGUMENT: return "unknown format or fit";
    case ONX_CAMERA_ERROR_FRAME: return "width or height is 0, too large, or odd where pixels come in pairs";
    case ONX_CAMERA_ERROR_INPUT: return "the model's only input is no image of 1 or 3 channels, or takes no pixels";
    case ONX_CAMERA_ERROR_LAYOUT: return "the metadata does not say which of the input's axes are the image's";
    case ONX_CAMERA_ERROR_METADATA: return "the metadata's means or deviations do not fit the channels";
    }
    return "";
}

/* Payload: format, fit (u8 each), width, height (u16 each). The frame takes the place where inputs wait. */
uint8_t onx_frame_begin(onx_device *device, onx_reply *reply, const uint8_t *payload, uint32_t size)
{
    onx_frame *frame = &device->frame;
    if (device->model_status != ONX_OK) {
        return ONX_REPLY_NO_MODEL;
    }
    if (size != 6) {
        return ONX_REPLY_BAD_PAYLOAD;
    }
    const uint32_t width = (uint32_t)payload[2] | (uint32_t)payload[3] << 8;
    const uint32_t height = (uint32_t)payload[4] | (uint32_t)payload[5] << 8;
    frame->open = false;
    const onx_camera_status status =
        onx_camera_open(&frame->camera, &device->model, payload[0], width, height, payload[1]);
    if (status != ONX_CAMERA_OK) {
        const char *text = camera_text(status);
        onx_reply_u32(reply, (uint32_t)(int32_t)status);
        onx_reply_u32(reply, 0);
        onx_reply_data(reply, text, strlen(text));
        return ONX_REPLY_FRAME_REFUSED;
    }
    uint32_t room;
    frame->bytes = onx_inference_free(device, &room);
    const uint64_t needed = (uint64_t)onx_round_up(frame->camera.frame_size) + frame->camera.scratch_size;
    if (needed > room) {
        onx_reply_u32(reply, room);
        return ONX_REPLY_FRAME_TOO_LARGE;
    }
    onx_inference_drop_staged(device);
    frame->next = 0;
    frame->open = true;
    return ONX_REPLY_OK;
}

/* Payload: offset (u32), bytes. In order; writing the first byte begins anew. */
uint8_t onx_frame_write(onx_device *device, onx_reply *reply, const uint8_t *payload, uint32_t size)
{
    onx_frame *frame = &device->frame;
    if (!frame->open) {
        onx_reply_u32(reply, 0);
        return ONX_REPLY_FRAME_INCOMPLETE;
    }
    if (size <= 4) {
        return ONX_REPLY_BAD_PAYLOAD;
    }
    const uint32_t offset = onx_load_u32(payload);
    const uint32_t count = size - 4;
    if (offset > frame->camera.frame_size || count > frame->camera.frame_size - offset) {
        return ONX_REPLY_OUT_OF_RANGE;
    }
    if (offset != 0 && offset != frame->next) {
        onx_reply_u32(reply, frame->next);
        return ONX_REPLY_OUT_OF_ORDER;
    }
    memcpy(frame->bytes + offset, payload + 4, count);
    frame->next = offset + count;
    return ONX_REPLY_OK;
}

uint8_t onx_frame_convert(onx_device *device, onx_reply *reply)
{
    const onx_frame *frame = &device->frame;
    if (!frame->open || frame->next != frame->camera.frame_size) {
        onx_reply_u32(reply, frame->open ? frame->next : 0);
        return ONX_REPLY_FRAME_INCOMPLETE;
    }
    uint8_t *scratch = frame->bytes + onx_round_up(frame->camera.frame_size);
    onx_camera_convert(&frame->camera, frame->bytes, onx_input(&device->session, 0), scratch);
    onx_inference_made_in_place(device);
    return ONX_REPLY_OK;
}
