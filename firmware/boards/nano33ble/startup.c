/* Vectors, reset and fault handlers of the nRF52840: from the bootloader's state to onx_main(). */
#include "board.h"
#include "fault.h"
#include "nano33ble.h"
#include "nrf52840.h"

extern uint32_t onx_stack_bottom[], onx_stack_top[];
extern uint32_t onx_data_start[], onx_data_end[], onx_data_load[];
extern uint32_t onx_bss_start[], onx_bss_end[];

void onx_reset_handler(void);
void onx_fault_handler(void);
void onx_start(void);
void onx_fault(const uint32_t *frame);

#define RESET_BY_LOCKUP 8u /* in RESETREAS: a fault within the fault handler */
#define ONX_STACK_PAINT 0xA5A5A5A5u

typedef void (*onx_vector)(void);

/* Interrupts stay masked for good (everything is polled), so that any exception is a fault. Initial stack pointer,
   reset, 14 system exceptions, 48 interrupts. */
#define ONX_FAULTS_4 onx_fault_handler, onx_fault_handler, onx_fault_handler, onx_fault_handler
#define ONX_FAULTS_16 ONX_FAULTS_4, ONX_FAULTS_4, ONX_FAULTS_4, ONX_FAULTS_4
const struct {
    uint32_t *stack;
    onx_vector handlers[63];
} onx_vectors __attribute__((section(".isr_vector"), used)) = {
    onx_stack_top,
    { onx_reset_handler, onx_fault_handler, onx_fault_handler, ONX_FAULTS_4, ONX_FAULTS_4, ONX_FAULTS_4, ONX_FAULTS_16,
      ONX_FAULTS_16, ONX_FAULTS_16 },
};

/* Behind the vectors: by this the image is known, and whether it is whole. Building fills in size and CRC-32. */
const struct {
    uint8_t magic[4];
    uint32_t format;
    uint32_t size;
    uint32_t crc; /* CRC-32 of the image without this field */
} onx_mark __attribute__((section(".onx_mark"), used)) = { { 'O', 'N', 'X', 'F' }, 1, 0, 0 };

/* The bootloader may leave VTOR = 0 (its own table), the MPU on with RAM execute-never, and the FPU in any state. */
__attribute__((naked, noreturn, used)) void onx_reset_handler(void)
{
    __asm volatile("cpsid i\n"
                   "ldr r0, =0xE000ED08\n" /* SCB.VTOR */
                   "ldr r1, =onx_vectors\n"
                   "str r1, [r0]\n"
                   "movs r1, #0\n"
                   "ldr r0, =0xE000ED94\n" /* MPU.CTRL */
                   "str r1, [r0]\n"
                   "msr control, r1\n"
                   "msr basepri, r1\n"
                   "ldr r0, =onx_stack_top\n"
                   "msr msp, r0\n"
                   "ldr r0, =0xE000ED88\n" /* CPACR: full access to the FPU */
                   "ldr r2, [r0]\n"
                   "orr r2, r2, #0xF00000\n"
                   "str r2, [r0]\n"
                   "dsb\n"
                   "isb\n"
                   "vmsr fpscr, r1\n" /* round to nearest even, subnormals kept, as the reference computes */
                   "b onx_start\n"
                   ".ltorg\n");
}

/* The stack may be the reason for the fault: with less than 512 bytes left, report from its top. */
__attribute__((naked, noreturn, used)) void onx_fault_handler(void)
{
    __asm volatile("cpsid i\n"
                   "mrs r0, msp\n"
                   "ldr r1, =onx_stack_bottom + 512\n"
                   "cmp r0, r1\n"
                   "bhs 1f\n"
                   "ldr r1, =onx_stack_top\n"
                   "msr msp, r1\n"
                   "1: b onx_fault\n"
                   ".ltorg\n");
}

static _Noreturn void restart(void)
{
    onx_data_barrier();
    SCB_AIRCR = 0x05FA0004u;
    onx_data_barrier();
    for (;;) {
    }
}

/* frame: r0, r1, r2, r3, r12, lr, pc, psr as the core stacked them. */
__attribute__((noreturn, used)) void onx_fault(const uint32_t *frame)
{
    uint32_t exception;
    __asm volatile("mrs %0, ipsr" : "=r"(exception));
    const bool readable = frame >= onx_stack_bottom && frame + 8 <= onx_stack_top;
    const uint32_t words[8] = {
        exception,
        readable ? frame[6] : 0u,
        readable ? frame[5] : 0u,
        readable ? frame[7] : 0u,
        SCB_CFSR,
        SCB_HFSR,
        SCB_MMFAR,
        SCB_BFAR,
    };
    onx_board_light(ONX_LIGHT_FAULT);
    onx_fault_report(words);
    for (uint32_t i = 0; i < ONX_BOARD_CLOCK_HZ / 8; i++) { /* about half a second of red light */
        __asm volatile("nop");
    }
    restart();
}

/* What Zephyr's bootloader leaves running: RTC1 with its interrupt, UARTE0, the PWMs of the LED. */
static void silence_bootloader(void)
{
    SYSTICK_CTRL = 0;
    for (uint32_t i = 0; i < 2; i++) {
        NVIC_ICER(i) = 0xFFFFFFFFu;
        NVIC_ICPR(i) = 0xFFFFFFFFu;
    }
    RTC1_INTENCLR = 0xFFFFFFFFu;
    RTC1_EVTENCLR = 0xFFFFFFFFu;
    RTC1_TASKS_STOP = 1;
    RTC1_EVENTS_COMPARE0 = 0;
    static const uint32_t pwm[3] = { PWM0_BASE, PWM1_BASE, PWM2_BASE };
    for (uint32_t i = 0; i < 3; i++) {
        PWM_INTENCLR(pwm[i]) = 0xFFFFFFFFu;
        PWM_TASKS_STOP(pwm[i]) = 1;
        PWM_ENABLE(pwm[i]) = 0;
    }
    UARTE0_INTENCLR = 0xFFFFFFFFu;
    UARTE0_TASKS_STOPRX = 1;
    UARTE0_TASKS_STOPTX = 1;
    UARTE0_ENABLE = 0;
}

static void start_clocks(void)
{
    CLOCK_EVENTS_DONE = 0; /* erratum 36: these are not reset */
    CLOCK_EVENTS_CTTO = 0;
    CLOCK_CTIV = 0;
    CLOCK_TRACECONFIG = 0; /* P1.00 is the sensors' pull-up, not SWO */
    NVMC_ICACHECNF = 1;
    CLOCK_EVENTS_HFCLKSTARTED = 0; /* the UARTE's baud rate needs the crystal */
    CLOCK_TASKS_HFCLKSTART = 1;
    while (CLOCK_EVENTS_HFCLKSTARTED == 0) {
    }
}

void onx_start(void)
{
    for (uint32_t *paint = onx_stack_bottom; paint < (uint32_t *)__builtin_frame_address(0) - 64; paint++) {
        *(volatile uint32_t *)paint = ONX_STACK_PAINT;
    }
    const uint32_t *load = onx_data_load;
    for (volatile uint32_t *word = onx_data_start; word < onx_data_end; word++) {
        *word = *load++;
    }
    for (volatile uint32_t *word = onx_bss_start; word < onx_bss_end; word++) {
        *word = 0;
    }
    FPU_FPDSCR = 0;
    FPU_FPCCR &= ~(1u << 30); /* erratum 776924 of the core: no lazy stacking */
    silence_bootloader();
    onx_reasons_start();
    start_clocks();
    onx_timers_start();
    onx_light_start();
    onx_uart_start();
    onx_usb_port_start();
    if ((onx_board_reset_reasons() & RESET_BY_LOCKUP) != 0) {
        static const uint32_t nothing_known[8] = { 0 };
        onx_fault_note(onx_board_fault_record(), nothing_known);
    }
    onx_main();
    onx_board_reset();
}

uint32_t onx_board_stack_size(void)
{
    return (uint32_t)((const uint8_t *)onx_stack_top - (const uint8_t *)onx_stack_bottom);
}

uint32_t onx_board_stack_free(void)
{
    const uint32_t *word = onx_stack_bottom;
    while (word < onx_stack_top && *word == ONX_STACK_PAINT) {
        word++;
    }
    return (uint32_t)((const uint8_t *)word - (const uint8_t *)onx_stack_bottom);
}

_Noreturn void onx_board_reset(void)
{
    onx_usb_finish();
    restart();
}
