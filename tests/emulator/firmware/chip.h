/* Registers and start-up for the emulator's test programs: each defines main(), run after the vectors, .data is not
 * used. */
#include <stdint.h>

#define REG(address) (*(volatile uint32_t *)(address))
#define UARTE(offset) REG(0x40002000u + (offset))
#define NVMC(offset) REG(0x4001E000u + (offset))
#define TIMER(n, offset) REG(0x40008000u + 0x1000u * (n) + (offset))
#define RTC1(offset) REG(0x40011000u + (offset))
#define POWER(offset) REG(0x40000000u + (offset))
#define SCS(offset) REG(0xE000E000u + (offset))
#define DWT(offset) REG(0xE0001000u + (offset))

#define STARTRX 0x00
#define STOPRX 0x04
#define STARTTX 0x08
#define FLUSHRX 0x2C
#define RXDRDY 0x108
#define ENDRX 0x110
#define ENDTX 0x120
#define ERROR 0x124
#define RXTO 0x144

#define INTERRUPT __attribute__((used))

#define INTERRUPT __attribute__((used))

int main(void);

static inline void hfxo_on(void)
{
    POWER(0x100) = 0;
    POWER(0x000) = 1;
    while (POWER(0x100) == 0) {
    }
}

static inline void uart_on(void)
{
    hfxo_on();
    UARTE(0x500) = 0;
    UARTE(0x50C) = 32 + 3;
    UARTE(0x514) = 32 + 10;
    UARTE(0x524) = 0x10000000;
    UARTE(0x500) = 8;
}

static inline void uart_send(const void *data, uint32_t size)
{
    UARTE(0x544) = (uint32_t)(uintptr_t)data;
    UARTE(0x548) = size;
    UARTE(ENDTX) = 0;
    UARTE(STARTTX) = 1;
    while (UARTE(ENDTX) == 0) {
    }
}

/* The results of a program: words that the test reads at 0x20000000. */
#define RESULT(n) REG(0x20000000u + 4u * (n))

static inline void done(void)
{
    for (;;) {
        __asm volatile("cpsid i\n wfi");
    }
}
