/* Registers of the nRF52840 and of its Cortex-M4F that the firmware uses; nothing else. */
#ifndef ONX_NRF52840_H
#define ONX_NRF52840_H

#include <stdint.h>

#define ONX_REG(address) (*(volatile uint32_t *)(address))

/* Cortex-M4 system control space */
#define DWT_CTRL ONX_REG(0xE0001000u) /* bit 0: CYCCNT counts */
#define DWT_CYCCNT ONX_REG(0xE0001004u)
#define SYSTICK_CTRL ONX_REG(0xE000E010u)
#define NVIC_ISER(n) ONX_REG(0xE000E100u + 4u * (n))
#define NVIC_ICER(n) ONX_REG(0xE000E180u + 4u * (n))
#define NVIC_ICPR(n) ONX_REG(0xE000E280u + 4u * (n))
#define SCB_AIRCR ONX_REG(0xE000ED0Cu)
#define SCB_CFSR ONX_REG(0xE000ED28u)
#define SCB_HFSR ONX_REG(0xE000ED2Cu)
#define SCB_MMFAR ONX_REG(0xE000ED34u)
#define SCB_BFAR ONX_REG(0xE000ED38u)
#define SCB_DEMCR ONX_REG(0xE000EDFCu) /* bit 24: DWT is on */
#define FPU_FPCCR ONX_REG(0xE000EF34u) /* bit 30: lazy stacking */
#define FPU_FPDSCR ONX_REG(0xE000EF3Cu)

/* CLOCK and POWER, irq 0 */
#define CLOCK_TASKS_HFCLKSTART ONX_REG(0x40000000u)
#define CLOCK_EVENTS_HFCLKSTARTED ONX_REG(0x40000100u)
#define CLOCK_EVENTS_DONE ONX_REG(0x4000010Cu)
#define CLOCK_EVENTS_CTTO ONX_REG(0x40000110u)
#define POWER_RESETREAS ONX_REG(0x40000400u) /* a written 1 clears the bit */
#define CLOCK_HFCLKSTAT ONX_REG(0x4000040Cu) /* 0x10001: the crystal runs */
#define CLOCK_CTIV ONX_REG(0x40000538u)
#define CLOCK_TRACECONFIG ONX_REG(0x4000055Cu)

#define POWER_IRQ 0u
#define POWER_EVENTS_USBDETECTED ONX_REG(0x4000011Cu)
#define POWER_EVENTS_USBREMOVED ONX_REG(0x40000120u)
#define POWER_EVENTS_USBPWRRDY ONX_REG(0x40000124u)
#define POWER_INTENSET ONX_REG(0x40000304u)
#define POWER_INTENCLR ONX_REG(0x40000308u)
#define POWER_INT_USB (7u << 7) /* detected, removed, ready */
#define POWER_USBREGSTATUS ONX_REG(0x40000438u)
#define POWER_USBREG_VBUS 1u
#define POWER_USBREG_READY 2u
#define POWER_GPREGRET ONX_REG(0x4000051Cu)

/* UARTE0, irq 2 */
#define UARTE0_IRQ 2u
#define UARTE0_TASKS_STARTRX ONX_REG(0x40002000u)
#define UARTE0_TASKS_STOPRX ONX_REG(0x40002004u)
#define UARTE0_TASKS_STARTTX ONX_REG(0x40002008u)
#define UARTE0_TASKS_STOPTX ONX_REG(0x4000200Cu)
#define UARTE0_TASKS_FLUSHRX ONX_REG(0x4000202Cu)
#define UARTE0_EVENTS_RXDRDY_ADDRESS 0x40002108u
#define UARTE0_EVENTS_RXDRDY ONX_REG(UARTE0_EVENTS_RXDRDY_ADDRESS)
#define UARTE0_EVENTS_ENDRX ONX_REG(0x40002110u)
#define UARTE0_EVENTS_ENDTX ONX_REG(0x40002120u)
#define UARTE0_EVENTS_ERROR ONX_REG(0x40002124u)
#define UARTE0_EVENTS_RXTO ONX_REG(0x40002144u)
#define UARTE0_EVENTS_RXSTARTED ONX_REG(0x4000214Cu)
#define UARTE0_SHORTS ONX_REG(0x40002200u) /* bit 5: ENDRX starts RX again */
#define UARTE0_INTENSET ONX_REG(0x40002304u)
#define UARTE0_INTENCLR ONX_REG(0x40002308u)
#define UARTE0_ERRORSRC ONX_REG(0x40002480u)
#define UARTE0_ENABLE ONX_REG(0x40002500u) /* 8: UARTE */
#define UARTE0_PSEL_RTS ONX_REG(0x40002508u)
#define UARTE0_PSEL_TXD ONX_REG(0x4000250Cu)
#define UARTE0_PSEL_CTS ONX_REG(0x40002510u)
#define UARTE0_PSEL_RXD ONX_REG(0x40002514u)
#define UARTE0_BAUDRATE ONX_REG(0x40002524u)
#define UARTE0_RXD_PTR ONX_REG(0x40002534u)
#define UARTE0_RXD_MAXCNT ONX_REG(0x40002538u)
#define UARTE0_TXD_PTR ONX_REG(0x40002544u)
#define UARTE0_TXD_MAXCNT ONX_REG(0x40002548u)
#define UARTE0_CONFIG ONX_REG(0x4000256Cu)
#define UARTE_BAUD_1M 0x10000000u
#define UARTE_INT_RXDRDY (1u << 2)
#define UARTE_INT_ERROR (1u << 9)
#define UARTE_SHORT_ENDRX_STARTRX (1u << 5)
#define UARTE_DISCONNECTED 0xFFFFFFFFu

/* TIMER n (0..2), irq 8 + n */
#define TIMER_BASE(n) (0x40008000u + 0x1000u * (n))
#define TIMER_TASKS_START(n) ONX_REG(TIMER_BASE(n) + 0x000u)
#define TIMER_TASKS_STOP(n) ONX_REG(TIMER_BASE(n) + 0x004u)
#define TIMER_TASKS_COUNT_ADDRESS(n) (TIMER_BASE(n) + 0x008u)
#define TIMER_TASKS_CLEAR(n) ONX_REG(TIMER_BASE(n) + 0x00Cu)
#define TIMER_TASKS_CAPTURE0(n) ONX_REG(TIMER_BASE(n) + 0x040u)
#define TIMER_SHORTS(n) ONX_REG(TIMER_BASE(n) + 0x200u)
#define TIMER_INTENCLR(n) ONX_REG(TIMER_BASE(n) + 0x308u)
#define TIMER_MODE(n) ONX_REG(TIMER_BASE(n) + 0x504u)      /* 0: timer, 1: counter */
#define TIMER_BITMODE(n) ONX_REG(TIMER_BASE(n) + 0x508u)   /* 3: 32 bits */
#define TIMER_PRESCALER(n) ONX_REG(TIMER_BASE(n) + 0x510u) /* 16 MHz >> prescaler */
#define TIMER_CC0(n) ONX_REG(TIMER_BASE(n) + 0x540u)

/* RTC1 (the bootloader's clock), irq 17 */
#define RTC1_TASKS_STOP ONX_REG(0x40011004u)
#define RTC1_EVENTS_COMPARE0 ONX_REG(0x40011140u)
#define RTC1_INTENCLR ONX_REG(0x40011308u)
#define RTC1_EVTENCLR ONX_REG(0x40011348u)

/* PWM0, PWM1, PWM2 (the bootloader fades the LED with them) */
#define PWM0_BASE 0x4001C000u
#define PWM1_BASE 0x40021000u
#define PWM2_BASE 0x40022000u
#define PWM_TASKS_STOP(base) ONX_REG((base) + 0x004u)
#define PWM_INTENCLR(base) ONX_REG((base) + 0x308u)
#define PWM_ENABLE(base) ONX_REG((base) + 0x500u)

/* NVMC */
#define NVMC_READY ONX_REG(0x4001E400u)
#define NVMC_CONFIG ONX_REG(0x4001E504u) /* 0: read, 1: write, 2: erase */
#define NVMC_ERASEPAGE ONX_REG(0x4001E508u)
#define NVMC_ICACHECNF ONX_REG(0x4001E540u)

#define NVMC_IHIT ONX_REG(0x4001E548u)
#define NVMC_IMISS ONX_REG(0x4001E54Cu)

/* PPI */
#define PPI_CHENSET ONX_REG(0x4001F504u)
#define PPI_CH_EEP(n) ONX_REG(0x4001F510u + 8u * (n))
#define PPI_CH_TEP(n) ONX_REG(0x4001F514u + 8u * (n))

/* FICR */
#define FICR_DEVICEID0 ONX_REG(0x10000060u)
#define FICR_DEVICEID1 ONX_REG(0x10000064u)

#define FICR_DEVICEADDR0 ONX_REG(0x100000A4u)
#define FICR_DEVICEADDR1 ONX_REG(0x100000A8u)
#define UICR_NRFFW0 ONX_REG(0x10001014u) /* where the MBR finds the bootloader */

/* GPIO port p (0 or 1) */
#define GPIO_BASE(p) (0x50000000u + 0x300u * (p))
#define GPIO_OUTSET(p) ONX_REG(GPIO_BASE(p) + 0x508u)
#define GPIO_OUTCLR(p) ONX_REG(GPIO_BASE(p) + 0x50Cu)
#define GPIO_DIRSET(p) ONX_REG(GPIO_BASE(p) + 0x518u)
#define GPIO_DIRCLR(p) ONX_REG(GPIO_BASE(p) + 0x51Cu)
/* bit 1: input off; bits 2 and 3: pull-up */
#define GPIO_PIN_CNF(p, pin) ONX_REG(GPIO_BASE(p) + 0x700u + 4u * (pin))

/* USBD, irq 39 */
#define USBD_IRQ 39u
#define USBD_TASKS_STARTEPIN(n) ONX_REG(0x40027004u + 4u * (n))
#define USBD_TASKS_STARTEPOUT(n) ONX_REG(0x40027028u + 4u * (n))
#define USBD_TASKS_EP0RCVOUT ONX_REG(0x4002704Cu)
#define USBD_TASKS_EP0STATUS ONX_REG(0x40027050u)
#define USBD_TASKS_EP0STALL ONX_REG(0x40027054u)
#define USBD_EVENTS_USBRESET ONX_REG(0x40027100u)
#define USBD_EVENTS_ENDEPIN(n) ONX_REG(0x40027108u + 4u * (n))
#define USBD_EVENTS_EP0DATADONE ONX_REG(0x40027128u)
#define USBD_EVENTS_ENDEPOUT(n) ONX_REG(0x40027130u + 4u * (n))
#define USBD_EVENTS_USBEVENT ONX_REG(0x40027158u)
#define USBD_EVENTS_EP0SETUP ONX_REG(0x4002715Cu)
#define USBD_EVENTS_EPDATA ONX_REG(0x40027160u)
#define USBD_INTENSET ONX_REG(0x40027304u)
#define USBD_INTENCLR ONX_REG(0x40027308u)
#define USBD_INT_USED (1u << 0 | 1u << 10 | 1u << 22 | 1u << 23 | 1u << 24) /* reset, data done, event, setup, data */
#define USBD_EVENTCAUSE ONX_REG(0x40027400u)                                /* a written 1 clears the bit */
#define USBD_CAUSE_SUSPEND (1u << 8)
#define USBD_CAUSE_RESUME (1u << 9)
#define USBD_CAUSE_READY (1u << 11)
#define USBD_EPDATASTATUS ONX_REG(0x4002746Cu) /* bit n: IN packet taken, 16 + n: OUT packet came; 1 clears */
#define USBD_SETUP(n) ONX_REG(0x40027480u + 4u * (n))
#define USBD_SIZE_EPOUT(n) ONX_REG(0x400274A0u + 4u * (n))
#define USBD_ENABLE ONX_REG(0x40027500u)
#define USBD_USBPULLUP ONX_REG(0x40027504u)
#define USBD_DTOGGLE ONX_REG(0x4002750Cu) /* endpoint, bit 7 IN, bits 8 and 9: 0 select only, 1 DATA0 */
#define USBD_EPINEN ONX_REG(0x40027510u)
#define USBD_EPOUTEN ONX_REG(0x40027514u)
#define USBD_EPSTALL ONX_REG(0x40027518u) /* endpoint, bit 7 IN, bit 8 stall */
#define USBD_EPIN_PTR(n) ONX_REG(0x40027600u + 0x14u * (n))
#define USBD_EPIN_MAXCNT(n) ONX_REG(0x40027604u + 0x14u * (n))
#define USBD_EPOUT_PTR(n) ONX_REG(0x40027700u + 0x14u * (n))
#define USBD_EPOUT_MAXCNT(n) ONX_REG(0x40027704u + 0x14u * (n))
#define USBD_ERRATUM_199 ONX_REG(0x40027C1Cu)
#define ERRATA_LOCK ONX_REG(0x4006EC00u)
#define ERRATUM_171 ONX_REG(0x4006EC14u)
#define ERRATUM_187 ONX_REG(0x4006ED14u)

/* A word at any address, also at 0, which the compiler would take for a null pointer. */
static inline uint32_t onx_word_at(uint32_t address)
{
    __asm volatile("" : "+r"(address));
    return ONX_REG(address);
}

static inline void onx_data_barrier(void) { __asm volatile("dsb" ::: "memory"); }

#endif
