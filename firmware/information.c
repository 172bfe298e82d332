/* What the device says of itself: hello, faults, counters, measurements, bytes and checksums of its flash. */
#include <string.h>

#include "device.h"
#include "version.h"

static void hello_ports(onx_device *device, onx_reply *reply)
{
    const onx_model *model = &device->model;
    for (uint32_t i = 0; i < onx_model_input_count(model); i++) {
        onx_reply_u32(reply, (uint32_t)onx_input_size(model, i));
    }
    for (uint32_t i = 0; i < onx_model_output_count(model); i++) {
        onx_reply_u32(reply, (uint32_t)onx_output_size(model, i));
    }
    /* The name is not bounded by the format: as much of it as fits. */
    const size_t length = strlen(onx_model_name(model));
    const size_t room = ONX_MAX_PAYLOAD - reply->field_count;
    onx_reply_data(reply, onx_model_name(model), length < room ? length : room);
}

uint8_t onx_hello(onx_device *device, onx_reply *reply)
{
    static const uint8_t version[4] = { ONX_FIRMWARE_MAJOR, ONX_FIRMWARE_MINOR, ONX_FIRMWARE_PATCH, 0 };
    onx_fault_record *fault = onx_board_fault_record();
    const bool valid = device->model_status == ONX_OK;
    const onx_model *model = &device->model;
    if (!device->safe) {
        onx_fault_end_row(fault);
    }
    if (device->image_crc == 0) {
        device->image_crc = onx_crc32(0, onx_board_image(), onx_board_image_size());
    }
    onx_reply_u32(reply, ONX_PROTOCOL_VERSION | ONX_BOARD_ID << 8 | (uint32_t)ONX_MAX_PAYLOAD << 16);
    memcpy(reply->fields + 4, version, 4);
    onx_board_device_id(reply->fields + 8);
    reply->field_count = 16;
    onx_reply_u32(reply, ONX_BOARD_CLOCK_HZ);
    onx_reply_u32(reply, ONX_BOARD_ARENA_SIZE);
    onx_reply_u32(reply, ONX_BOARD_MODEL_SIZE);
    onx_reply_u32(reply, ONX_BOARD_PAGE_SIZE);
    onx_reply_u32(reply, onx_board_stack_size());
    onx_reply_u32(reply, onx_board_stack_free());
    onx_reply_u32(reply, (uint32_t)device->model_status);
    onx_reply_u32(reply, valid ? model->size : 0);
    onx_reply_u32(reply, valid ? onx_load_u32(onx_board_model() + 16) : 0);
    onx_reply_u32(reply, valid ? onx_model_arena_size(model) : 0);
    onx_reply_u32(reply, valid ? onx_model_operator_count(model) : 0);
    onx_reply_u32(reply, valid ? onx_model_input_count(model) | onx_model_output_count(model) << 16 : 0);
    onx_reply_u32(reply, device->image_crc);
    onx_reply_u32(reply, onx_board_image_size());
    onx_reply_u32(reply, onx_board_reset_reasons());
    onx_reply_u32(reply, device->incoming.transport | (uint32_t)onx_board_bootloader() << 8
                             | (fault->waiting != 0 ? 1u : 0u) << 16);
    if (valid) {
        hello_ports(device, reply);
    }
    return ONX_REPLY_OK;
}

/* Payload: 1 to forget it (u8). Answers the number of faults, then 8 words. */
uint8_t onx_last_fault(onx_device *device, onx_reply *reply, const uint8_t *payload, uint32_t size)
{
    onx_fault_record *fault = onx_board_fault_record();
    if (size != 1) {
        return ONX_REPLY_BAD_PAYLOAD;
    }
    onx_reply_u32(reply, fault->count);
    for (uint32_t i = 0; i < 8 && fault->waiting != 0; i++) {
        onx_reply_u32(reply, fault->words[i]);
    }
    if (payload[0] != 0) {
        onx_fault_clear(fault);
        if (device->safe) {
            onx_model_reopen(device);
        }
    }
    return ONX_REPLY_OK;
}

uint8_t onx_statistics(onx_device *device, onx_reply *reply)
{
    const onx_line_counters lines = onx_board_line_counters();
    const uint64_t uptime = onx_device_uptime(device);
    onx_reply_u32(reply, device->frames);
    onx_reply_u32(reply, device->bad_frames);
    onx_reply_u32(reply, device->repeated);
    onx_reply_u32(reply, lines.uart_errors);
    onx_reply_u32(reply, lines.usb_resets);
    onx_reply_u32(reply, lines.usb_suspends);
    onx_reply_u32(reply, lines.usb_dropped);
    onx_reply_u32(reply, onx_board_fault_record()->count);
    onx_reply_u32(reply, (uint32_t)uptime);
    onx_reply_u32(reply, (uint32_t)(uptime >> 32));
    return ONX_REPLY_OK;
}

/* Payload: what, words (u32 each). Answers cycles, cache hits, cache misses. */
uint8_t onx_measure(onx_reply *reply, const uint8_t *payload, uint32_t size)
{
    if (size != 8) {
        return ONX_REPLY_BAD_PAYLOAD;
    }
    const uint32_t what = onx_load_u32(payload);
    const uint32_t words = onx_load_u32(payload + 4);
    if (what > ONX_MEASURE_RAM || words > ONX_MAX_MEASURE) {
        return ONX_REPLY_OUT_OF_RANGE;
    }
    const onx_measurement found = onx_board_measure(what, words);
    onx_reply_u32(reply, found.cycles);
    onx_reply_u32(reply, found.cache_hits);
    onx_reply_u32(reply, found.cache_misses);
    return ONX_REPLY_OK;
}

/* Payload: offset and size (u32 each) in the model or image region. Answers the bytes, or their CRC-32. */
uint8_t onx_flash_read(onx_reply *reply, const uint8_t *payload, uint32_t size, uint8_t command)
{
    const bool image = command == ONX_CMD_IMAGE_CRC;
    const uint8_t *region = image ? onx_board_image() : onx_board_model();
    const uint32_t region_size = image ? ONX_BOARD_IMAGE_SIZE : ONX_BOARD_MODEL_SIZE;
    if (size != 8) {
        return ONX_REPLY_BAD_PAYLOAD;
    }
    const uint32_t offset = onx_load_u32(payload);
    const uint32_t count = onx_load_u32(payload + 4);
    const uint32_t limit = command == ONX_CMD_MODEL_READ ? ONX_MAX_PAYLOAD : region_size;
    if (offset > region_size || count > region_size - offset || count > limit) {
        return ONX_REPLY_OUT_OF_RANGE;
    }
    if (command == ONX_CMD_MODEL_READ) {
        onx_reply_data(reply, region + offset, count);
    } else {
        onx_reply_u32(reply, onx_crc32(0, region + offset, count));
    }
    return ONX_REPLY_OK;
}
