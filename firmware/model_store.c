/* The model in the flash: opening it, and replacing it so that an interruption never leaves a valid model behind. */
#include <string.h>

#include "device.h"

#define WRITE_OFFSET 4u /* bytes of LOAD_WRITE's payload before the data */

void onx_model_reopen(onx_device *device)
{
    onx_status status = onx_model_open(&device->model, onx_board_model(), ONX_BOARD_MODEL_SIZE);
    if (status == ONX_OK
        && (onx_model_input_count(&device->model) > ONX_MAX_PORTS
            || onx_model_output_count(&device->model) > ONX_MAX_PORTS)) {
        status = ONX_ERROR_PORT;
    }
    if (status == ONX_OK) {
        status = onx_session_open(&device->session, &device->model, onx_board_arena(), ONX_BOARD_ARENA_SIZE);
        device->session.hook = onx_inference_hook;
        device->session.user = device;
    }
    device->model_status = status;
    device->safe = false;
    onx_inference_open(device);
    onx_device_light(device);
}

/* Payload: the model's header. The model that was there is gone from here on. */
uint8_t onx_load_begin(onx_device *device, onx_reply *reply, const uint8_t *payload, uint32_t size)
{
    onx_loading *loading = &device->loading;
    if (size != ONX_MODEL_HEADER) {
        return ONX_REPLY_BAD_PAYLOAD;
    }
    const uint32_t model_size = onx_load_u32(payload + 12);
    if (model_size < ONX_MODEL_HEADER || model_size % 16 != 0) {
        return ONX_REPLY_BAD_PAYLOAD;
    }
    if (model_size > ONX_BOARD_MODEL_SIZE) {
        onx_reply_u32(reply, ONX_BOARD_MODEL_SIZE);
        return ONX_REPLY_MODEL_TOO_LARGE;
    }
    loading->active = false;
    const bool erased = onx_board_erase(0);
    onx_fault_end_row(onx_board_fault_record()); /* what broke off is gone */
    onx_model_reopen(device);                    /* finds none */
    if (!erased) {
        return ONX_REPLY_FLASH_FAILED;
    }
    memcpy(loading->header, payload, ONX_MODEL_HEADER);
    loading->size = model_size;
    loading->next = ONX_MODEL_HEADER;
    loading->active = true;
    onx_board_light(ONX_LIGHT_LOADING);
    return ONX_REPLY_OK;
}

/* Payload: offset (u32), then a multiple of 4 bytes. Pieces come in order; a page is erased when its first byte comes.
 */
uint8_t onx_load_write(onx_device *device, onx_reply *reply, const uint8_t *payload, uint32_t size)
{
    onx_loading *loading = &device->loading;
    if (!loading->active) {
        return ONX_REPLY_NOT_LOADING;
    }
    if (size <= WRITE_OFFSET || size % 4 != 0) {
        return ONX_REPLY_BAD_PAYLOAD;
    }
    const uint32_t offset = onx_load_u32(payload);
    uint32_t count = size - WRITE_OFFSET;
    if (offset != loading->next) {
        onx_reply_u32(reply, loading->next);
        return ONX_REPLY_OUT_OF_ORDER;
    }
    if (count > loading->size - offset) {
        return ONX_REPLY_OUT_OF_RANGE;
    }
    const uint8_t *data = payload + WRITE_OFFSET;
    while (count > 0) {
        const uint32_t in_page = loading->next % ONX_BOARD_PAGE_SIZE;
        const uint32_t space = ONX_BOARD_PAGE_SIZE - in_page;
        const uint32_t piece = count < space ? count : space;
        if ((in_page == 0 && !onx_board_erase(loading->next)) || !onx_board_program(loading->next, data, piece)) {
            loading->active = false; /* a word may be written twice only: begin again */
            onx_device_light(device);
            return ONX_REPLY_FLASH_FAILED;
        }
        loading->next += piece;
        data += piece;
        count -= piece;
    }
    return ONX_REPLY_OK;
}

static uint32_t loaded_crc(const onx_loading *loading)
{
    uint32_t crc = onx_crc32(0, loading->header, 16);
    crc = onx_crc32(crc, loading->header + 20, ONX_MODEL_HEADER - 20);
    return onx_crc32(crc, onx_board_model() + ONX_MODEL_HEADER, loading->size - ONX_MODEL_HEADER);
}

static uint8_t finish_load(onx_device *device, onx_reply *reply)
{
    onx_loading *loading = &device->loading;
    if (loading->next != loading->size) {
        onx_reply_u32(reply, loading->next);
        return ONX_REPLY_OUT_OF_ORDER;
    }
    loading->active = false;
    if (loaded_crc(loading) != onx_load_u32(loading->header + 16)) {
        return ONX_REPLY_CRC_MISMATCH;
    }
    if (!onx_board_program(4, loading->header + 4, ONX_MODEL_HEADER - 4) || !onx_board_program(0, loading->header, 4)) {
        onx_board_erase(0);
        return ONX_REPLY_FLASH_FAILED;
    }
    onx_model_reopen(device);
    if (device->model_status != ONX_OK) {
        const int32_t status = device->model_status;
        const uint32_t where = device->model.where;
        onx_board_erase(0);
        onx_model_reopen(device);
        device->model.where = where;
        return onx_reply_error(device, reply, ONX_REPLY_MODEL_REFUSED, status);
    }
    return ONX_REPLY_OK;
}

uint8_t onx_load_commit(onx_device *device, onx_reply *reply)
{
    if (!device->loading.active) {
        return ONX_REPLY_NOT_LOADING;
    }
    const uint8_t status = finish_load(device, reply);
    if (!device->loading.active) {
        onx_device_light(device);
    }
    return status;
}
