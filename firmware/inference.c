/* One inference: input bytes in, a run with cycles and time, output bytes out, and what each operator cost. */
#include <string.h>

#include "device.h"

/* Payload: input index (u32), offset (u32), bytes. An input is written from its start on; writing its first byte begins
 * anew. */
uint8_t onx_input_write(onx_device *device, const uint8_t *payload, uint32_t size)
{
    if (device->model_status != ONX_OK) {
        return ONX_REPLY_NO_MODEL;
    }
    if (size <= 8) {
        return ONX_REPLY_BAD_PAYLOAD;
    }
    const uint32_t index = onx_load_u32(payload);
    const uint32_t offset = onx_load_u32(payload + 4);
    const uint32_t count = size - 8;
    if (index >= onx_model_input_count(&device->model)) {
        return ONX_REPLY_OUT_OF_RANGE;
    }
    const size_t input_size = onx_input_size(&device->model, index);
    if (offset > input_size || count > input_size - offset) {
        return ONX_REPLY_OUT_OF_RANGE;
    }
    if (offset != 0 && offset != device->written[index]) {
        onx_reply_u32(device, device->written[index]);
        return ONX_REPLY_OUT_OF_ORDER;
    }
    memcpy((uint8_t *)onx_input(&device->session, index) + offset, payload + 8, count);
    device->written[index] = offset + count;
    device->has_result = false;
    return ONX_REPLY_OK;
}

/* The cycle counter wraps after 67 s; the microseconds say how often it did. */
static uint64_t whole_cycles(uint32_t cycles, uint32_t microseconds)
{
    const uint64_t estimate = (uint64_t)microseconds * (ONX_BOARD_CLOCK_HZ / 1000000u);
    const uint64_t wraps = estimate > cycles ? (estimate - cycles + 0x80000000u) >> 32 : 0;
    return (wraps << 32) | cycles;
}

/* Answers cycles (u64), microseconds (u32), then the first output's bytes as far as they fit. */
uint8_t onx_infer(onx_device *device, uint32_t size)
{
    if (device->model_status != ONX_OK) {
        return ONX_REPLY_NO_MODEL;
    }
    if (size != 0) {
        return ONX_REPLY_BAD_PAYLOAD;
    }
    for (uint32_t i = 0; i < onx_model_input_count(&device->model); i++) {
        if (device->written[i] != onx_input_size(&device->model, i)) {
            onx_reply_u32(device, i);
            return ONX_REPLY_INPUT_INCOMPLETE;
        }
    }
    onx_board_light(ONX_LIGHT_RUNNING);
    const uint32_t time = onx_board_microseconds();
    const uint32_t start = onx_board_cycles();
    const onx_status status = onx_run(&device->session);
    const uint32_t cycles = onx_board_cycles() - start;
    const uint32_t microseconds = onx_board_microseconds() - time;
    onx_board_light(ONX_LIGHT_OFF);
    memset(device->written, 0, sizeof device->written); /* running overwrites the inputs */
    device->has_result = status == ONX_OK;
    if (status != ONX_OK) {
        return onx_reply_error(device, ONX_REPLY_RUN_FAILED, status);
    }
    const uint64_t whole = whole_cycles(cycles, microseconds);
    onx_reply_u32(device, (uint32_t)whole);
    onx_reply_u32(device, (uint32_t)(whole >> 32));
    onx_reply_u32(device, microseconds);
    const size_t output_size = onx_output_size(&device->model, 0);
    onx_reply_data(device, onx_output(&device->session, 0), output_size < 1024u ? output_size : 1024u);
    return ONX_REPLY_OK;
}

/* Payload: output index, offset, size (u32 each). */
uint8_t onx_output_read(onx_device *device, const uint8_t *payload, uint32_t size)
{
    if (!device->has_result) {
        return ONX_REPLY_NO_RESULT;
    }
    if (size != 12) {
        return ONX_REPLY_BAD_PAYLOAD;
    }
    const uint32_t index = onx_load_u32(payload);
    const uint32_t offset = onx_load_u32(payload + 4);
    const uint32_t count = onx_load_u32(payload + 8);
    const size_t output_size = onx_output_size(&device->model, index);
    if (offset > output_size || count > output_size - offset || count > ONX_MAX_PAYLOAD) {
        return ONX_REPLY_OUT_OF_RANGE;
    }
    onx_reply_data(device, (const uint8_t *)onx_output(&device->session, index) + offset, count);
    return ONX_REPLY_OK;
}

/* Payload: first operator (u32). Answers the number of operators, then cycles (u32 each) from the first one on.
   Devices are little endian, so the counters go out as they lie in memory. */
uint8_t onx_profile(onx_device *device, const uint8_t *payload, uint32_t size)
{
    if (!device->has_result) {
        return ONX_REPLY_NO_RESULT;
    }
    if (size != 4) {
        return ONX_REPLY_BAD_PAYLOAD;
    }
    const uint32_t first = onx_load_u32(payload);
    const uint32_t total = onx_model_operator_count(&device->model);
    const uint32_t kept = total < ONX_MAX_PROFILE ? total : ONX_MAX_PROFILE;
    if (first > kept) {
        return ONX_REPLY_OUT_OF_RANGE;
    }
    const uint32_t count = kept - first < 256u ? kept - first : 256u;
    onx_reply_u32(device, total);
    onx_reply_data(device, device->operator_cycles + first, 4 * count);
    return ONX_REPLY_OK;
}
