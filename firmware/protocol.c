/* Requests and answers (docs/protocol.md): takes bytes, runs commands, answers repetitions without running them again.
 */
#include <string.h>

#include "device.h"
#include "version.h"

void onx_reply_u32(onx_device *device, uint32_t value)
{
    onx_reply *reply = &device->reply;
    onx_store_u32(reply->fields + reply->field_count, value);
    reply->field_count += 4;
}

void onx_reply_data(onx_device *device, const void *data, size_t size)
{
    device->reply.data = data;
    device->reply.data_size = (uint32_t)size;
}

uint8_t onx_reply_error(onx_device *device, uint8_t reply_status, onx_status status)
{
    const char *text = onx_status_text(status);
    onx_reply_u32(device, (uint32_t)(int32_t)status);
    onx_reply_u32(device, device->model.where);
    onx_reply_data(device, text, strlen(text));
    return reply_status;
}

static void send_frame(onx_device *device, const onx_reply *reply)
{
    onx_encode_begin(&device->encoder, onx_board_write);
    onx_encode(&device->encoder, reply->header, sizeof reply->header);
    onx_encode(&device->encoder, reply->fields, reply->field_count);
    onx_encode(&device->encoder, reply->data, reply->data_size);
    onx_encode_end(&device->encoder);
}

static void fill_header(onx_reply *reply, uint8_t type, uint8_t status, uint32_t sequence)
{
    const uint32_t size = reply->field_count + reply->data_size;
    const uint8_t header[ONX_FRAME_HEADER] = {
        ONX_PROTOCOL_VERSION, (uint8_t)(type | ONX_REPLY), status,        0,
        (uint8_t)sequence,    (uint8_t)(sequence >> 8),    (uint8_t)size, (uint8_t)(size >> 8),
    };
    memcpy(reply->header, header, sizeof header);
}

/* A frame that answers no request; the last answer stays as it is. */
static void send_event(onx_device *device, uint8_t type, uint8_t status, const uint32_t *words, uint32_t count)
{
    onx_reply event;
    memset(&event, 0, sizeof event);
    for (uint32_t i = 0; i < count; i++) {
        onx_store_u32(event.fields + 4 * i, words[i]);
    }
    event.field_count = 4 * count;
    fill_header(&event, type, status, 0);
    send_frame(device, &event);
}

static uint8_t hello(onx_device *device)
{
    static const uint8_t version[4] = { ONX_FIRMWARE_MAJOR, ONX_FIRMWARE_MINOR, ONX_FIRMWARE_PATCH, 0 };
    onx_reply *reply = &device->reply;
    const bool valid = device->model_status == ONX_OK;
    const onx_model *model = &device->model;
    const uint8_t *header = onx_board_model();
    onx_reply_u32(device, ONX_PROTOCOL_VERSION | ONX_BOARD_ID << 8 | (uint32_t)ONX_MAX_PAYLOAD << 16);
    memcpy(reply->fields + 4, version, 4);
    onx_board_device_id(reply->fields + 8);
    reply->field_count = 16;
    onx_reply_u32(device, ONX_BOARD_CLOCK_HZ);
    onx_reply_u32(device, ONX_BOARD_ARENA_SIZE);
    onx_reply_u32(device, ONX_BOARD_MODEL_SIZE);
    onx_reply_u32(device, ONX_BOARD_PAGE_SIZE);
    onx_reply_u32(device, onx_board_stack_size());
    onx_reply_u32(device, onx_board_stack_free());
    onx_reply_u32(device, (uint32_t)(int32_t)device->model_status);
    onx_reply_u32(device, valid ? model->size : 0);
    onx_reply_u32(device, valid ? onx_load_u32(header + 16) : 0);
    onx_reply_u32(device, valid ? onx_model_arena_size(model) : 0);
    onx_reply_u32(device, valid ? onx_model_operator_count(model) : 0);
    onx_reply_u32(device, valid ? onx_model_input_count(model) | onx_model_output_count(model) << 16 : 0);
    if (device->image_crc == 0) {
        device->image_crc = onx_crc32(0, onx_board_image(), onx_board_image_size());
    }
    onx_reply_u32(device, device->image_crc);
    onx_reply_u32(device, onx_board_image_size());
    onx_reply_u32(device, onx_board_reset_reasons());
    onx_reply_u32(device, ONX_TRANSPORT_UART | (uint32_t)onx_board_bootloader() << 8);
    if (valid) {
        for (uint32_t i = 0; i < onx_model_input_count(model); i++) {
            onx_reply_u32(device, (uint32_t)onx_input_size(model, i));
        }
        for (uint32_t i = 0; i < onx_model_output_count(model); i++) {
            onx_reply_u32(device, (uint32_t)onx_output_size(model, i));
        }
        /* The name is not bounded by the format: as much of it as fits. */
        const size_t length = strlen(onx_model_name(model));
        const size_t room = ONX_MAX_PAYLOAD - reply->field_count;
        onx_reply_data(device, onx_model_name(model), length < room ? length : room);
    }
    return ONX_REPLY_OK;
}

/* Payload: offset and size (u32 each) in the model region. Answers the bytes, or their CRC-32. */
static uint8_t read_model(onx_device *device, const uint8_t *payload, uint32_t size, bool crc_only)
{
    if (size != 8) {
        return ONX_REPLY_BAD_PAYLOAD;
    }
    const uint32_t offset = onx_load_u32(payload);
    const uint32_t count = onx_load_u32(payload + 4);
    const uint32_t limit = crc_only ? ONX_BOARD_MODEL_SIZE : ONX_MAX_PAYLOAD;
    if (offset > ONX_BOARD_MODEL_SIZE || count > ONX_BOARD_MODEL_SIZE - offset || count > limit) {
        return ONX_REPLY_OUT_OF_RANGE;
    }
    if (crc_only) {
        onx_reply_u32(device, onx_crc32(0, onx_board_model() + offset, count));
    } else {
        onx_reply_data(device, onx_board_model() + offset, count);
    }
    return ONX_REPLY_OK;
}

static uint8_t run_command(onx_device *device, uint8_t type, const uint8_t *payload, uint32_t size)
{
    switch (type) {
    case ONX_CMD_HELLO: return size == 0 ? hello(device) : (uint8_t)ONX_REPLY_BAD_PAYLOAD;
    case ONX_CMD_ECHO: onx_reply_data(device, payload, size); return ONX_REPLY_OK;
    case ONX_CMD_RESET: return size == 0 ? ONX_REPLY_OK : ONX_REPLY_BAD_PAYLOAD;
    case ONX_CMD_LOAD_BEGIN: return onx_load_begin(device, payload, size);
    case ONX_CMD_LOAD_WRITE: return onx_load_write(device, payload, size);
    case ONX_CMD_LOAD_COMMIT: return onx_load_commit(device, size);
    case ONX_CMD_MODEL_READ: return read_model(device, payload, size, false);
    case ONX_CMD_MODEL_CRC: return read_model(device, payload, size, true);
    case ONX_CMD_INPUT_WRITE: return onx_input_write(device, payload, size);
    case ONX_CMD_INFER: return onx_infer(device, size);
    case ONX_CMD_OUTPUT_READ: return onx_output_read(device, payload, size);
    case ONX_CMD_PROFILE: return onx_profile(device, payload, size);
    default: return ONX_REPLY_UNKNOWN_COMMAND;
    }
}

/* frame: header and payload. */
static void answer(onx_device *device, const uint8_t *frame, uint32_t size)
{
    const uint8_t type = frame[1];
    const uint32_t sequence = (uint32_t)frame[4] | (uint32_t)frame[5] << 8;
    const uint32_t crc = onx_crc32(0, frame, size);
    onx_reply *reply = &device->reply;
    if (device->answered && crc == device->request_crc && type != ONX_CMD_ECHO) {
        send_frame(device, reply); /* our answer was lost: the command has run already */
        return;
    }
    reply->field_count = 0;
    reply->data = NULL;
    reply->data_size = 0;
    uint8_t status = ONX_REPLY_BAD_VERSION;
    if (frame[0] == ONX_PROTOCOL_VERSION) {
        status = run_command(device, type, frame + ONX_FRAME_HEADER, size - ONX_FRAME_HEADER);
    }
    fill_header(reply, type, status, sequence);
    device->request_crc = crc;
    device->answered = true;
    send_frame(device, reply);
    if (type == ONX_CMD_RESET && status == ONX_REPLY_OK) {
        onx_board_reset();
    }
}

void onx_device_start(onx_device *device)
{
    memset(device, 0, sizeof *device);
    onx_model_reopen(device);
}

void onx_device_receive(onx_device *device, const uint8_t *data, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        switch (onx_decode(&device->decoder, data[i])) {
        case ONX_DECODED_NOTHING: break;
        case ONX_DECODED_FRAME:
            device->disturbed = false;
            answer(device, device->decoder.data, device->decoder.size);
            break;
        case ONX_DECODED_BAD:
            device->disturbed = true;
            send_event(device, ONX_EVENT_BAD_FRAME, ONX_REPLY_BAD_CRC, NULL, 0);
            break;
        case ONX_DECODED_TOO_LONG:
            device->disturbed = true;
            send_event(device, ONX_EVENT_BAD_FRAME, ONX_REPLY_FRAME_TOO_LONG, NULL, 0);
            break;
        }
    }
}

void onx_device_fault(onx_device *device, const uint32_t words[8])
{
    send_event(device, ONX_EVENT_FAULT, ONX_REPLY_OK, words, 8);
}
