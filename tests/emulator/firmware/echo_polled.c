/* Echoes each byte, polling, one byte per DMA transfer. */
#include "chip.h"

int main(void)
{
    static volatile uint8_t byte;
    uart_on();
    for (;;) {
        UARTE(0x534) = (uint32_t)(uintptr_t)&byte;
        UARTE(0x538) = 1;
        UARTE(ENDRX) = 0;
        UARTE(STARTRX) = 1;
        while (UARTE(ENDRX) == 0) {
        }
        uart_send((const void *)&byte, 1);
    }
}
