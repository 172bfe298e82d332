/* -DCASE: 1 send from flash, 2 no HFXO, 3 ENABLE = 4, 4 other pins, 5 receive into the last bytes past RAM. */
#include "chip.h"

static const uint8_t constant[4] = { 1, 2, 3, 4 };
static uint8_t variable[4];

int main(void)
{
    if (CASE != 2) {
        hfxo_on();
    }
    UARTE(0x500) = 0;
    UARTE(0x50C) = CASE == 4 ? 7 : 32 + 3;
    UARTE(0x514) = 32 + 10;
    UARTE(0x500) = CASE == 3 ? 4 : 8;
    if (CASE == 5) {
        UARTE(0x534) = 0x2003FFFE;
        UARTE(0x538) = 4;
        UARTE(STARTRX) = 1;
    }
    UARTE(0x544) = (uint32_t)(uintptr_t)(CASE == 1 ? constant : variable);
    UARTE(0x548) = 4;
    UARTE(STARTTX) = 1;
    done();
}
