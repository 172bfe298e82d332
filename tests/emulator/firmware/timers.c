/* RESULT(0): TIMER0 interrupts in 20 ms at 1 ms, (1): RTC1 compare after 100 ticks in microseconds, (2): SysTick
 * interrupts, (3): CYCCNT over a loop of 1000 x 3 cycles, (4): microseconds of TIMER1 while TIMER0 counted 20, (5):
 * CYCCNT while asleep. */
#include "chip.h"

static volatile uint32_t ticks, systicks, rtc;

static uint32_t microseconds(void)
{
    TIMER(1, 0x44) = 1;
    return TIMER(1, 0x544);
}

INTERRUPT void timer0(void)
{
    TIMER(0, 0x140) = 0;
    (void)TIMER(0, 0x140);
    ticks++;
}

INTERRUPT void rtc1(void)
{
    RTC1(0x140) = 0;
    (void)RTC1(0x140);
    rtc = 1;
}

INTERRUPT void systick(void) { systicks++; }

int main(void)
{
    ticks = systicks = rtc = 0;
    TIMER(1, 0x508) = 3;
    TIMER(1, 0x510) = 4;
    TIMER(1, 0x000) = 1;
    TIMER(0, 0x508) = 3;
    TIMER(0, 0x510) = 4;
    TIMER(0, 0x540) = 1000;
    TIMER(0, 0x200) = 1; /* COMPARE0 clears */
    TIMER(0, 0x304) = 1u << 16;
    SCS(0x100) = 1u << 8;
    SCS(0xDFC) = 1u << 24;
    DWT(4) = 0;
    DWT(0) |= 1;
    uint32_t start = microseconds();
    TIMER(0, 0x000) = 1;
    uint32_t slept = DWT(4);
    while (ticks < 20) {
        __asm volatile("wfi");
    }
    RESULT(5) = DWT(4) - slept;
    RESULT(4) = microseconds() - start;
    RESULT(0) = ticks;
    TIMER(0, 0x004) = 1;

    RTC1(0x004) = 1;
    RTC1(0x308) = 0xFFFFFFFF;
    RTC1(0x140) = 0;
    SCS(0x280) = 1u << 17;
    RTC1(0x008) = 1;
    RTC1(0x540) = 100;
    RTC1(0x304) = 1u << 16;
    SCS(0x100) = 1u << 17;
    start = microseconds();
    RTC1(0x000) = 1;
    while (rtc == 0) {
        __asm volatile("wfi");
    }
    RESULT(1) = microseconds() - start;

    SCS(0x014) = 6399;
    SCS(0x018) = 0;
    SCS(0x010) = 7;
    start = microseconds();
    while (microseconds() - start < 1050) {
    }
    SCS(0x010) = 0;
    RESULT(2) = systicks;

    uint32_t n = 1000;
    __asm volatile("cpsid i");
    uint32_t before = DWT(4);
    __asm volatile("isb\n 1: subs %0, #1\n bne 1b\n isb" : "+r"(n)::"cc");
    RESULT(3) = DWT(4) - before;
    done();
}
