/* The USB port (CDC-ACM) on the nRF52840's USBD: moves packets; what they mean is in usb_control.c.
 *
 * Polled, like everything here. Nothing is lost while nobody looks: the hardware answers NAK, and the host repeats,
 * until a packet was taken out of its endpoint. EasyDMA moves one packet at a time (the USBD can do no more at once),
 * and is waited for: a packet of 64 bytes takes a few microseconds.
 */
#include <string.h>

#include "board.h"
#include "nano33ble.h"
#include "nrf52840.h"
#include "usb_control.h"

#define DMA_MICROSECONDS 1000u       /* far more than a transfer takes */
#define READER_MICROSECONDS 1000000u /* after so long without a fetched packet there is no reader */
#define IN_TAKEN(n) (1u << (n))
#define OUT_CAME(n) (1u << (16u + (n)))
#define BOOTLOADER_WANTED 0xB0u /* in GPREGRET: the bootloader stays and waits for a sketch */

enum state { UNPOWERED, STARTING, ATTACHED };

static struct {
    onx_usb_control control;
    _Alignas(4) uint8_t in[ONX_USB_PACKET]; /* EasyDMA reaches RAM only */
    _Alignas(4) uint8_t out[ONX_USB_PACKET];
    uint32_t out_at, out_size; /* bytes of `out` that were given away, and that there are */
    uint8_t state;
    bool suspended;
    bool control_sending; /* a packet lies in endpoint 0 until the host takes it */
    bool in_busy;         /* the same for the data endpoint */
    bool out_waits;       /* a packet lies in the data endpoint */
    bool closed;          /* DTR fell since the last write began */
    bool no_reader;       /* the last write timed out */
    onx_usb_counters counters;
} usb;

/* Registers that cure errata are locked unless the lock reads other than 0. */
static void write_erratum(volatile uint32_t *where, uint32_t value)
{
    const bool locked = ERRATA_LOCK == 0;
    if (locked) {
        ERRATA_LOCK = 0x9375u;
    }
    *where = value;
    if (locked) {
        ERRATA_LOCK = 0x9375u;
    }
}

/* Tasks that come while EasyDMA runs would be lost (erratum 199): so all wait for its end, here. */
static void transfer(volatile uint32_t *task, volatile uint32_t *end)
{
    *end = 0;
    USBD_ERRATUM_199 = 0x82u;
    onx_data_barrier();
    *task = 1;
    const uint32_t start = onx_board_microseconds();
    while (*end == 0 && onx_board_microseconds() - start < DMA_MICROSECONDS) {
    }
    *end = 0;
    USBD_ERRATUM_199 = 0;
    onx_data_barrier();
}

static void to_endpoint(uint32_t endpoint, uint8_t *data, uint32_t size)
{
    USBD_EPIN_PTR(endpoint) = (uint32_t)(uintptr_t)data;
    USBD_EPIN_MAXCNT(endpoint) = size;
    transfer(&USBD_TASKS_STARTEPIN(endpoint), &USBD_EVENTS_ENDEPIN(endpoint));
}

/* Returns the packet's size. The endpoint takes the next packet from now on. */
static uint32_t from_endpoint(uint32_t endpoint, uint8_t *data)
{
    const uint32_t came = USBD_SIZE_EPOUT(endpoint);
    const uint32_t size = came < ONX_USB_PACKET ? came : ONX_USB_PACKET;
    if (size == 0 && endpoint != 0) {
        USBD_SIZE_EPOUT(endpoint) = 0;
        return 0;
    }
    USBD_EPOUT_PTR(endpoint) = (uint32_t)(uintptr_t)data;
    USBD_EPOUT_MAXCNT(endpoint) = size;
    transfer(&USBD_TASKS_STARTEPOUT(endpoint), &USBD_EVENTS_ENDEPOUT(endpoint));
    return size;
}

static void first_toggle(uint32_t endpoint)
{
    USBD_DTOGGLE = endpoint;
    USBD_DTOGGLE = endpoint | 1u << 8;
}

static void endpoints_off(void)
{
    USBD_EPINEN = 1;
    USBD_EPOUTEN = 1;
    usb.out_at = usb.out_size = 0;
}

static void endpoints_on(void)
{
    static const uint8_t addresses[3] = { ONX_USB_IN | ONX_USB_NOTIFY, ONX_USB_DATA, ONX_USB_IN | ONX_USB_DATA };
    for (uint32_t i = 0; i < 3; i++) {
        USBD_EPSTALL = addresses[i];
        first_toggle(addresses[i]);
    }
    USBD_EPINEN = 1u | 1u << ONX_USB_NOTIFY | 1u << ONX_USB_DATA;
    USBD_EPOUTEN = 1u | 1u << ONX_USB_DATA;
    if (!usb.out_waits) {
        USBD_SIZE_EPOUT(ONX_USB_DATA) = 0; /* takes the first packet */
    }
}

static void apply_halts(void)
{
    static const uint8_t addresses[3] = { ONX_USB_IN | ONX_USB_NOTIFY, ONX_USB_DATA, ONX_USB_IN | ONX_USB_DATA };
    for (uint32_t i = 0; i < 3; i++) {
        const bool halted = (usb.control.halted >> i & 1u) != 0;
        if (halted) {
            USBD_EPSTALL = addresses[i] | 1u << 8;
        } else if ((usb.control.cleared >> i & 1u) != 0) {
            USBD_EPSTALL = addresses[i];
            first_toggle(addresses[i]);
            if (addresses[i] == ONX_USB_DATA && !usb.out_waits) {
                USBD_SIZE_EPOUT(ONX_USB_DATA) = 0;
            }
        }
    }
    usb.control.cleared = 0;
}

static void apply_changes(void)
{
    const uint32_t changes = usb.control.changes;
    usb.control.changes = 0;
    if ((changes & ONX_USB_CONFIGURED) != 0) {
        endpoints_off();
        if (usb.control.configuration != 0) {
            endpoints_on();
        }
        onx_light_attached(usb.control.configuration != 0);
    }
    if ((changes & ONX_USB_HALTED) != 0) {
        apply_halts();
    }
    if ((changes & ONX_USB_CLOSED) != 0) {
        usb.closed = true;
    }
}

/* The bus reset, or the loss of power, emptied the endpoints. */
static void forget_packets(void)
{
    usb.control_sending = false;
    usb.in_busy = false;
    usb.out_waits = false;
    onx_usb_bus_reset(&usb.control);
    apply_changes();
}

static void send_control(void)
{
    const uint8_t *data = NULL;
    uint32_t size = 0;
    _Alignas(4) uint8_t packet[ONX_USB_PACKET];
    usb.control_sending = onx_usb_next(&usb.control, &data, &size);
    if (!usb.control_sending) {
        USBD_TASKS_EP0STATUS = 1;
        return;
    }
    if (size > 0) {
        memcpy(packet, data, size);
    }
    to_endpoint(0, packet, size);
}

static void act(enum onx_usb_action action)
{
    apply_changes();
    switch (action) {
    case ONX_USB_IGNORE: break;
    case ONX_USB_STALL: USBD_TASKS_EP0STALL = 1; break;
    case ONX_USB_STATUS: USBD_TASKS_EP0STATUS = 1; break;
    case ONX_USB_SEND: send_control(); break;
    case ONX_USB_RECEIVE: USBD_TASKS_EP0RCVOUT = 1; break;
    }
}

static void take_setup(void)
{
    uint8_t setup[8];
    for (uint32_t i = 0; i < 8; i++) {
        setup[i] = (uint8_t)USBD_SETUP(i);
    }
    usb.control_sending = false;
    act(onx_usb_setup(&usb.control, setup));
}

static void control_data_done(void)
{
    if (usb.control_sending) {
        send_control();
    } else if (usb.control.receiving) {
        _Alignas(4) uint8_t packet[ONX_USB_PACKET];
        const uint32_t size = from_endpoint(0, packet);
        act(onx_usb_received(&usb.control, packet, size, onx_board_microseconds()));
    }
}

static void set_suspended(bool suspended)
{
    if (suspended != usb.suspended) {
        usb.suspended = suspended;
        onx_light_sleep(suspended);
    }
}

static void bus_reset(void)
{
    usb.counters.resets++;
    set_suspended(false);
    forget_packets();
}

static void power_up(void)
{
    USBD_EVENTCAUSE = USBD_CAUSE_READY;
    write_erratum(&ERRATUM_187, 3);
    write_erratum(&ERRATUM_171, 0xC0);
    USBD_ENABLE = 1;
    usb.state = STARTING;
}

static void attach(void)
{
    USBD_EVENTCAUSE = USBD_CAUSE_READY;
    write_erratum(&ERRATUM_171, 0);
    write_erratum(&ERRATUM_187, 0);
    USBD_EVENTS_USBRESET = 0;
    USBD_EVENTS_USBEVENT = 0;
    USBD_EVENTS_EP0SETUP = 0;
    USBD_EVENTS_EP0DATADONE = 0;
    USBD_EVENTS_EPDATA = 0;
    USBD_INTENSET = USBD_INT_USED;
    USBD_USBPULLUP = 1;
    usb.state = ATTACHED;
}

static void power_down(void)
{
    USBD_USBPULLUP = 0;
    USBD_INTENCLR = 0xFFFFFFFFu;
    forget_packets();
    set_suspended(false);
    USBD_ENABLE = 0;
    usb.state = UNPOWERED;
}

/* VBUS may have been there long before the program: so look at the level, not at its events. */
static void follow_power(void)
{
    POWER_EVENTS_USBDETECTED = 0;
    POWER_EVENTS_USBREMOVED = 0;
    POWER_EVENTS_USBPWRRDY = 0;
    const uint32_t status = POWER_USBREGSTATUS;
    if ((status & POWER_USBREG_VBUS) == 0) {
        if (usb.state != UNPOWERED) {
            power_down();
        }
    } else if (usb.state == UNPOWERED) {
        power_up();
    } else if (usb.state == STARTING && (status & POWER_USBREG_READY) != 0 && (USBD_EVENTCAUSE & USBD_CAUSE_READY) != 0
               && (CLOCK_HFCLKSTAT & 1u) != 0) {
        attach();
    }
}

static void follow_bus(void)
{
    if (USBD_EVENTS_USBRESET != 0) {
        USBD_EVENTS_USBRESET = 0;
        bus_reset();
    }
    if (USBD_EVENTS_USBEVENT != 0) {
        USBD_EVENTS_USBEVENT = 0;
        const uint32_t cause = USBD_EVENTCAUSE;
        USBD_EVENTCAUSE = cause;
        usb.counters.suspends += (cause & USBD_CAUSE_SUSPEND) != 0;
        if ((cause & (USBD_CAUSE_SUSPEND | USBD_CAUSE_RESUME)) != 0) {
            set_suspended((cause & USBD_CAUSE_RESUME) == 0);
        }
    }
    if (USBD_EVENTS_EPDATA != 0) {
        USBD_EVENTS_EPDATA = 0;
        const uint32_t status = USBD_EPDATASTATUS;
        USBD_EPDATASTATUS = status;
        if ((status & IN_TAKEN(ONX_USB_DATA)) != 0) {
            usb.in_busy = false;
            usb.no_reader = false;
        }
        if ((status & OUT_CAME(ONX_USB_DATA)) != 0) {
            usb.out_waits = true;
        }
        set_suspended(false);
    }
    /* A SETUP packet ends the transfer before it, so what was done in that one means nothing any more. */
    if (USBD_EVENTS_EP0SETUP != 0) {
        USBD_EVENTS_EP0SETUP = 0;
        USBD_EVENTS_EP0DATADONE = 0;
        set_suspended(false);
        take_setup();
    } else if (USBD_EVENTS_EP0DATADONE != 0) {
        USBD_EVENTS_EP0DATADONE = 0;
        control_data_done();
    }
}

static void follow_touch(void)
{
    if (onx_usb_wants_bootloader(&usb.control, onx_board_microseconds())) {
        POWER_GPREGRET = BOOTLOADER_WANTED;
        onx_board_reset();
    }
}

void onx_usb_service(void)
{
    follow_power();
    if (usb.state == ATTACHED) {
        follow_bus();
    }
    if (usb.control.touched) {
        follow_touch();
    }
}

void onx_usb_port_start(void)
{
    static const char digits[] = "0123456789ABCDEF";
    const uint32_t words[2] = { FICR_DEVICEADDR1, FICR_DEVICEADDR0 };
    for (uint32_t i = 0; i < 16; i++) {
        usb.control.serial_number[i] = (uint8_t)digits[words[i / 8] >> (28u - 4u * (i % 8)) & 15u];
    }
    onx_usb_start(&usb.control);
    USBD_INTENCLR = 0xFFFFFFFFu;
    POWER_INTENSET = POWER_INT_USB;
    onx_usb_service();
}

size_t onx_usb_read(uint8_t *data, size_t capacity)
{
    onx_usb_service();
    if (usb.out_at == usb.out_size && usb.out_waits) {
        usb.out_waits = false;
        usb.out_at = 0;
        usb.out_size = from_endpoint(ONX_USB_DATA, usb.out);
    }
    const size_t there = usb.out_size - usb.out_at;
    const size_t size = there < capacity ? there : capacity;
    memcpy(data, usb.out + usb.out_at, size);
    usb.out_at += (uint32_t)size;
    return size;
}

/* Waits until the data endpoint is empty. False when it will not be soon, because nobody reads. */
static bool endpoint_is_free(void)
{
    const uint32_t start = onx_board_microseconds();
    for (;;) {
        onx_usb_service();
        if (usb.control.configuration == 0 || usb.suspended || usb.closed) {
            return false;
        }
        if (!usb.in_busy) {
            return true;
        }
        if (usb.no_reader || onx_board_microseconds() - start >= READER_MICROSECONDS) {
            usb.no_reader = true;
            return false;
        }
    }
}

/* A packet shorter than 64 bytes ends what the host reads at once; where the last one is full, one of no bytes does. */
void onx_usb_write(const uint8_t *data, size_t size)
{
    bool full = size > 0;
    usb.closed = false;
    while (full) {
        const uint32_t piece = size < ONX_USB_PACKET ? (uint32_t)size : ONX_USB_PACKET;
        if (!endpoint_is_free()) {
            usb.counters.dropped += (uint32_t)size;
            return;
        }
        memcpy(usb.in, data, piece);
        usb.in_busy = true;
        to_endpoint(ONX_USB_DATA, usb.in, piece);
        data += piece;
        size -= piece;
        full = piece == ONX_USB_PACKET;
    }
}

bool onx_usb_is_idle(void)
{
    return usb.state != STARTING && !usb.control.touched && !usb.out_waits && usb.out_at == usb.out_size;
}

/* Before a restart: the last answer still lies in the endpoint. */
void onx_usb_finish(void)
{
    const uint32_t start = onx_board_microseconds();
    while (usb.state == ATTACHED && usb.in_busy && onx_board_microseconds() - start < 100000u) {
        onx_usb_service();
    }
    USBD_USBPULLUP = 0;
}

onx_usb_counters onx_usb_count(void) { return usb.counters; }
