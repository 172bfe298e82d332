/* Uses the FPU without switching it on. */
#include "chip.h"

__attribute__((naked)) int main(void)
{
    __asm volatile("ldr r0, =0xE000ED88\n movs r1, #0\n str r1, [r0]\n dsb\n isb\n b 1f\n .ltorg\n 1: nop\n vmov s0, "
                   "r1\n 2: b 2b");
}
