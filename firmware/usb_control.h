/* The control endpoint of a USB serial port (CDC-ACM), without a word about registers: which answer a SETUP packet
 * gets, and what the host has set. A board's driver moves the packets. */
#ifndef ONX_USB_CONTROL_H
#define ONX_USB_CONTROL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ONX_USB_PACKET 64u /* bytes of a control or bulk packet at full speed */
#define ONX_USB_VENDOR 0x2341u
#define ONX_USB_PRODUCT 0x805Au

/* Endpoints: notifications 0x81 (never used), data from the host 0x02 and to the host 0x82. */
#define ONX_USB_NOTIFY 1u
#define ONX_USB_DATA 2u
#define ONX_USB_IN 0x80u

#define ONX_USB_LINE_CODING 7u /* bytes: rate (u32), stop bits, parity, data bits */
#define ONX_USB_TOUCH_RATE 1200u
#define ONX_USB_TOUCH_MICROSECONDS 200000u

/* What the driver has to do next on endpoint 0. */
enum onx_usb_action {
    ONX_USB_IGNORE,  /* nothing: the hardware answers by itself */
    ONX_USB_STALL,   /* refuse */
    ONX_USB_STATUS,  /* let the status stage pass: the request is done */
    ONX_USB_SEND,    /* send onx_usb_next's packet; after it was taken, ask again */
    ONX_USB_RECEIVE, /* take a data packet and hand it to onx_usb_received */
};

/* What a request changed, for the driver to carry out. It clears the bits. */
#define ONX_USB_CONFIGURED 1u /* endpoints on (configuration != 0) or off; data toggles and halts start anew */
#define ONX_USB_HALTED 2u     /* `halted` changed; a toggle starts anew where a halt was cleared: see `cleared` */
#define ONX_USB_CLOSED 4u     /* DTR fell: what waits to be sent has no reader */

typedef struct {
    uint8_t serial_number[16]; /* ASCII, set once by the driver */

    uint8_t configuration; /* 0: none */
    uint8_t halted;        /* bit 0: 0x81, bit 1: 0x02, bit 2: 0x82 */
    uint8_t cleared;       /* the same bits: CLEAR_FEATURE(ENDPOINT_HALT) came */
    uint8_t changes;       /* ONX_USB_CONFIGURED, ... */
    bool dtr;
    uint8_t line_coding[ONX_USB_LINE_CODING];

    bool touched;      /* the line coding changed to 1200 baud: the bootloader is wanted */
    bool touch_is_due; /* and at least 200 ms ago */
    uint32_t touch_time;

    /* The transfer under way. */
    uint8_t buffer[80]; /* answers are made here; longer ones lie in flash */
    const uint8_t *data;
    uint16_t left;
    bool zero_length; /* a packet of no bytes ends the transfer: it is shorter than asked for, and a multiple of 64 */
    bool receiving;
} onx_usb_control;

/* Starts with nothing set, as after power-on; the serial number stays. */
void onx_usb_start(onx_usb_control *usb);
/* The host reset the bus: the device has no address and no configuration. Line coding stays. */
void onx_usb_bus_reset(onx_usb_control *usb);
enum onx_usb_action onx_usb_setup(onx_usb_control *usb, const uint8_t setup[8]);
/* The next packet of a transfer to the host, at most 64 bytes. False: all is sent, and the status stage follows. */
bool onx_usb_next(onx_usb_control *usb, const uint8_t **data, uint32_t *size);
/* A data packet of a request that ONX_USB_RECEIVE was the answer to. `now` in microseconds. */
enum onx_usb_action onx_usb_received(onx_usb_control *usb, const uint8_t *data, uint32_t size, uint32_t now);
/* To be called often: true when the board shall restart into the bootloader (1200 baud, 200 ms ago or more, DTR 0). */
bool onx_usb_wants_bootloader(onx_usb_control *usb, uint32_t now);

#endif
