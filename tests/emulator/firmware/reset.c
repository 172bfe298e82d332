/* Resets itself twice; what survives is in RAM (RESULT(8..)). -DWATCHDOG: the last reset is left to the watchdog. */
#include "chip.h"

int main(void)
{
    if (POWER(0x400) & 1) { /* power-on or pin */
        RESULT(8) = 0;
        RESULT(9) = POWER(0x51C);
    }
    uint32_t boots = ++RESULT(8);
    RESULT(9 + boots) = POWER(0x400) << 8 | POWER(0x51C);
    RESULT(16 + boots) = SCS(0xD08) | REG(0xE000ED94) << 24;
    POWER(0x400) = 0xFFFFFFFF;
    POWER(0x51C) = 0xA0 + boots;
#ifdef WATCHDOG
    if (boots == 1) {
        REG(0x40010504) = 327; /* 10 ms */
        REG(0x40010000) = 1;
    }
    RESULT(24 + boots) = REG(0x40010400);
#endif
    SCS(0x100) = 0xFFFF; /* gone after the reset */
    RESULT(20 + boots) = SCS(0x100);
    if (boots < 3) {
        SCS(0xD0C) = 0x05FA0004;
        for (;;) {
        }
    }
    done();
}
