/* The two serial lines together: whichever has bytes, and sleep until one has. */
#include "board.h"
#include "nano33ble.h"
#include "nrf52840.h"
#include "protocol.h"

size_t onx_board_read(uint8_t transport, uint8_t *data, size_t capacity)
{
    return transport == ONX_TRANSPORT_USB ? onx_usb_read(data, capacity) : onx_uart_read(data, capacity);
}

void onx_board_write(uint8_t transport, const uint8_t *data, size_t size)
{
    if (transport == ONX_TRANSPORT_USB) {
        onx_usb_write(data, size);
    } else {
        onx_uart_write(data, size);
    }
}

void onx_board_resynchronise(void) { onx_uart_restart(); }

static void wake_on(uint32_t irq) { NVIC_ISER(irq / 32u) = 1u << irq % 32u; }

static void do_not_wake_on(uint32_t irq)
{
    NVIC_ICER(irq / 32u) = 1u << irq % 32u;
    NVIC_ICPR(irq / 32u) = 1u << irq % 32u;
}

/* Interrupts are masked, yet a pending one that is enabled in the NVIC ends the sleep. What happens between the look at
   the lines and WFI has raised an event after it was cleared, so WFI falls through. */
void onx_board_wait(void)
{
    onx_usb_service();
    wake_on(UARTE0_IRQ);
    wake_on(POWER_IRQ);
    wake_on(USBD_IRQ);
    if (onx_uart_wakes() && onx_usb_is_idle()) {
        onx_data_barrier();
        __asm volatile("wfi" ::: "memory");
    }
    onx_uart_is_awake();
    do_not_wake_on(UARTE0_IRQ);
    do_not_wake_on(POWER_IRQ);
    do_not_wake_on(USBD_IRQ);
}

onx_line_counters onx_board_line_counters(void)
{
    const onx_usb_counters usb = onx_usb_count();
    const onx_line_counters counters = { onx_uart_errors(), usb.resets, usb.suspends, usb.dropped };
    return counters;
}
