/* -DCODE="...": runs CODE with r0 = r1 = 0x20000100, r2 = 100, r3 = 0, s0 = s1 = 0.0. */
#include "chip.h"

int main(void)
{
    __asm volatile("cpsid i\n ldr r0, =0x20000100\n mov r1, r0\n movs r2, #100\n movs r3, #0\n vmov s0, r3\n vmov s1, "
                   "r3\n b 3f\n .ltorg\n"
                   " .align 2\n 3: " CODE "\n b 4f\n 4: wfi\n b 4b\n" ::
                       : "r0", "r1", "r2", "r3", "r4", "r5", "r6", "r7", "s0", "s1", "cc", "memory");
    done();
}
