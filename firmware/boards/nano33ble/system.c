/* Clocks (DWT cycles, TIMER0 microseconds), the RGB LED, the device's number, the arena. */
#include "board.h"
#include "fault.h"
#include "nano33ble.h"
#include "nrf52840.h"
#include "protocol.h"

#define MICROSECOND_TIMER 0u

/* The RGB LED on port 0, on when low; the orange one beside USB and the green power LED are on when high. */
#define LED_RED (1u << 24)
#define LED_GREEN (1u << 16)
#define LED_BLUE (1u << 6)
#define LED_ORANGE (1u << 13)
#define LED_POWER (1u << 9) /* port 1 */

extern uint8_t onx_arena[];
extern const uint8_t onx_image_end[];

/* At the end of RAM, where neither bootloader comes. */
static onx_fault_record fault_record __attribute__((section(".noinit")));

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

static struct {
    uint8_t light;
    bool asleep, attached;
} led;

static void show(void)
{
    static const uint32_t pins[] = { [ONX_LIGHT_READY] = 0,           [ONX_LIGHT_EMPTY] = LED_RED | LED_BLUE,
                                     [ONX_LIGHT_RUNNING] = LED_GREEN, [ONX_LIGHT_LOADING] = LED_BLUE,
                                     [ONX_LIGHT_FAULT] = LED_RED,     [ONX_LIGHT_SAFE] = LED_RED | LED_GREEN };
    const uint32_t on = led.asleep ? 0 : pins[led.light];
    const uint32_t orange = led.attached && !led.asleep ? LED_ORANGE : 0;
    GPIO_OUTSET(0) = ((LED_RED | LED_GREEN | LED_BLUE) & ~on) | orange;
    GPIO_OUTCLR(0) = on | (LED_ORANGE & ~orange);
}

void onx_light_start(void)
{
    GPIO_OUTSET(0) = LED_RED | LED_GREEN | LED_BLUE;
    GPIO_OUTCLR(0) = LED_ORANGE;
    GPIO_DIRSET(0) = LED_RED | LED_GREEN | LED_BLUE | LED_ORANGE;
    GPIO_OUTSET(1) = LED_POWER;
    GPIO_DIRSET(1) = LED_POWER;
}

void onx_board_light(enum onx_light light)
{
    led.light = (uint8_t)light;
    show();
}

/* A suspended device may take 2.5 mA only. */
void onx_light_sleep(bool asleep)
{
    led.asleep = asleep;
    show();
    if (asleep) {
        GPIO_OUTCLR(1) = LED_POWER;
    } else {
        GPIO_OUTSET(1) = LED_POWER;
    }
}

void onx_light_attached(bool attached)
{
    led.attached = attached;
    show();
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

onx_fault_record *onx_board_fault_record(void) { return &fault_record; }

static void read_words(const volatile uint32_t *from, uint32_t words)
{
    for (; words >= 8; words -= 8, from += 8) {
        (void)from[0], (void)from[1], (void)from[2], (void)from[3];
        (void)from[4], (void)from[5], (void)from[6], (void)from[7];
    }
    for (; words > 0; words--) {
        (void)*from++;
    }
}

onx_measurement onx_board_measure(uint32_t what, uint32_t words)
{
    const void *from = what == ONX_MEASURE_FLASH ? (const void *)onx_board_model() : onx_arena;
    NVMC_ICACHECNF = 1u | 1u << 8; /* count */
    NVMC_IHIT = 0;
    NVMC_IMISS = 0;
    const uint32_t start = onx_board_cycles();
    read_words(from, words);
    const onx_measurement found = { onx_board_cycles() - start, NVMC_IHIT, NVMC_IMISS };
    NVMC_ICACHECNF = 1;
    return found;
}
