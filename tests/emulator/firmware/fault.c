/* -DCODE="...": inline assembly that faults, after registers were set: r4 = 0x12345678. HardFault stores the stacked pc
 * and CFSR. */
#include "chip.h"

__attribute__((used)) void report(const uint32_t *frame)
{
    RESULT(0) = frame[6];
    RESULT(1) = SCS(0xD28);
    RESULT(2) = SCS(0xD38);
    done();
}

INTERRUPT __attribute__((naked)) void hard_fault(void) { __asm volatile("mov r0, sp\n bl report"); }

__attribute__((noinline)) void culprit(void)
{
    __asm volatile("ldr r4, =0x12345678\n"
#ifdef MPU_OFF
                   "ldr r0, =0xE000ED94\n movs r1, #0\n str r1, [r0]\n isb\n"
#endif
                   CODE "\n b 2f\n .ltorg\n 2:" ::
                       : "r0", "r1", "r2", "r3", "r4", "memory", "cc");
}

int main(void)
{
    culprit();
    RESULT(3) = 0x600D;
    done();
}
