/* Waits for a byte, computes (int8 dot products and some branches), answers with the sum's lowest byte. */
#include "chip.h"

static int8_t a[256], b[256];

int main(void)
{
    static volatile uint8_t byte;
    for (uint32_t i = 0; i < 256; i++) {
        a[i] = (int8_t)(i * 7);
        b[i] = (int8_t)(i * 13);
    }
    uart_on();
    SCS(0xDFC) = 1u << 24;
    DWT(0) = 1;
    for (;;) {
        UARTE(0x534) = (uint32_t)(uintptr_t)&byte;
        UARTE(0x538) = 1;
        UARTE(ENDRX) = 0;
        UARTE(STARTRX) = 1;
        while (UARTE(ENDRX) == 0) {
        }
        uint32_t start = DWT(4);
        int32_t sum = 0;
        for (uint32_t round = 0; round < 20u * byte; round++) {
            for (uint32_t i = 0; i < 256; i++) {
                sum += a[i] * b[(i + round) & 255];
                if (sum & 0x10000) {
                    sum ^= (int32_t)round;
                }
            }
        }
        RESULT(0) = DWT(4) - start;
        byte = (uint8_t)sum;
        uart_send((const void *)&byte, 1);
    }
}
