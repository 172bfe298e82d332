/* GPIO, RNG, TEMP, information pages, bytes of the NVIC, watch of unmodelled parts. RESULT(0..). */
#include "chip.h"

#define P0 0x50000000u
#define P1 0x50000300u

int main(void)
{
    REG(P0 + 0x508) = 1u << 24 | 1u << 6;
    REG(P0 + 0x518) = 1u << 24;
    REG(P0 + 0x50C) = 1u << 6;
    RESULT(0) = REG(P0 + 0x504);
    RESULT(1) = REG(P0 + 0x510) & (1u << 24 | 1u << 11); /* P0.11 is driven by the test */
    REG(P1 + 0x700 + 4 * 15) = 1;                        /* P1.15: output by PIN_CNF */
    RESULT(2) = REG(P1 + 0x514);
    REG(P1 + 0x51C) = 1u << 15;
    RESULT(3) = REG(P1 + 0x700 + 4 * 15);

    REG(0x4000D000) = 1;
    while (REG(0x4000D100) == 0) {
    }
    RESULT(4) = REG(0x4000D508);
    REG(0x4000C000) = 1;
    while (REG(0x4000C100) == 0) {
    }
    RESULT(5) = REG(0x4000C508);

    RESULT(6) = REG(0x10000010);
    RESULT(7) = REG(0x10000100);
    RESULT(8) = REG(0x10001200);
    *(volatile uint8_t *)0xE000E405u = 0xA5;
    RESULT(9) = SCS(0x404);
    RESULT(10) = SCS(0xD00);
    (void)REG(0x40002FF0u);
    REG(0x40001000) = 1; /* RADIO */
    (void)*(volatile uint8_t *)0x40002500u;
    done();
}
