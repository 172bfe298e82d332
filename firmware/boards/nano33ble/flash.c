/* The model region of the flash through the NVMC. The CPU halts meanwhile (about 85 ms for a page): the host must be
 * waiting. */
#include "board.h"
#include "nrf52840.h"

#define NVMC_READ 0u
#define NVMC_WRITE 1u
#define NVMC_ERASE 2u

const uint8_t *onx_board_model(void) { return (const uint8_t *)(uintptr_t)ONX_BOARD_MODEL_ADDRESS; }

static void nvmc_mode(uint32_t mode)
{
    NVMC_CONFIG = mode;
    onx_data_barrier();
    while (NVMC_READY == 0) {
    }
}

bool onx_board_erase(uint32_t offset)
{
    if (offset % ONX_BOARD_PAGE_SIZE != 0 || offset >= ONX_BOARD_MODEL_SIZE) {
        return false;
    }
    nvmc_mode(NVMC_ERASE);
    NVMC_ERASEPAGE = ONX_BOARD_MODEL_ADDRESS + offset;
    onx_data_barrier();
    while (NVMC_READY == 0) {
    }
    nvmc_mode(NVMC_READ);
    const volatile uint32_t *page = (const volatile uint32_t *)(uintptr_t)(ONX_BOARD_MODEL_ADDRESS + offset);
    for (uint32_t i = 0; i < ONX_BOARD_PAGE_SIZE / 4; i++) {
        if (page[i] != 0xFFFFFFFFu) {
            return false;
        }
    }
    return true;
}

static uint32_t word_at(const uint8_t *data)
{
    return (uint32_t)data[0] | (uint32_t)data[1] << 8 | (uint32_t)data[2] << 16 | (uint32_t)data[3] << 24;
}

bool onx_board_program(uint32_t offset, const uint8_t *data, uint32_t size)
{
    if (offset % 4 != 0 || size % 4 != 0 || offset > ONX_BOARD_MODEL_SIZE || size > ONX_BOARD_MODEL_SIZE - offset) {
        return false;
    }
    volatile uint32_t *flash = (volatile uint32_t *)(uintptr_t)(ONX_BOARD_MODEL_ADDRESS + offset);
    nvmc_mode(NVMC_WRITE);
    for (uint32_t i = 0; i < size / 4; i++) {
        const uint32_t word = word_at(data + 4 * i);
        if (word != 0xFFFFFFFFu) {
            flash[i] = word;
            onx_data_barrier();
            while (NVMC_READY == 0) {
            }
        }
    }
    nvmc_mode(NVMC_READ);
    for (uint32_t i = 0; i < size / 4; i++) {
        if (flash[i] != word_at(data + 4 * i)) {
            return false;
        }
    }
    return true;
}
