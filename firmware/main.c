/* The program: take bytes from the lines, answer, sleep. */
#include "device.h"

/* How long to poll after a byte before sleeping, and after a disturbance before the UART's receiver starts anew. */
#define IDLE_MICROSECONDS 5000u

static onx_device device;

void onx_fault_report(const uint32_t words[8])
{
    onx_fault_note(onx_board_fault_record(), words);
    onx_device_fault(&device, words);
}

void onx_main(void)
{
    onx_device_start(&device);
    uint32_t last = onx_board_microseconds();
    for (;;) {
        if (onx_device_poll(&device)) {
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
