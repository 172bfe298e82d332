/* Convolution's windows as columns: their values one after another, as onx_tiles takes them (conv_tile.h). */
#include "conv.h"
#include "dot.h"
#include "dsp.h"

/* Copies `count` runs of n bytes. Runs are short: no call for each, and words
 * that overlap at the end. */
static inline void onx_copy_runs(int8_t *to, size_t to_step, const int8_t *from, size_t from_step, size_t n,
                                 size_t count)
{
    ONX_ROLLED
    for (; count > 0u; count--, to += to_step, from += from_step) {
        if (n < 4u) {
            ONX_ROLLED
            for (size_t i = 0; i < n; i++)
                to[i] = from[i];
        } else {
            ONX_ROLLED
            for (size_t i = 0; i < n - 4u; i += 4u)
                onx_copy_word(to + i, from + i);
            onx_copy_word(to + n - 4, from + n - 4);
        }
    }
}

/* Brings what is left behind a column's whole words into the form that
 * onx_tiles wants. */
static inline void onx_end_column(const onx_conv *c, int8_t *column)
{
    size_t tail = c->filter % 4u;
    if (tail != 0u) {
        uint32_t last = onx_load_word(column + c->filter - 4) & 0xFFFFFFFFu << (32u - 8u * tail);
        ONX_COPY(column + c->filter - tail, &last, sizeof last);
    }
}

/* Copies `taps` taps of each of `rows` rows. */
static inline void onx_copy_taps(const onx_conv *c, int8_t *to, const int8_t *x, size_t rows, size_t taps)
{
    size_t count = c->group_channels, row = (size_t)c->w.kernel * count;
    size_t x_row = (size_t)c->h.dilation * (size_t)c->width * c->channels;
    if (c->is_contiguous) {
        onx_copy_runs(to, row, x, x_row, taps * count, rows);
    } else {
        ONX_ROLLED
        for (; rows > 0u; rows--, to += row, x += x_row)
            onx_copy_runs(to, count, x, (size_t)c->w.dilation * c->channels, count, taps);
    }
}

void onx_conv_column(const onx_conv *c, const int8_t *image, int8_t *column, int32_t iy, int32_t ix)
{
    onx_taps rows = onx_taps_inside(iy, c->h.dilation, c->h.kernel, c->height);
    onx_taps columns = onx_taps_inside(ix, c->w.dilation, c->w.kernel, c->width);
    size_t taps = (size_t)(columns.end - columns.first), count = c->group_channels, filter = c->filter;
    size_t row = (size_t)c->w.kernel * count, width = (size_t)c->width;
    size_t inside = taps > 0u ? (size_t)(rows.end - rows.first) : 0u; /* rows */
    uint32_t padding = (uint8_t)c->padding * 0x01010101u;
    if (inside * taps * count != filter)
        for (size_t i = 0; i < filter; i += 4u) /* a column may be written up to a whole word */
            ONX_COPY(column + i, &padding, sizeof padding);
    if (inside > 0u) {
        size_t y = (size_t)(iy + rows.first * c->h.dilation), x = (size_t)(ix + columns.first * c->w.dilation);
        onx_copy_taps(c, column + (size_t)rows.first * row + (size_t)columns.first * count,
                      image + (y * width + x) * c->channels, inside, taps);
    }
    onx_end_column(c, column);
}

void onx_conv_whole_column(const onx_conv *c, const int8_t *x, int8_t *column)
{
    onx_copy_taps(c, column, x, (size_t)c->h.kernel, (size_t)c->w.kernel);
    onx_end_column(c, column);
}
