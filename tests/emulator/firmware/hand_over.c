/* How the application finds the chip, written to RAM from 0x20000400 on; then an SVC while VTOR is as it was found. */
#include "chip.h"

#define FOUND(n) REG(0x20000400u + 4u * (n))

INTERRUPT void svc(void) { FOUND(15) += 1; }

int main(void)
{
    FOUND(0) = REG(0xE000ED08); /* VTOR */
    FOUND(1) = REG(0x20000000);
    FOUND(2) = REG(0xE000ED94); /* MPU_CTRL */
    REG(0xE000ED98) = 1;
    FOUND(3) = REG(0xE000EDA0); /* region 1: RAM */
    FOUND(4) = NVMC(0x540);
    FOUND(5) = NVMC(0x504);
    FOUND(6) = REG(0x50000804); /* P1.OUT */
    FOUND(7) = RTC1(0x304);
    FOUND(8) = UARTE(0x500);
    FOUND(9) = POWER(0x418);  /* LFCLKSTAT */
    FOUND(10) = POWER(0x40C); /* HFCLKSTAT */
    FOUND(11) = POWER(0x578);
    FOUND(12) = POWER(0x51C);
    FOUND(13) = POWER(0x400);
    FOUND(14) += 1; /* starts since the RAM was lost, plus what it held */
#ifndef NO_SVC
    __asm volatile("svc 0");
#endif
#ifdef TOUCH
    if (POWER(0x400) & 1) {
        POWER(0x400) = 0xFFFFFFFF;
        POWER(0x51C) = TOUCH;
        REG(0xE000ED0C) = 0x05FA0004;
        for (;;) {
        }
    }
#endif
    done();
}
