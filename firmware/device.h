/* The device's whole state: one struct, filled by onx_device_start, driven by onx_device_poll. */
#ifndef ONX_DEVICE_H
#define ONX_DEVICE_H

#include "board.h"
#include "camera/camera.h"
#include "engine/onnxino.h"
#include "fault.h"
#include "frame.h"

#define ONX_MAX_PORTS 8u     /* graph inputs of a model, and as many outputs */
#define ONX_MAX_PROFILE 256u /* operators whose cycles and hashes are kept */
#define ONX_MAX_HISTORY 32u  /* INPUT_WRITEs that are known again: more than a host may have under way */
#define ONX_MODEL_HEADER 32u
#define ONX_MAX_WRITE 1024u /* bytes of input or frame in a request */

/* An answer. Its payload is `fields` followed by `data`, which may lie anywhere: so the last answer can be sent again
   without a copy of it. */
typedef struct {
    uint8_t header[ONX_FRAME_HEADER];
    uint8_t fields[80 + 8 * ONX_MAX_PORTS];
    uint32_t field_count;
    const uint8_t *data;
    uint32_t data_size;
} onx_reply;

/* The lines: bytes that were read from one of them and wait to be decoded. */
typedef struct {
    uint8_t bytes[64];
    uint8_t at, size;
    uint8_t transport; /* that they came from */
    uint32_t time;     /* when, in microseconds */
} onx_incoming;

/* A model on its way into the flash. The header waits in RAM and is written last, its magic at the very end: whatever
   interrupts a load leaves no valid model. */
typedef struct {
    bool active;
    uint32_t size;
    uint32_t next; /* offset of the byte that is expected next */
    uint8_t header[ONX_MODEL_HEADER];
} onx_loading;

/* Inputs, the inference that runs or ran last, and what each of its operators cost. */
typedef struct {
    uint8_t *staging;                  /* where inputs wait for the next inference; NULL: they are written in place */
    bool in_place;                     /* the input was made in place in spite of that */
    uint32_t written[ONX_MAX_PORTS];   /* input bytes that were written, from the start */
    uint32_t history[ONX_MAX_HISTORY]; /* CRC-32 of the last INPUT_WRITEs that were carried out */
    uint32_t history_count;

    bool running;
    bool has_result; /* outputs, cycles */
    bool has_hashes;
    bool keep_hashes;
    uint32_t operator_start;
    uint64_t outside_cycles; /* spent between the operators */
    uint32_t operator_cycles[ONX_MAX_PROFILE];
    uint32_t operator_hashes[ONX_MAX_PROFILE];

    onx_reply reply;      /* the last answer to INFER */
    uint32_t request_crc; /* of that INFER */
    bool answered;        /* there was one */
    bool reply_is_valid;  /* and its output bytes are still there */
} onx_inference;

/* A camera's frame behind the model's arena, and how it becomes the input. */
typedef struct {
    onx_camera camera;
    uint8_t *bytes;
    uint32_t next; /* offset of the byte that is expected next */
    bool open;     /* there is a frame, whole or not */
} onx_frame;

typedef struct {
    onx_decoder decoder;
    onx_encoder encoder;
    onx_incoming incoming;
    bool disturbed; /* bytes came over the UART that were no frame */

    onx_reply reply;      /* the last answer to anything but INFER */
    uint32_t request_crc; /* of the request that it answers: the same again is a repetition */
    bool answered;

    onx_loading loading;
    onx_model model;
    onx_session session;
    int32_t model_status; /* ONX_OK: model and session are open; else an onx_status or ONX_MODEL_NOT_OPENED */
    bool safe;            /* the model was left closed because of faults */

    onx_inference inference;
    onx_frame frame;

    uint32_t frames, bad_frames, repeated;
    uint32_t uptime_low, uptime_high; /* microseconds */
    uint32_t image_crc;               /* 0: not computed yet */
} onx_device;

void onx_device_start(onx_device *device);
/* Takes the bytes that have come and answers requests. False: there were none. */
bool onx_device_poll(onx_device *device);
void onx_device_fault(onx_device *device, const uint32_t words[8]);
/* Shows the state that the device rests in. */
void onx_device_light(const onx_device *device);
uint64_t onx_device_uptime(onx_device *device);

/* Each command fills `reply` and returns an enum onx_reply_status. */
/* What the device says of itself (information.c). */
uint8_t onx_hello(onx_device *device, onx_reply *reply);
uint8_t onx_last_fault(onx_device *device, onx_reply *reply, const uint8_t *payload, uint32_t size);
uint8_t onx_statistics(onx_device *device, onx_reply *reply);
uint8_t onx_measure(onx_reply *reply, const uint8_t *payload, uint32_t size);
uint8_t onx_flash_read(onx_reply *reply, const uint8_t *payload, uint32_t size, uint8_t command);

/* The model in flash (model_store.c). */
void onx_model_reopen(onx_device *device);
uint8_t onx_load_begin(onx_device *device, onx_reply *reply, const uint8_t *payload, uint32_t size);
uint8_t onx_load_write(onx_device *device, onx_reply *reply, const uint8_t *payload, uint32_t size);
uint8_t onx_load_commit(onx_device *device, onx_reply *reply);

/* Inference (inference.c). */
void onx_inference_open(onx_device *device); /* after the model was opened, or found missing */
void onx_inference_hook(void *user, const onx_session *session, uint32_t index, int after);
uint8_t onx_input_write(onx_device *device, onx_reply *reply, const uint8_t *payload, uint32_t size);
uint8_t onx_infer(onx_device *device, onx_reply *reply, const uint8_t *payload, uint32_t size);
uint8_t onx_output_read(onx_device *device, onx_reply *reply, const uint8_t *payload, uint32_t size);
uint8_t onx_operator_words(onx_device *device, onx_reply *reply, const uint8_t *payload, uint32_t size, bool hashes);

/* The arena behind the model's, and its size in bytes. */
uint8_t *onx_inference_free(const onx_device *device, uint32_t *size);
/* Something else is written there: inputs that waited there are gone. */
void onx_inference_drop_staged(onx_device *device);
/* Input 0, the only one, was made where the model has it. */
void onx_inference_made_in_place(onx_device *device);

static inline uint32_t onx_round_up(uint32_t size)
{
    return (size + ONX_ALIGNMENT - 1u) & ~(uint32_t)(ONX_ALIGNMENT - 1);
}

/* A camera's frame (camera_frame.c). */
uint8_t onx_frame_begin(onx_device *device, onx_reply *reply, const uint8_t *payload, uint32_t size);
uint8_t onx_frame_write(onx_device *device, onx_reply *reply, const uint8_t *payload, uint32_t size);
uint8_t onx_frame_convert(onx_device *device, onx_reply *reply);
void onx_frame_forget(onx_device *device);

/* Fills the reply's payload. */
void onx_reply_clear(onx_reply *reply);
void onx_reply_u32(onx_reply *reply, uint32_t value);
void onx_reply_data(onx_reply *reply, const void *data, size_t size);
uint8_t onx_reply_error(onx_device *device, onx_reply *reply, uint8_t reply_status, int32_t status);

#endif
