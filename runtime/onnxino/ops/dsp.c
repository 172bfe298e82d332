/* What the kernels for DSP instructions and their twins in C share. */
#include "dsp.h"

void onx_limit(const onx_requantizer *r, int8_t *y, size_t n)
{
    int8_t low = (int8_t)((int32_t)r->low + r->zero_point), high = (int8_t)((int32_t)r->high + r->zero_point);
    if (low == -128 && high == 127)
        return;
    for (size_t i = 0; i < n; i++) {
        int8_t v = y[i] > low ? y[i] : low;
        y[i] = v < high ? v : high;
    }
}
