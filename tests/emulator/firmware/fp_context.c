/* A computation in FPU registers, interrupted every 50 us by a handler that uses them too. RESULT(0), (1): sums with
 * and without. */
#include "chip.h"

static volatile uint32_t ticks;
static volatile float noise, first;

INTERRUPT void timer0(void)
{
    TIMER(0, 0x140) = 0;
    (void)TIMER(0, 0x140);
    float x = noise;
    for (uint32_t i = 0; i < 8; i++) {
        x = x * 1.5f + (float)i;
    }
    noise = x;
    ticks++;
}

static __attribute__((noinline)) float compute(void)
{
    float a = first, b = 0.5f, c = 0.25f, d = 3.0f;
    for (uint32_t i = 0; i < 20000; i++) {
        a = a * 0.999f + b;
        b = b * 1.0001f - c * 0.001f;
        c = c + d * 0.0001f;
        d = d - a * 0.00001f;
    }
    return a + b + c + d;
}

int main(void)
{
    ticks = 0;
    noise = 0;
    first = 1.0f;
    union {
        float f;
        uint32_t u;
    } result;
    result.f = compute();
    RESULT(0) = result.u;
    TIMER(0, 0x508) = 3;
    TIMER(0, 0x510) = 4;
    TIMER(0, 0x540) = 50;
    TIMER(0, 0x200) = 1;
    TIMER(0, 0x304) = 1u << 16;
    SCS(0x100) = 1u << 8;
    TIMER(0, 0x000) = 1;
    result.f = compute();
    RESULT(1) = result.u;
    TIMER(0, 0x004) = 1;
    SCS(0x180) = 1u << 8;
    RESULT(2) = ticks;
    done();
}
