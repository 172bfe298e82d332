/* Priorities, nesting, tail chaining, process stack. RESULT(0..) is a log of events, RESULT(31) their number. */
#include "chip.h"

static volatile uint32_t count;
static uint32_t process_stack[64] __attribute__((aligned(8)));

static void note(uint32_t what)
{
    RESULT(count) = what;
    count = count + 1;
    RESULT(31) = count;
}

INTERRUPT void timer0(void)
{ /* low priority: raises a higher and an equal one */
    note(0x10);
    SCS(0x200) = 1u << 11; /* RTC0: more urgent, nests now */
    __asm volatile("dsb\n isb");
    note(0x11);
    SCS(0x200) = 1u << 9; /* TIMER1: equal, follows */
    __asm volatile("dsb\n isb");
    note(0x12);
}

INTERRUPT void timer1(void) { note(0x20); }

INTERRUPT void rtc0(void) { note(0x30); }

INTERRUPT void pendsv(void) { note(0x40); }

__attribute__((used)) void svc_body(uint32_t *frame)
{
    note(0x50 | (((const uint8_t *)(uintptr_t)frame[6])[-2] & 15));
    frame[0] = 0x77;
}

INTERRUPT __attribute__((naked)) void svc(void)
{
    __asm volatile("tst lr, #4\n ite eq\n mrseq r0, msp\n mrsne r0, psp\n push {r4, lr}\n bl svc_body\n pop {r4, pc}");
}

int main(void)
{
    count = 0;
    SCS(0x400 + 8) = 0x80808080; /* irq 8: TIMER0 0x80, 9: TIMER1 0x80, 11: RTC0 */
    *(volatile uint8_t *)(0xE000E400u + 11) = 0x20;
    SCS(0xD20) = 0xE0u << 16; /* PendSV last */
    SCS(0x100) = 1u << 8 | 1u << 9 | 1u << 11;
    note(1);
    SCS(0xD04) = 1u << 28; /* PendSV */
    __asm volatile("dsb\n isb");
    note(2);
    __asm volatile("cpsid i" ::: "memory");
    SCS(0x200) = 1u << 8;
    SCS(0xD04) = 1u << 28;
    note(3);
    __asm volatile("cpsie i\n isb" ::: "memory");
    note(4);
    /* BASEPRI holds back what is not more urgent than 0x40 */
    __asm volatile("msr basepri, %0" ::"r"(0x40) : "memory");
    SCS(0x200) = 1u << 9;
    SCS(0x200) = 1u << 11;
    __asm volatile("dsb\n isb");
    note(5);
    __asm volatile("msr basepri, %0\n isb" ::"r"(0) : "memory");
    note(6);
    register uint32_t r0 __asm("r0") = 0;
    __asm volatile("svc #5" : "+r"(r0)::"memory");
    note(r0);
    /* thread mode on the process stack */
    __asm volatile("msr psp, %0\n msr control, %1\n isb" ::"r"(&process_stack[64]), "r"(2) : "memory");
    r0 = 0;
    __asm volatile("svc #6" : "+r"(r0)::"memory");
    uint32_t control, psp;
    __asm volatile("mrs %0, control\n mrs %1, psp" : "=r"(control), "=r"(psp));
    __asm volatile("msr control, %0\n isb" ::"r"(0) : "memory");
    note(r0);
    note(control & 2);
    note(psp == (uint32_t)(uintptr_t)&process_stack[64]);
    done();
}
