/* Descriptors and control requests of a USB serial port (USB 2.0 chapter 9, CDC 1.1 with the abstract control model).
 */
#include "usb_control.h"

#include <string.h>

#define CONFIGURATION 1u
#define INTERFACES 2u
#define CONTROL_INTERFACE 0u
#define DATA_INTERFACE 1u
#define CONFIGURATION_SIZE 75u
#define ENDPOINT_HALT 0u

enum descriptor { DEVICE = 1, CONFIGURATION_DESCRIPTOR = 2, STRING = 3, INTERFACE = 4, ENDPOINT = 5, ASSOCIATION = 11 };
enum string { LANGUAGES, MANUFACTURER, PRODUCT, SERIAL_NUMBER };

#define LOW(value) ((value) & 0xFFu)
#define HIGH(value) ((value) >> 8)

static const uint8_t device_descriptor[18] = {
    18,
    DEVICE,
    0x00,
    0x02, /* USB 2.00 */
    0xEF,
    0x02,
    0x01, /* class: functions by association descriptors */
    ONX_USB_PACKET,
    LOW(ONX_USB_VENDOR),
    HIGH(ONX_USB_VENDOR),
    LOW(ONX_USB_PRODUCT),
    HIGH(ONX_USB_PRODUCT),
    0x00,
    0x01, /* release 1.00 */
    MANUFACTURER,
    PRODUCT,
    SERIAL_NUMBER,
    1,
};

static const uint8_t configuration_descriptor[CONFIGURATION_SIZE] = {
    9,
    CONFIGURATION_DESCRIPTOR,
    CONFIGURATION_SIZE,
    0,
    INTERFACES,
    CONFIGURATION,
    0,
    0x80,
    50, /* bus powered, 100 mA */
    8,
    ASSOCIATION,
    CONTROL_INTERFACE,
    INTERFACES,
    2,
    2,
    0,
    0,
    9,
    INTERFACE,
    CONTROL_INTERFACE,
    0,
    1,
    2,
    2,
    0,
    0, /* communications, abstract control model */
    5,
    0x24,
    0,
    0x10,
    0x01, /* CDC 1.10 */
    5,
    0x24,
    1,
    0,
    DATA_INTERFACE, /* no call management */
    4,
    0x24,
    2,
    0x02, /* line coding and control line state */
    5,
    0x24,
    6,
    CONTROL_INTERFACE,
    DATA_INTERFACE, /* the two belong together */
    7,
    ENDPOINT,
    ONX_USB_IN | ONX_USB_NOTIFY,
    3,
    16,
    0,
    16,
    9,
    INTERFACE,
    DATA_INTERFACE,
    0,
    2,
    0x0A,
    0,
    0,
    0,
    7,
    ENDPOINT,
    ONX_USB_DATA,
    2,
    ONX_USB_PACKET,
    0,
    0,
    7,
    ENDPOINT,
    ONX_USB_IN | ONX_USB_DATA,
    2,
    ONX_USB_PACKET,
    0,
    0,
};

static const uint8_t first_line_coding[ONX_USB_LINE_CODING] = { 0x00, 0xC2, 0x01, 0x00, 0, 0, 8 }; /* 115200 8N1 */

/* bmRequestType */
#define TO_DEVICE 0x00u
#define TO_INTERFACE 0x01u
#define TO_ENDPOINT 0x02u
#define FROM 0x80u
#define CLASS 0x20u

enum request {
    GET_STATUS = 0,
    CLEAR_FEATURE = 1,
    SET_FEATURE = 3,
    SET_ADDRESS = 5,
    GET_DESCRIPTOR = 6,
    GET_CONFIGURATION = 8,
    SET_CONFIGURATION = 9,
    GET_INTERFACE = 10,
    SET_INTERFACE = 11,
    SET_LINE_CODING = 0x20,
    GET_LINE_CODING = 0x21,
    SET_CONTROL_LINE_STATE = 0x22,
};

typedef struct {
    uint8_t type, request;
    uint16_t value, index, length;
} request_fields;

void onx_usb_start(onx_usb_control *usb)
{
    uint8_t serial_number[sizeof usb->serial_number];
    memcpy(serial_number, usb->serial_number, sizeof serial_number);
    memset(usb, 0, sizeof *usb);
    memcpy(usb->serial_number, serial_number, sizeof serial_number);
    memcpy(usb->line_coding, first_line_coding, sizeof usb->line_coding);
}

static void forget_transfer(onx_usb_control *usb)
{
    usb->left = 0;
    usb->zero_length = false;
    usb->receiving = false;
}

static void set_dtr(onx_usb_control *usb, bool dtr)
{
    if (usb->dtr && !dtr) {
        usb->changes |= ONX_USB_CLOSED;
    }
    usb->dtr = dtr;
}

static void set_configuration(onx_usb_control *usb, uint8_t configuration)
{
    usb->configuration = configuration;
    usb->halted = 0;
    usb->changes |= ONX_USB_CONFIGURED;
}

void onx_usb_bus_reset(onx_usb_control *usb)
{
    forget_transfer(usb);
    set_configuration(usb, 0);
    set_dtr(usb, false);
}

static enum onx_usb_action send(onx_usb_control *usb, const request_fields *request, const uint8_t *data, size_t size)
{
    usb->data = data;
    usb->left = (uint16_t)(size < request->length ? size : request->length);
    usb->zero_length = usb->left < request->length && usb->left % ONX_USB_PACKET == 0;
    return request->length == 0 ? ONX_USB_STATUS : ONX_USB_SEND;
}

static enum onx_usb_action send_bytes(onx_usb_control *usb, const request_fields *request, uint8_t low, size_t size)
{
    usb->buffer[0] = low;
    usb->buffer[1] = 0;
    return send(usb, request, usb->buffer, size);
}

static enum onx_usb_action send_text(onx_usb_control *usb, const request_fields *request, const char *text, size_t size)
{
    usb->buffer[0] = (uint8_t)(2 + 2 * size);
    usb->buffer[1] = STRING;
    for (size_t i = 0; i < size; i++) {
        usb->buffer[2 + 2 * i] = (uint8_t)text[i];
        usb->buffer[3 + 2 * i] = 0;
    }
    return send(usb, request, usb->buffer, 2 + 2 * size);
}

static enum onx_usb_action send_string(onx_usb_control *usb, const request_fields *request)
{
    static const uint8_t languages[4] = { 4, STRING, 0x09, 0x04 }; /* English (United States) */
    static const char manufacturer[] = "Onnxino";
    static const char product[] = "Onnxino on Nano 33 BLE";
    _Static_assert(2 + 2 * (sizeof product - 1) <= sizeof usb->buffer, "the longest string fits");
    switch (request->value & 0xFF) {
    case LANGUAGES: return send(usb, request, languages, sizeof languages);
    case MANUFACTURER: return send_text(usb, request, manufacturer, sizeof manufacturer - 1);
    case PRODUCT: return send_text(usb, request, product, sizeof product - 1);
    case SERIAL_NUMBER: return send_text(usb, request, (const char *)usb->serial_number, sizeof usb->serial_number);
    default: return ONX_USB_STALL;
    }
}

/* A device of full speed only has no device qualifier: refusing says so. */
static enum onx_usb_action get_descriptor(onx_usb_control *usb, const request_fields *request)
{
    switch (request->value >> 8) {
    case DEVICE: return send(usb, request, device_descriptor, sizeof device_descriptor);
    case CONFIGURATION_DESCRIPTOR:
        if ((request->value & 0xFF) != 0) {
            return ONX_USB_STALL;
        }
        return send(usb, request, configuration_descriptor, sizeof configuration_descriptor);
    case STRING: return send_string(usb, request);
    default: return ONX_USB_STALL;
    }
}

static enum onx_usb_action device_request(onx_usb_control *usb, const request_fields *request)
{
    switch (request->type << 8 | request->request) {
    case (FROM | TO_DEVICE) << 8 | GET_STATUS: return send_bytes(usb, request, 0, 2); /* bus powered, no wake-up */
    case TO_DEVICE << 8 | SET_ADDRESS: return ONX_USB_IGNORE;
    case (FROM | TO_DEVICE) << 8 | GET_DESCRIPTOR: return get_descriptor(usb, request);
    case (FROM | TO_DEVICE) << 8 | GET_CONFIGURATION: return send_bytes(usb, request, usb->configuration, 1);
    case TO_DEVICE << 8 | SET_CONFIGURATION:
        if (request->value > CONFIGURATION || request->length != 0) {
            return ONX_USB_STALL;
        }
        set_configuration(usb, (uint8_t)request->value);
        return ONX_USB_STATUS;
    default: return ONX_USB_STALL;
    }
}

static enum onx_usb_action standard_interface_request(onx_usb_control *usb, const request_fields *request)
{
    if (usb->configuration == 0 || request->index >= INTERFACES) {
        return ONX_USB_STALL;
    }
    switch (request->type << 8 | request->request) {
    case (FROM | TO_INTERFACE) << 8 | GET_STATUS: return send_bytes(usb, request, 0, 2);
    case (FROM | TO_INTERFACE) << 8 | GET_INTERFACE: return send_bytes(usb, request, 0, 1);
    case TO_INTERFACE << 8 | SET_INTERFACE:
        if (request->value != 0 || request->length != 0) {
            return ONX_USB_STALL;
        }
        const uint8_t bits = request->index == CONTROL_INTERFACE ? 1 : 6; /* its endpoints' toggles start anew */
        usb->halted &= (uint8_t)~bits;
        usb->cleared |= bits;
        usb->changes |= ONX_USB_HALTED;
        return ONX_USB_STATUS;
    default: return ONX_USB_STALL;
    }
}

/* The bit of an endpoint in `halted`; 0 for one that does not exist. */
static uint8_t endpoint_bit(uint16_t index)
{
    switch (index) {
    case ONX_USB_IN | ONX_USB_NOTIFY: return 1;
    case ONX_USB_DATA: return 2;
    case ONX_USB_IN | ONX_USB_DATA: return 4;
    default: return 0;
    }
}

static enum onx_usb_action endpoint_request(onx_usb_control *usb, const request_fields *request)
{
    const uint8_t bit = usb->configuration != 0 ? endpoint_bit(request->index) : 0;
    if (bit == 0 && (request->index & 0x7F) != 0) {
        return ONX_USB_STALL;
    }
    const bool halt = request->value == ENDPOINT_HALT && request->length == 0 && bit != 0;
    switch (request->type << 8 | request->request) {
    case (FROM | TO_ENDPOINT) << 8 | GET_STATUS: return send_bytes(usb, request, (usb->halted & bit) != 0, 2);
    case TO_ENDPOINT << 8 | SET_FEATURE:
        if (!halt) {
            return ONX_USB_STALL;
        }
        usb->halted |= bit;
        usb->changes |= ONX_USB_HALTED;
        return ONX_USB_STATUS;
    case TO_ENDPOINT << 8 | CLEAR_FEATURE:
        if (!halt) {
            return ONX_USB_STALL;
        }
        usb->halted &= (uint8_t)~bit;
        usb->cleared |= bit;
        usb->changes |= ONX_USB_HALTED;
        return ONX_USB_STATUS;
    default: return ONX_USB_STALL;
    }
}

static enum onx_usb_action serial_request(onx_usb_control *usb, const request_fields *request)
{
    if (request->index != CONTROL_INTERFACE) {
        return ONX_USB_STALL;
    }
    switch (request->type << 8 | request->request) {
    case (CLASS | TO_INTERFACE) << 8 | SET_LINE_CODING:
        if (request->length != ONX_USB_LINE_CODING) {
            return ONX_USB_STALL;
        }
        usb->receiving = true;
        return ONX_USB_RECEIVE;
    case (FROM | CLASS | TO_INTERFACE) << 8 | GET_LINE_CODING:
        return send(usb, request, usb->line_coding, sizeof usb->line_coding);
    case (CLASS | TO_INTERFACE) << 8 | SET_CONTROL_LINE_STATE:
        if (request->length != 0) {
            return ONX_USB_STALL;
        }
        set_dtr(usb, (request->value & 1) != 0);
        return ONX_USB_STATUS;
    default: return ONX_USB_STALL;
    }
}

enum onx_usb_action onx_usb_setup(onx_usb_control *usb, const uint8_t setup[8])
{
    const request_fields request = {
        .type = setup[0],
        .request = setup[1],
        .value = (uint16_t)(setup[2] | setup[3] << 8),
        .index = (uint16_t)(setup[4] | setup[5] << 8),
        .length = (uint16_t)(setup[6] | setup[7] << 8),
    };
    forget_transfer(usb); /* a SETUP packet ends whatever went before */
    switch (request.type & 0x7Fu) {
    case TO_DEVICE: return device_request(usb, &request);
    case TO_INTERFACE: return standard_interface_request(usb, &request);
    case TO_ENDPOINT: return endpoint_request(usb, &request);
    case CLASS | TO_INTERFACE: return serial_request(usb, &request);
    default: return ONX_USB_STALL;
    }
}

bool onx_usb_next(onx_usb_control *usb, const uint8_t **data, uint32_t *size)
{
    if (usb->left == 0) {
        const bool last = usb->zero_length;
        usb->zero_length = false;
        *size = 0;
        return last;
    }
    *data = usb->data;
    *size = usb->left < ONX_USB_PACKET ? usb->left : ONX_USB_PACKET;
    usb->data += *size;
    usb->left = (uint16_t)(usb->left - *size);
    return true;
}

/* The rate is the one change that means something, and only where it is a change: a terminal that opens the port at
   1200 baud again and again does not restart the board each time. */
enum onx_usb_action onx_usb_received(onx_usb_control *usb, const uint8_t *data, uint32_t size, uint32_t now)
{
    if (!usb->receiving) {
        return ONX_USB_IGNORE;
    }
    usb->receiving = false;
    if (size != ONX_USB_LINE_CODING) {
        return ONX_USB_STALL;
    }
    if (memcmp(usb->line_coding, data, ONX_USB_LINE_CODING) != 0) {
        memcpy(usb->line_coding, data, ONX_USB_LINE_CODING);
        const uint32_t rate =
            (uint32_t)data[0] | (uint32_t)data[1] << 8 | (uint32_t)data[2] << 16 | (uint32_t)data[3] << 24;
        if (rate == ONX_USB_TOUCH_RATE) {
            usb->touched = true;
            usb->touch_is_due = false;
            usb->touch_time = now;
        }
    }
    return ONX_USB_STATUS;
}

bool onx_usb_wants_bootloader(onx_usb_control *usb, uint32_t now)
{
    if (!usb->touched) {
        return false;
    }
    usb->touch_is_due = usb->touch_is_due || now - usb->touch_time >= ONX_USB_TOUCH_MICROSECONDS;
    return usb->touch_is_due && !usb->dtr;
}
