/* Computes a while (sorting, division, floats, IT blocks, 64-bit products), then ends: BKPT 0xAB is QEMU's way out. */
#include "chip.h"

int main(void)
{
    static uint32_t values[96];
    uint32_t seed = 1;
    float sum = 0.0f;
    uint64_t product = 1;
    for (uint32_t i = 0; i < 96; i++) {
        seed = seed * 1664525u + 1013904223u;
        values[i] = seed >> 8;
    }
    for (uint32_t i = 1; i < 96; i++) {
        const uint32_t value = values[i];
        uint32_t j = i;
        for (; j > 0 && values[j - 1] > value; j--) {
            values[j] = values[j - 1];
        }
        values[j] = value;
    }
    for (uint32_t i = 0; i < 96; i++) {
        sum += (float)values[i] / (float)(i + 1);
        product = product * (values[i] | 1) + (values[i] % 7 > 3 ? values[i] / 3 : i);
        __asm volatile("cmp %0, #8\n ite hi\n addhi %0, #1\n subls %0, #1" : "+r"(seed)::"cc");
    }
    RESULT(0) = (uint32_t)product;
    RESULT(1) = (uint32_t)(product >> 32);
    RESULT(2) = (uint32_t)(int32_t)sum;
    RESULT(3) = seed;
    __asm volatile("mov r0, #0x18\n ldr r1, =0x20026\n bkpt 0xAB\n b .\n .ltorg" ::: "r0", "r1", "memory");
    return 0;
}
