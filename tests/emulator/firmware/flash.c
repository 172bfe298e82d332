/* Flash through the NVMC. Words read back go to RESULT(0..). */
#include "chip.h"

#define PAGE 0x80000u

static uint32_t microseconds(void)
{
    TIMER(0, 0x40) = 1;
    return TIMER(0, 0x540);
}

int main(void)
{
    TIMER(0, 0x508) = 3;
    TIMER(0, 0x510) = 4;
    TIMER(0, 0x000) = 1;
    NVMC(0x504) = 1;
    REG(PAGE) = 0xFFFF00FF;
    REG(PAGE) = 0x0FF0FFFF; /* ANDs */
    RESULT(0) = REG(PAGE);
    uint32_t start = microseconds();
    for (uint32_t i = 1; i < 11; i++) {
        REG(PAGE + 4 * i) = i;
        while (NVMC(0x400) == 0) {
        }
    }
    RESULT(1) = microseconds() - start;
    RESULT(2) = REG(PAGE + 40);
    /* a store in an IT block, condition true and false */
    __asm volatile("cmp %0, %0\n itt eq\n streq %1, [%2]\n streq %1, [%2, #4]\n it ne\n strne %1, [%2, #8]\n" ::"r"(1),
                   "r"(0x12345678), "r"(PAGE + 0x100)
                   : "cc", "memory");
    RESULT(3) = REG(PAGE + 0x100);
    RESULT(4) = REG(PAGE + 0x104);
    RESULT(5) = REG(PAGE + 0x108);
    NVMC(0x504) = 2;
    start = microseconds();
    NVMC(0x508) = PAGE + 0x40;
    RESULT(6) = microseconds() - start;
    RESULT(7) = REG(PAGE);
    RESULT(8) = REG(PAGE + 0x1000); /* the next page: as it was */
    NVMC(0x504) = 0;
    RESULT(9) = NVMC(0x540);
#ifdef WRONG
    WRONG;
#endif
    done();
}
