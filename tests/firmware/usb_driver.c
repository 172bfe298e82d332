/* The control endpoint's logic behind stdin and stdout, a line for each step:
 *   S <16 hex digits>   a SETUP packet          -> <action> [<bytes of all packets of the answer, sizes> ...]
 *   D <time> <hex>      a data packet           -> <action>
 *   R                   bus reset               -> 0
 *   B <time>            is the bootloader due?  -> 0 or 1
 *   ?                   state                   -> configuration halted cleared changes dtr */
#include <stdio.h>
#include <string.h>

#include "usb_control.h"

static onx_usb_control usb;

static size_t bytes_of(const char *hex, uint8_t *out, size_t capacity)
{
    size_t count = 0;
    unsigned value;
    while (count < capacity && sscanf(hex + 2 * count, "%2x", &value) == 1) {
        out[count++] = (uint8_t)value;
    }
    return count;
}

static void print_packets(void)
{
    const uint8_t *data = NULL;
    uint32_t size = 0;
    while (onx_usb_next(&usb, &data, &size)) {
        printf(" %u:", (unsigned)size);
        for (uint32_t i = 0; i < size; i++) {
            printf("%02x", data[i]);
        }
    }
}

int main(void)
{
    char line[512];
    uint8_t bytes[128];
    memcpy(usb.serial_number, "0123456789ABCDEF", sizeof usb.serial_number);
    onx_usb_start(&usb);
    while (fgets(line, sizeof line, stdin) != NULL) {
        unsigned time = 0;
        char hex[300] = "";
        enum onx_usb_action action;
        switch (line[0]) {
        case 'S':
            bytes_of(line + 2, bytes, 8);
            action = onx_usb_setup(&usb, bytes);
            printf("%d", (int)action);
            if (action == ONX_USB_SEND) {
                print_packets();
            }
            printf("\n");
            break;
        case 'D':
            sscanf(line + 2, "%u %299s", &time, hex);
            printf("%d\n", (int)onx_usb_received(&usb, bytes, (uint32_t)bytes_of(hex, bytes, sizeof bytes), time));
            break;
        case 'R':
            onx_usb_bus_reset(&usb);
            printf("0\n");
            break;
        case 'B':
            sscanf(line + 2, "%u", &time);
            printf("%d\n", onx_usb_wants_bootloader(&usb, time) ? 1 : 0);
            break;
        default:
            printf("%d %d %d %d %d\n", usb.configuration, usb.halted, usb.cleared, usb.changes, usb.dtr);
            usb.cleared = 0;
            usb.changes = 0;
            break;
        }
        fflush(stdout);
    }
    return 0;
}
