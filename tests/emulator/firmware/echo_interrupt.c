/* Echoes by interrupts, asleep in between; a float lives in an FPU register all the time. RESULT(0): wake-ups,
 * RESULT(1): float sum. */
#include "chip.h"

static uint8_t received, sent;
static volatile uint32_t bytes;

INTERRUPT void uarte0(void)
{
    if (UARTE(ENDRX) != 0) {
        UARTE(ENDRX) = 0;
        sent = received;
        volatile float squash = 1.0f; /* uses FPU registers, which the core must have saved */
        for (uint32_t i = 0; i < 4; i++) {
            squash = squash * 3.0f + (float)sent;
        }
        uart_send(&sent, 1);
        bytes++;
        UARTE(STARTRX) = 1;
    }
    __asm volatile("dsb");
}

int main(void)
{
    bytes = 0;
    RESULT(0) = 0;
    uart_on();
    UARTE(0x534) = (uint32_t)(uintptr_t)&received;
    UARTE(0x538) = 1;
    UARTE(0x304) = 1u << 4;
    SCS(0x100) = 1u << 2;
    UARTE(STARTRX) = 1;
    float sum = 0.0f;
    for (uint32_t n = 1;; n++) {
        __asm volatile("wfi");
        sum += 0.5f;
        union {
            float f;
            uint32_t u;
        } bits = { .f = sum };
        RESULT(0) = n;
        RESULT(1) = bits.u;
    }
}
