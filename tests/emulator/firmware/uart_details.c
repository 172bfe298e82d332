/* RESULT(0): AMOUNT before ENDRX (must be 0), (1): after STOPRX, (2): RXTO, (3): bytes by FLUSHRX, (4): ERRORSRC after
 * an overrun, (5): RXDRDY counted by TIMER1 through PPI, (6): AMOUNT of the send. Commands from the host: bytes; the
 * test paces. */
#include "chip.h"

static uint8_t buffer[32], rest[8];

static uint32_t counted(void)
{
    TIMER(1, 0x40) = 1;
    return TIMER(1, 0x540);
}

int main(void)
{
    uart_on();
    TIMER(1, 0x504) = 1;
    TIMER(1, 0x508) = 3;
    TIMER(1, 0x00C) = 1;
    TIMER(1, 0x000) = 1;
    REG(0x4001F510) = 0x40002000u + RXDRDY;
    REG(0x4001F514) = 0x40009000u + 0x08;
    REG(0x4001F504) = 1;
    UARTE(0x534) = (uint32_t)(uintptr_t)buffer;
    UARTE(0x538) = 32;
    UARTE(STARTRX) = 1;
    while (counted() < 5) {
    }
    RESULT(0) = UARTE(0x53C);
    UARTE(ENDRX) = 0;
    UARTE(STOPRX) = 1;
    while (UARTE(RXTO) == 0) {
    }
    RESULT(1) = UARTE(0x53C);
    RESULT(2) = UARTE(RXTO) | UARTE(ENDRX) << 1;
    /* one byte by DMA, then silence of the firmware while 20 more arrive */
    UARTE(0x538) = 1;
    UARTE(ENDRX) = 0;
    UARTE(ERROR) = 0;
    UARTE(STARTRX) = 1;
    while (UARTE(ENDRX) == 0) {
    }
    while (UARTE(ERROR) == 0) {
    }
    RESULT(4) = UARTE(0x480);
    UARTE(0x480) = 1;
    RESULT(4) |= UARTE(0x480) << 8;
    UARTE(0x534) = (uint32_t)(uintptr_t)rest;
    UARTE(0x538) = 8;
    UARTE(ENDRX) = 0;
    UARTE(FLUSHRX) = 1;
    while (UARTE(ENDRX) == 0) {
    }
    RESULT(3) = UARTE(0x53C);
    RESULT(5) = counted();
    uart_send(rest, 6);
    RESULT(6) = UARTE(0x54C);
    done();
}
