/* Four channels of a depthwise convolution, in C for any processor. */
#include "lanes.h"
#include "dot.h"

#ifndef ONX_DSP

void onx_lanes_pack(uint32_t *packed, const int8_t *w, size_t height, size_t width, size_t w_tap)
{
    for (size_t tap = height * width; tap > 0u; tap--, packed++, w += w_tap) /* one word of the two is enough here */
        *packed = onx_load_word(w);
}

void onx_lanes_run(const onx_lanes *l)
{
    float low = (float)(-128 - l->zero_point), high = (float)(127 - l->zero_point);
    size_t offset = 0;
    for (int8_t *y = l->y; y != l->y_end; y += l->y_next, offset += l->x_next) {
        uint32_t acc[4] = { (uint32_t)l->bias[0], (uint32_t)l->bias[1], (uint32_t)l->bias[2], (uint32_t)l->bias[3] };
        const int8_t *w = (const int8_t *)l->w;
        for (size_t row = 0; row < l->height; row++) {
            const int8_t *x = l->rows[row] + offset;
            for (size_t tap = 0; tap < l->width; tap++, x += l->x_tap, w += 4)
                for (size_t c = 0; c < 4u; c++)
                    acc[c] += onx_multiply(x[c], w[c]);
        }
        for (size_t c = 0; c < 4u; c++)
            y[c] = onx_requantize((int32_t)acc[c], l->scale[c], low, high, l->zero_point);
    }
}

#endif
