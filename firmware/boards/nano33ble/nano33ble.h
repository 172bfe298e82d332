/* What the parts of this board's code ask of each other. */
#ifndef ONX_NANO33BLE_H
#define ONX_NANO33BLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

void onx_reasons_start(void);
void onx_timers_start(void);

/* The LEDs. Asleep, all are off. */
void onx_light_start(void);
void onx_light_sleep(bool asleep);
void onx_light_attached(bool attached);

/* UARTE0 (uart.c). */
void onx_uart_start(void);
void onx_uart_restart(void);
size_t onx_uart_read(uint8_t *data, size_t capacity);
void onx_uart_write(const uint8_t *data, size_t size);
bool onx_uart_wakes(void); /* a byte raises the interrupt from now on; false: there are some already */
void onx_uart_is_awake(void);
uint32_t onx_uart_errors(void);

/* USBD (usb.c). Service is to be called often, and is by read and write. */
typedef struct {
    uint32_t resets, suspends, dropped;
} onx_usb_counters;
void onx_usb_port_start(void);
void onx_usb_service(void);
size_t onx_usb_read(uint8_t *data, size_t capacity);
void onx_usb_write(const uint8_t *data, size_t size);
bool onx_usb_is_idle(void); /* nothing waits to be done: an interrupt will tell */
void onx_usb_finish(void);
onx_usb_counters onx_usb_count(void);

#endif
