/* The program: take bytes from the serial line, answer, sleep. */
#include "device.h"

/* How long to poll after a byte before sleeping, and after a disturbance before the receiver starts anew. */
#define IDLE_MICROSECONDS 5000u

static onx_device device;

void onx_fault_report(const uint32_t words[8]) { onx_device_fault(&device, words); }

void onx_main(void)
{
    uint8_t bytes[128];
    onx_device_start(&device);
    uint32_t last = onx_board_microseconds();
    for (;;) {
        const size_t count = onx_board_read(bytes, sizeof bytes);
        if (count > 0) {
            onx_device_receive(&device, bytes, count);
            last = onx_board_microseconds();
        } else if (onx_board_microseconds() - last >= IDLE_MICROSECONDS) {
            if (device.disturbed) {
                device.disturbed = false;
                onx_board_resynchronise();
            }
            onx_board_wait();
            last = onx_board_microseconds();
        }
    }
}
