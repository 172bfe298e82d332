/* Requests and answers (docs/protocol.md): takes bytes, runs commands, answers repetitions without running them again.
 */
#include <string.h>

#include "device.h"

/* After so long without a byte, a frame that began on one line keeps nobody from the other. */
#define FRAME_MICROSECONDS 200000u

void onx_reply_clear(onx_reply *reply)
{
    reply->field_count = 0;
    reply->data = NULL;
    reply->data_size = 0;
}

void onx_reply_u32(onx_reply *reply, uint32_t value)
{
    onx_store_u32(reply->fields + reply->field_count, value);
    reply->field_count += 4;
}

void onx_reply_data(onx_reply *reply, const void *data, size_t size)
{
    reply->data = data;
    reply->data_size = (uint32_t)size;
}

uint8_t onx_reply_error(onx_device *device, onx_reply *reply, uint8_t reply_status, int32_t status)
{
    const char *text = onx_status_text((onx_status)status);
    onx_reply_u32(reply, (uint32_t)status);
    onx_reply_u32(reply, device->model.where);
    onx_reply_data(reply, text, strlen(text));
    return reply_status;
}

static void send_frame(onx_device *device, uint8_t transport, const onx_reply *reply)
{
    onx_encode_begin(&device->encoder, transport, onx_board_write);
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
    onx_reply_clear(&event);
    for (uint32_t i = 0; i < count; i++) {
        onx_reply_u32(&event, words[i]);
    }
    fill_header(&event, type, status, 0);
    send_frame(device, device->incoming.transport, &event);
}

/* What may run between the operators of an inference. */
static bool runs_meanwhile(uint8_t type)
{
    switch (type) {
    case ONX_CMD_HELLO:
    case ONX_CMD_ECHO:
    case ONX_CMD_RESET:
    case ONX_CMD_STATISTICS:
    case ONX_CMD_INPUT_WRITE: return true;
    default: return false;
    }
}

static uint8_t run_command(onx_device *device, onx_reply *reply, uint8_t type, const uint8_t *payload, uint32_t size)
{
    switch (type) {
    case ONX_CMD_HELLO: return size == 0 ? onx_hello(device, reply) : (uint8_t)ONX_REPLY_BAD_PAYLOAD;
    case ONX_CMD_ECHO: onx_reply_data(reply, payload, size); return ONX_REPLY_OK;
    case ONX_CMD_RESET: return size == 0 ? ONX_REPLY_OK : ONX_REPLY_BAD_PAYLOAD;
    case ONX_CMD_LAST_FAULT: return onx_last_fault(device, reply, payload, size);
    case ONX_CMD_STATISTICS: return size == 0 ? onx_statistics(device, reply) : (uint8_t)ONX_REPLY_BAD_PAYLOAD;
    case ONX_CMD_MEASURE: return onx_measure(reply, payload, size);
    case ONX_CMD_LOAD_BEGIN: return onx_load_begin(device, reply, payload, size);
    case ONX_CMD_LOAD_WRITE: return onx_load_write(device, reply, payload, size);
    case ONX_CMD_LOAD_COMMIT: return size == 0 ? onx_load_commit(device, reply) : (uint8_t)ONX_REPLY_BAD_PAYLOAD;
    case ONX_CMD_MODEL_READ:
    case ONX_CMD_MODEL_CRC:
    case ONX_CMD_IMAGE_CRC: return onx_flash_read(reply, payload, size, type);
    case ONX_CMD_INPUT_WRITE: return onx_input_write(device, reply, payload, size);
    case ONX_CMD_OUTPUT_READ: return onx_output_read(device, reply, payload, size);
    case ONX_CMD_PROFILE: return onx_operator_words(device, reply, payload, size, false);
    case ONX_CMD_HASHES: return onx_operator_words(device, reply, payload, size, true);
    case ONX_CMD_FRAME_BEGIN: return onx_frame_begin(device, reply, payload, size);
    case ONX_CMD_FRAME_WRITE: return onx_frame_write(device, reply, payload, size);
    case ONX_CMD_FRAME_CONVERT: return size == 0 ? onx_frame_convert(device, reply) : (uint8_t)ONX_REPLY_BAD_PAYLOAD;
    default: return ONX_REPLY_UNKNOWN_COMMAND;
    }
}

/* A request as it came. */
typedef struct {
    uint8_t type;
    uint8_t transport;
    uint16_t sequence;
    uint32_t crc;
    const uint8_t *payload;
    uint32_t size;
} onx_request;

/* An answer that is not kept for repetitions, and lets the kept ones be. */
static void send_status(onx_device *device, const onx_request *request, uint8_t status)
{
    onx_reply reply;
    onx_reply_clear(&reply);
    fill_header(&reply, request->type, status, request->sequence);
    send_frame(device, request->transport, &reply);
}

/* The answer to INFER is kept apart, for INPUT_WRITEs may be answered before and behind it. */
static void answer_infer(onx_device *device, const onx_request *request)
{
    onx_inference *inference = &device->inference;
    onx_reply *reply = &inference->reply;
    const bool again = inference->answered && request->crc == inference->request_crc;
    if (again && (inference->running || inference->reply_is_valid)) {
        device->repeated++;
        if (!inference->running) { /* else its answer comes when it has ended */
            send_frame(device, request->transport, reply);
        }
        return;
    }
    if (again || inference->running) {
        send_status(device, request, again ? ONX_REPLY_NO_RESULT : ONX_REPLY_BUSY);
        return;
    }
    inference->answered = true;
    inference->request_crc = request->crc;
    inference->reply_is_valid = false;
    onx_reply_clear(reply);
    const uint8_t status = onx_infer(device, reply, request->payload, request->size);
    fill_header(reply, ONX_CMD_INFER, status, request->sequence);
    inference->reply_is_valid = true;
    send_frame(device, request->transport, reply);
}

static bool was_written(const onx_inference *inference, uint32_t crc)
{
    const uint32_t kept = inference->history_count < ONX_MAX_HISTORY ? inference->history_count : ONX_MAX_HISTORY;
    for (uint32_t i = 0; i < kept; i++) {
        if (inference->history[i] == crc) {
            return true;
        }
    }
    return false;
}

/* Repetitions of INPUT_WRITE may come late, behind other pieces or after the inference that used them: they are known
   by a longer history, which holds more than a host may have under way. */
static uint8_t write_input_once(onx_device *device, onx_reply *reply, const onx_request *request)
{
    onx_inference *inference = &device->inference;
    if (was_written(inference, request->crc)) {
        device->repeated++;
        return ONX_REPLY_OK;
    }
    const uint8_t status = run_command(device, reply, request->type, request->payload, request->size);
    if (status == ONX_REPLY_OK) {
        inference->history[inference->history_count % ONX_MAX_HISTORY] = request->crc;
        inference->history_count++;
        if (inference->history_count == 2 * ONX_MAX_HISTORY) {
            inference->history_count = ONX_MAX_HISTORY;
        }
    }
    return status;
}

static void answer_other(onx_device *device, const onx_request *request, bool known_version)
{
    onx_reply *reply = &device->reply;
    if (known_version && device->inference.running && !runs_meanwhile(request->type)) {
        /* Also a late repetition: its answer may be bytes that the inference is changing. */
        send_status(device, request, ONX_REPLY_BUSY);
        return;
    }
    const bool repeatable = request->type != ONX_CMD_ECHO && request->type != ONX_CMD_INPUT_WRITE;
    if (device->answered && repeatable && request->crc == device->request_crc) {
        device->repeated++;
        send_frame(device, request->transport, reply); /* our answer was lost: the command has run already */
        return;
    }
    onx_reply_clear(reply);
    uint8_t status = ONX_REPLY_BAD_VERSION;
    if (known_version && request->type == ONX_CMD_INPUT_WRITE) {
        status = write_input_once(device, reply, request);
    } else if (known_version) {
        status = run_command(device, reply, request->type, request->payload, request->size);
    }
    fill_header(reply, request->type, status, request->sequence);
    device->request_crc = request->crc;
    device->answered = status != ONX_REPLY_BUSY; /* which is not for ever */
    send_frame(device, request->transport, reply);
    if (request->type == ONX_CMD_RESET && status == ONX_REPLY_OK) {
        onx_board_reset();
    }
}

/* frame: header and payload. */
static void answer(onx_device *device, const uint8_t *frame, uint32_t size)
{
    const onx_request request = {
        .type = frame[1],
        .transport = device->incoming.transport,
        .sequence = (uint16_t)(frame[4] | frame[5] << 8),
        .crc = onx_crc32(0, frame, size),
        .payload = frame + ONX_FRAME_HEADER,
        .size = size - ONX_FRAME_HEADER,
    };
    const bool known_version = frame[0] == ONX_PROTOCOL_VERSION;
    device->frames++;
    if (known_version && request.type == ONX_CMD_INFER) {
        answer_infer(device, &request);
    } else {
        answer_other(device, &request, known_version);
    }
}

void onx_device_light(const onx_device *device)
{
    if (device->safe) {
        onx_board_light(ONX_LIGHT_SAFE);
    } else {
        onx_board_light(device->model_status == ONX_OK ? ONX_LIGHT_READY : ONX_LIGHT_EMPTY);
    }
}

void onx_device_start(onx_device *device)
{
    memset(device, 0, sizeof *device);
    onx_fault_record *fault = onx_board_fault_record();
    onx_fault_open(fault);
    if (fault->row >= ONX_FAULTS_IN_A_ROW) {
        device->safe = true;
        device->model_status = ONX_MODEL_NOT_OPENED;
        onx_inference_open(device);
        onx_device_light(device);
    } else {
        onx_model_reopen(device);
    }
}

uint64_t onx_device_uptime(onx_device *device)
{
    const uint32_t now = onx_board_microseconds();
    device->uptime_high += now < device->uptime_low;
    device->uptime_low = now;
    return (uint64_t)device->uptime_high << 32 | now;
}

/* Reads from the line that a frame is under way on, else from either. USB goes first, and breaks into a frame on the
   UART: an unconnected pin can look like a frame without end. */
static bool read_lines(onx_device *device)
{
    onx_incoming *in = &device->incoming;
    const bool within = onx_decoder_is_within(&device->decoder);
    const uint32_t now = onx_board_microseconds();
    uint8_t transport = ONX_TRANSPORT_USB;
    size_t count = onx_board_read(transport, in->bytes, sizeof in->bytes);
    if (count == 0 && (!within || in->transport == ONX_TRANSPORT_UART || now - in->time >= FRAME_MICROSECONDS)) {
        transport = ONX_TRANSPORT_UART;
        count = onx_board_read(transport, in->bytes, sizeof in->bytes);
    }
    if (count == 0) {
        return false;
    }
    if (within && transport != in->transport) {
        onx_decoder_reset(&device->decoder);
    }
    in->transport = transport;
    in->time = now;
    in->at = 0;
    in->size = (uint8_t)count;
    return true;
}

static void take_byte(onx_device *device, uint8_t byte)
{
    const enum onx_decoded decoded = onx_decode(&device->decoder, byte);
    const bool uart = device->incoming.transport == ONX_TRANSPORT_UART;
    if (decoded == ONX_DECODED_FRAME) {
        device->disturbed = device->disturbed && !uart;
        answer(device, device->decoder.data, device->decoder.size);
    } else if (decoded != ONX_DECODED_NOTHING) {
        device->bad_frames++;
        device->disturbed = device->disturbed || uart;
        const bool too_long = decoded == ONX_DECODED_TOO_LONG;
        send_event(device, ONX_EVENT_BAD_FRAME, too_long ? ONX_REPLY_FRAME_TOO_LONG : ONX_REPLY_BAD_CRC, NULL, 0);
    }
}

/* May be called again from within, by an inference that a frame started: so each byte is taken off before it is used.
 */
bool onx_device_poll(onx_device *device)
{
    onx_incoming *in = &device->incoming;
    if (in->at == in->size && !read_lines(device)) {
        return false;
    }
    onx_device_uptime(device);
    while (in->at < in->size) {
        take_byte(device, in->bytes[in->at++]);
    }
    return true;
}

/* Over USB it would need the host's cooperation, which a broken program should not wait for. */
void onx_device_fault(onx_device *device, const uint32_t words[8])
{
    if (device->incoming.transport == ONX_TRANSPORT_UART) {
        send_event(device, ONX_EVENT_FAULT, ONX_REPLY_OK, words, 8);
    }
}
