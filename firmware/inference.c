/* One inference: input bytes in, a run with cycles and time, output bytes out, and what each operator cost.
 *
 * Inputs wait behind the model's arena, where there is room, until INFER moves them in: so the next ones can come while
 * an inference runs, and its outputs stay until the next. */
#include <string.h>

#include "device.h"
#include "engine/kernel.h"

#define POLLS 64u /* of up to 64 bytes after an operator: noise without end must not keep us from the next one */

uint8_t *onx_inference_free(const onx_device *device, uint32_t *size)
{
    const uint32_t used = onx_round_up(onx_model_arena_size(&device->model));
    *size = used < ONX_BOARD_ARENA_SIZE ? ONX_BOARD_ARENA_SIZE - used : 0;
    return (uint8_t *)onx_board_arena() + used;
}

void onx_inference_open(onx_device *device)
{
    onx_inference *inference = &device->inference;
    memset(inference->written, 0, sizeof inference->written);
    inference->has_result = false;
    inference->has_hashes = false;
    inference->reply_is_valid = false;
    inference->in_place = false;
    inference->staging = NULL;
    onx_frame_forget(device);
    if (device->model_status != ONX_OK) {
        return;
    }
    uint32_t room;
    uint8_t *behind = onx_inference_free(device, &room);
    uint32_t needed = 0;
    for (uint32_t i = 0; i < onx_model_input_count(&device->model); i++) {
        needed += onx_round_up((uint32_t)onx_input_size(&device->model, i)); /* each lies in the arena: no overflow */
    }
    if (needed <= room) {
        inference->staging = behind;
    }
}

void onx_inference_drop_staged(onx_device *device)
{
    onx_inference *inference = &device->inference;
    if (inference->staging != NULL && !inference->in_place) {
        memset(inference->written, 0, sizeof inference->written);
    }
}

void onx_inference_made_in_place(onx_device *device)
{
    onx_inference *inference = &device->inference;
    inference->in_place = true;
    inference->written[0] = (uint32_t)onx_input_size(&device->model, 0);
    inference->has_result = false;
    inference->has_hashes = false;
    inference->reply_is_valid = false;
}

/* Where the bytes of an input are to be written, or lie. */
static uint8_t *input_bytes(const onx_device *device, uint32_t index)
{
    const onx_inference *inference = &device->inference;
    if (inference->staging == NULL || inference->in_place) {
        return onx_input(&device->session, index);
    }
    uint8_t *where = inference->staging;
    for (uint32_t i = 0; i < index; i++) {
        where += onx_round_up((uint32_t)onx_input_size(&device->model, i));
    }
    return where;
}

/* Payload: input index (u32), offset (u32), bytes. An input is written from its start on; writing its first byte begins
 * anew. */
uint8_t onx_input_write(onx_device *device, onx_reply *reply, const uint8_t *payload, uint32_t size)
{
    onx_inference *inference = &device->inference;
    if (device->model_status != ONX_OK) {
        return ONX_REPLY_NO_MODEL;
    }
    if (size <= 8) {
        return ONX_REPLY_BAD_PAYLOAD;
    }
    if (inference->running && inference->staging == NULL) {
        return ONX_REPLY_BUSY;
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
    if (offset != 0 && offset != inference->written[index]) {
        onx_reply_u32(reply, inference->written[index]);
        return ONX_REPLY_OUT_OF_ORDER;
    }
    inference->in_place = false;
    if (inference->staging != NULL) {
        onx_frame_forget(device); /* it lay there */
    }
    memcpy(input_bytes(device, index) + offset, payload + 8, count);
    inference->written[index] = offset + count;
    if (inference->staging == NULL) {
        inference->has_result = false;
        inference->reply_is_valid = false;
    }
    return ONX_REPLY_OK;
}

/* The cycle counter wraps after 67 s; the microseconds say how often it did. */
static uint64_t whole_cycles(uint32_t cycles, uint32_t microseconds)
{
    const uint64_t estimate = (uint64_t)microseconds * (ONX_BOARD_CLOCK_HZ / 1000000u);
    const uint64_t wraps = estimate > cycles ? (estimate - cycles + 0x80000000u) >> 32 : 0;
    return (wraps << 32) | cycles;
}

static uint32_t output_hash(const onx_session *session, uint32_t index)
{
    const onx_call call = onx_call_of(session->model, session->arena, index);
    const onx_tensor output = onx_output_of(&call, 0);
    return onx_crc32(0, output.data, (size_t)output.count * onx_element_size(output.type));
}

/* Around each operator. After it, there is time for the line; that time is not the inference's. */
void onx_inference_hook(void *user, const onx_session *session, uint32_t index, int after)
{
    onx_device *device = user;
    onx_inference *inference = &device->inference;
    const uint32_t now = onx_board_cycles();
    if (after == 0) {
        inference->operator_start = now;
        return;
    }
    if (index < ONX_MAX_PROFILE) {
        inference->operator_cycles[index] = now - inference->operator_start;
        if (inference->keep_hashes) {
            inference->operator_hashes[index] = output_hash(session, index);
        }
    }
    for (uint32_t i = 0; i < POLLS && onx_device_poll(device); i++) {
    }
    inference->outside_cycles += onx_board_cycles() - now;
}

/* Answers cycles (u64), microseconds (u32), then the first output's bytes as far as they fit. */
static uint8_t run(onx_device *device, onx_reply *reply)
{
    onx_inference *inference = &device->inference;
    onx_board_light(ONX_LIGHT_RUNNING);
    inference->running = true;
    inference->outside_cycles = 0;
    const uint32_t time = onx_board_microseconds();
    const uint32_t start = onx_board_cycles();
    const onx_status status = onx_run(&device->session);
    const uint32_t elapsed_cycles = onx_board_cycles() - start;
    const uint32_t elapsed = onx_board_microseconds() - time;
    inference->running = false;
    onx_device_light(device);
    if (status != ONX_OK) {
        return onx_reply_error(device, reply, ONX_REPLY_RUN_FAILED, status);
    }
    inference->has_result = true;
    inference->has_hashes = inference->keep_hashes;
    const uint64_t cycles = whole_cycles(elapsed_cycles, elapsed) - inference->outside_cycles;
    onx_reply_u32(reply, (uint32_t)cycles);
    onx_reply_u32(reply, (uint32_t)(cycles >> 32));
    onx_reply_u32(reply, elapsed - (uint32_t)(inference->outside_cycles / (ONX_BOARD_CLOCK_HZ / 1000000u)));
    const size_t output_size = onx_output_size(&device->model, 0);
    onx_reply_data(reply, onx_output(&device->session, 0), output_size < 1024u ? output_size : 1024u);
    return ONX_REPLY_OK;
}

/* The inputs are used up by this, whether or not they are what the host meant. */
static uint8_t take_inputs(onx_device *device, onx_reply *reply, const uint32_t *expected)
{
    onx_inference *inference = &device->inference;
    uint32_t crc = 0;
    for (uint32_t i = 0; i < onx_model_input_count(&device->model); i++) {
        crc = expected == NULL ? 0 : onx_crc32(crc, input_bytes(device, i), onx_input_size(&device->model, i));
    }
    memset(inference->written, 0, sizeof inference->written);
    inference->has_result = false;
    inference->has_hashes = false;
    if (expected != NULL && crc != *expected) {
        onx_reply_u32(reply, crc);
        return ONX_REPLY_INPUT_DIFFERS;
    }
    for (uint32_t i = 0; i < onx_model_input_count(&device->model); i++) {
        uint8_t *where = onx_input(&device->session, i);
        const uint8_t *from = input_bytes(device, i);
        if (from != where) {
            memcpy(where, from, onx_input_size(&device->model, i));
        }
    }
    inference->in_place = false;
    return ONX_REPLY_OK;
}

/* Payload: nothing; flags (u8); or flags (u8), three zeros, CRC-32 of the inputs (u32). */
uint8_t onx_infer(onx_device *device, onx_reply *reply, const uint8_t *payload, uint32_t size)
{
    onx_inference *inference = &device->inference;
    if (device->model_status != ONX_OK) {
        return ONX_REPLY_NO_MODEL;
    }
    const uint8_t flags = size > 0 ? payload[0] : 0;
    const bool check = (flags & ONX_INFER_CHECK) != 0;
    if ((check ? size != 8 : size > 1) || (flags & ~(ONX_INFER_HASHES | ONX_INFER_CHECK)) != 0) {
        return ONX_REPLY_BAD_PAYLOAD;
    }
    for (uint32_t i = 0; i < onx_model_input_count(&device->model); i++) {
        if (inference->written[i] != onx_input_size(&device->model, i)) {
            onx_reply_u32(reply, i);
            return ONX_REPLY_INPUT_INCOMPLETE;
        }
    }
    const uint32_t expected = check ? onx_load_u32(payload + 4) : 0;
    const uint8_t status = take_inputs(device, reply, check ? &expected : NULL);
    if (status != ONX_REPLY_OK) {
        return status;
    }
    inference->keep_hashes = (flags & ONX_INFER_HASHES) != 0;
    return run(device, reply);
}

/* Payload: output index, offset, size (u32 each). */
uint8_t onx_output_read(onx_device *device, onx_reply *reply, const uint8_t *payload, uint32_t size)
{
    if (!device->inference.has_result) {
        return ONX_REPLY_NO_RESULT;
    }
    if (size != 12) {
        return ONX_REPLY_BAD_PAYLOAD;
    }
    const uint32_t index = onx_load_u32(payload);
    const uint32_t offset = onx_load_u32(payload + 4);
    const uint32_t count = onx_load_u32(payload + 8);
    if (index >= onx_model_output_count(&device->model)) {
        return ONX_REPLY_OUT_OF_RANGE;
    }
    const size_t output_size = onx_output_size(&device->model, index);
    if (offset > output_size || count > output_size - offset || count > ONX_MAX_PAYLOAD) {
        return ONX_REPLY_OUT_OF_RANGE;
    }
    onx_reply_data(reply, (const uint8_t *)onx_output(&device->session, index) + offset, count);
    return ONX_REPLY_OK;
}

/* Payload: first operator (u32). Answers the number of operators, then cycles or hashes (u32 each) from the first one
   on. Devices are little endian, so the words go out as they lie in memory. */
uint8_t onx_operator_words(onx_device *device, onx_reply *reply, const uint8_t *payload, uint32_t size, bool hashes)
{
    const onx_inference *inference = &device->inference;
    if (!(hashes ? inference->has_hashes : inference->has_result)) {
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
    onx_reply_u32(reply, total);
    onx_reply_data(reply, (hashes ? inference->operator_hashes : inference->operator_cycles) + first, 4 * count);
    return ONX_REPLY_OK;
}
