/* memcpy and its family for a build without a C library. Compiled with flags that keep the compiler from turning these
   loops into calls to themselves (build.py: -fno-builtin, and for GCC -fno-tree-loop-distribute-patterns). */
#include <stdint.h>
#include <string.h>

static int words_fit(const void *a, const void *b) { return (((uintptr_t)a | (uintptr_t)b) & 3u) == 0; }

void *memcpy(void *restrict to, const void *restrict from, size_t size)
{
    uint8_t *t = to;
    const uint8_t *f = from;
    if (words_fit(t, f)) {
        for (; size >= 4; size -= 4, t += 4, f += 4) {
            *(uint32_t *)(void *)t = *(const uint32_t *)(const void *)f;
        }
    }
    for (; size > 0; size--) {
        *t++ = *f++;
    }
    return to;
}

void *memmove(void *to, const void *from, size_t size)
{
    uint8_t *t = to;
    const uint8_t *f = from;
    if ((uintptr_t)t - (uintptr_t)f >= size) {
        return memcpy(to, from, size);
    }
    while (size > 0) {
        size--;
        t[size] = f[size];
    }
    return to;
}

void *memset(void *to, int value, size_t size)
{
    uint8_t *t = to;
    for (; size > 0 && ((uintptr_t)t & 3u) != 0; size--) {
        *t++ = (uint8_t)value;
    }
    const uint32_t word = (uint8_t)value * 0x01010101u;
    for (; size >= 4; size -= 4, t += 4) {
        *(uint32_t *)(void *)t = word;
    }
    for (; size > 0; size--) {
        *t++ = (uint8_t)value;
    }
    return to;
}

int memcmp(const void *a, const void *b, size_t size)
{
    const uint8_t *x = a;
    const uint8_t *y = b;
    for (size_t i = 0; i < size; i++) {
        if (x[i] != y[i]) {
            return x[i] < y[i] ? -1 : 1;
        }
    }
    return 0;
}

size_t strlen(const char *text)
{
    size_t size = 0;
    while (text[size] != 0) {
        size++;
    }
    return size;
}

/* What Clang calls for memset with 0, by the alignment that it knows (ARM's run-time ABI). */
void __aeabi_memclr(void *to, size_t size);
void __aeabi_memclr4(void *to, size_t size);
void __aeabi_memclr8(void *to, size_t size);

void __aeabi_memclr(void *to, size_t size) { memset(to, 0, size); }
void __aeabi_memclr4(void *to, size_t size) { memset(to, 0, size); }
void __aeabi_memclr8(void *to, size_t size) { memset(to, 0, size); }

/* What compilers call to divide 64-bit numbers (ARM's run-time ABI): quotient in r0 and r1, remainder in r2 and r3. GCC
   brings its own, a build with Clang alone has none. */
uint64_t onx_divide(uint64_t number, uint64_t divisor, uint64_t *remainder);

uint64_t onx_divide(uint64_t number, uint64_t divisor, uint64_t *remainder)
{
    uint64_t quotient = 0;
    uint64_t bit = 1;
    while (divisor < number && divisor >> 63 == 0) {
        divisor <<= 1;
        bit <<= 1;
    }
    for (; bit != 0 && divisor != 0; bit >>= 1, divisor >>= 1) {
        if (number >= divisor) {
            number -= divisor;
            quotient |= bit;
        }
    }
    *remainder = number;
    return quotient;
}

#if defined(__arm__) && defined(__clang__)
__attribute__((naked)) void __aeabi_uldivmod(void);

__attribute__((naked)) void __aeabi_uldivmod(void)
{
    __asm volatile("push {r4, lr}\n"
                   "sub sp, #16\n"
                   "add r4, sp, #8\n" /* the remainder goes there, and its address on the stack */
                   "str r4, [sp]\n"
                   "bl onx_divide\n"
                   "ldrd r2, r3, [sp, #8]\n"
                   "add sp, #16\n"
                   "pop {r4, pc}\n");
}
#endif
