/* -DCODE="...": runs CODE between two marks: writes to RESULT(0) and RESULT(1), with r0 = 0x20000100, r1 = r0, r2 =
 * 100. */
#include "chip.h"

int main(void)
{
    __asm volatile("cpsid i\n ldr r0, =0x20000100\n mov r1, r0\n movs r2, #100\n movs r3, #0\n vmov s0, r3\n vmov s1, "
                   "r3\n b 3f\n .ltorg\n"
                   " .align 2\n 3: " CODE "\n b 4f\n 4: nop\n" ::
                       : "r0", "r1", "r2", "r3", "r4", "r5", "r6", "r7", "s0", "s1", "cc", "memory");
    done();
}
