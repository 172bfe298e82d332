/* The device's whole state: one struct, filled by onx_device_start, driven by onx_device_receive. */
#ifndef ONX_DEVICE_H
#define ONX_DEVICE_H

#include "board.h"
#include "engine/onnxino.h"
#include "frame.h"

#define ONX_MAX_PORTS 8u     /* graph inputs of a model, and as many outputs */
#define ONX_MAX_PROFILE 256u /* operators whose cycles are kept */
#define ONX_MODEL_HEADER 32u

/* An answer. Its payload is `fields` followed by `data`, which may lie anywhere: so the last answer can be sent again
   without a copy of it. */
typedef struct {
    uint8_t header[ONX_FRAME_HEADER];
    uint8_t fields[80 + 8 * ONX_MAX_PORTS];
    uint32_t field_count;
    const uint8_t *data;
    uint32_t data_size;
} onx_reply;

/* A model on its way into the flash. The header waits in RAM and is written last, its magic at the very end: whatever
   interrupts a load leaves no valid model. */
typedef struct {
    bool active;
    uint32_t size;
    uint32_t next; /* offset of the byte that is expected next */
    uint8_t header[ONX_MODEL_HEADER];
} onx_loading;

typedef struct {
    onx_decoder decoder;
    onx_encoder encoder;

    onx_reply reply;      /* the last answer */
    uint32_t request_crc; /* of the request that it answers: the same again is a repetition */
    bool answered;
    bool disturbed; /* bytes came that were no frame */

    onx_loading loading;
    onx_model model;
    onx_session session;
    onx_status model_status; /* ONX_OK: model and session are open */

    uint32_t image_crc; /* 0: not computed yet */

    uint32_t written[ONX_MAX_PORTS]; /* input bytes that were written, from the start */
    bool has_result;
    uint32_t operator_start;
    uint32_t operator_cycles[ONX_MAX_PROFILE];
} onx_device;

void onx_device_start(onx_device *device);
void onx_device_receive(onx_device *device, const uint8_t *data, size_t size);
void onx_device_fault(onx_device *device, const uint32_t words[8]);

/* Model store (model_store.c): each returns an enum onx_reply_status. */
void onx_model_reopen(onx_device *device);
uint8_t onx_load_begin(onx_device *device, const uint8_t *payload, uint32_t size);
uint8_t onx_load_write(onx_device *device, const uint8_t *payload, uint32_t size);
uint8_t onx_load_commit(onx_device *device, uint32_t size);

/* Inference (inference.c). */
uint8_t onx_input_write(onx_device *device, const uint8_t *payload, uint32_t size);
uint8_t onx_infer(onx_device *device, uint32_t size);
uint8_t onx_output_read(onx_device *device, const uint8_t *payload, uint32_t size);
uint8_t onx_profile(onx_device *device, const uint8_t *payload, uint32_t size);

/* Fills the reply's payload. */
void onx_reply_u32(onx_device *device, uint32_t value);
void onx_reply_data(onx_device *device, const void *data, size_t size);
uint8_t onx_reply_error(onx_device *device, uint8_t reply_status, onx_status status);

#endif
