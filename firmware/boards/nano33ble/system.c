/* Clocks (DWT cycles, TIMER0 microseconds), the RGB LED, the device's number, the arena. */
#include "board.h"
#include "nano33ble.h"
#include "nrf52840.h"
#include "protocol.h"

#define MICROSECOND_TIMER 0u

/* The RGB LED on port 0, on when low. */
#define LED_RED (1u << 24)
#define LED_GREEN (1u << 16)
#define LED_BLUE (1u << 6)

extern uint8_t onx_arena[];
extern const uint8_t onx_image_end[];

static uint32_t reset_reasons;

void onx_timers_start(void)
{
    SCB_DEMCR |= 1u << 24;
    DWT_CYCCNT = 0;
    DWT_CTRL |= 1u;
    TIMER_TASKS_STOP(MICROSECOND_TIMER) = 1;
    TIMER_SHORTS(MICROSECOND_TIMER) = 0;
    TIMER_INTENCLR(MICROSECOND_TIMER) = 0xFFFFFFFFu;
    TIMER_MODE(MICROSECOND_TIMER) = 0;
    TIMER_BITMODE(MICROSECOND_TIMER) = 3;
    TIMER_PRESCALER(MICROSECOND_TIMER) = 4;
    TIMER_TASKS_CLEAR(MICROSECOND_TIMER) = 1;
    TIMER_TASKS_START(MICROSECOND_TIMER) = 1;
}

uint32_t onx_board_cycles(void) { return DWT_CYCCNT; }

uint32_t onx_board_microseconds(void)
{
    TIMER_TASKS_CAPTURE0(MICROSECOND_TIMER) = 1;
    return TIMER_CC0(MICROSECOND_TIMER);
}

void onx_light_start(void)
{
    GPIO_OUTSET(0) = LED_RED | LED_GREEN | LED_BLUE;
    GPIO_DIRSET(0) = LED_RED | LED_GREEN | LED_BLUE;
}

void onx_board_light(enum onx_light light)
{
    static const uint32_t pins[] = { [ONX_LIGHT_OFF] = 0,
                                     [ONX_LIGHT_RUNNING] = LED_GREEN,
                                     [ONX_LIGHT_LOADING] = LED_BLUE,
                                     [ONX_LIGHT_FAULT] = LED_RED };
    GPIO_OUTSET(0) = LED_RED | LED_GREEN | LED_BLUE;
    GPIO_OUTCLR(0) = pins[light];
}

void onx_board_device_id(uint8_t id[8])
{
    const uint32_t words[2] = { FICR_DEVICEID0, FICR_DEVICEID1 };
    for (uint32_t i = 0; i < 8; i++) {
        id[i] = (uint8_t)(words[i / 4] >> (8 * (i % 4)));
    }
}

void *onx_board_arena(void) { return onx_arena; }

const uint8_t *onx_board_image(void) { return (const uint8_t *)(uintptr_t)ONX_BOARD_IMAGE_ADDRESS; }

uint32_t onx_board_image_size(void) { return (uint32_t)(uintptr_t)onx_image_end - ONX_BOARD_IMAGE_ADDRESS; }

void onx_reasons_start(void)
{
    reset_reasons = POWER_RESETREAS;
    POWER_RESETREAS = reset_reasons; /* else they add up over the resets */
}

uint32_t onx_board_reset_reasons(void) { return reset_reasons; }

/* The MBR of the later bootloader is at 0 and finds the bootloader through the UICR; the first one is at 0 itself. */
uint8_t onx_board_bootloader(void)
{
    if (UICR_NRFFW0 == 0xE0000u && onx_word_at(0xE0000u) >> 24 == 0x20u) {
        return ONX_BOOTLOADER_BL2;
    }
    if (UICR_NRFFW0 == 0xFFFFFFFFu && onx_word_at(0) >> 24 == 0x20u && onx_word_at(4) < ONX_BOARD_IMAGE_ADDRESS) {
        return ONX_BOOTLOADER_BL1;
    }
    return ONX_BOOTLOADER_UNKNOWN;
}
