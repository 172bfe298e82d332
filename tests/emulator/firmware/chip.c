/* Vectors up to interrupt 20 and start-up; programs define the handlers that they use. */
#include <stdint.h>

int main(void);
void start(void);

#define WEAK __attribute__((weak, alias("unexpected")))
__attribute__((used)) void unexpected(void)
{
    for (;;) {
        __asm volatile("bkpt 1");
    }
}
void nmi(void) WEAK;
void hard_fault(void) WEAK;
void svc(void) WEAK;
void pendsv(void) WEAK;
void systick(void) WEAK;
void uarte0(void) WEAK;
void timer0(void) WEAK;
void timer1(void) WEAK;
void rtc0(void) WEAK;
void rtc1(void) WEAK;

__attribute__((section(".vectors"), used)) void (*const vectors[16 + 21])(void) = {
    (void (*)(void))0x20040000u,
    start,
    nmi,
    hard_fault,
    unexpected,
    unexpected,
    unexpected,
    unexpected,
    unexpected,
    unexpected,
    unexpected,
    svc,
    unexpected,
    unexpected,
    pendsv,
    systick,
    unexpected,
    unexpected,
    uarte0,
    unexpected,
    unexpected,
    unexpected,
    unexpected,
    unexpected,
    timer0,
    timer1,
    unexpected,
    rtc0,
    unexpected,
    unexpected,
    unexpected,
    unexpected,
    unexpected,
    rtc1,
    unexpected,
    unexpected,
    unexpected,
};

#ifndef NO_FPU
#define FPU_ON "ldr r0, =0xE000ED88\n ldr r1, [r0]\n orr r1, r1, #0xF00000\n str r1, [r0]\n dsb\n isb\n"
#else
#define FPU_ON ""
#endif

__attribute__((naked, used)) void start(void)
{
    __asm volatile("cpsid i\n" FPU_ON "cpsie i\n bl main\n 1: b 1b\n .ltorg\n");
}
