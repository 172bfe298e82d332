/* Convolution of one pixel, whatever the operator's numbers: what the tiles of conv_tiled.c do not serve. */
#include "conv.h"
#include "dot.h"

/* The window of one pixel. */
typedef struct {
    onx_patch patch;
    size_t skipped; /* weights of a filter before those of the first tap inside */
    onx_taps rows, columns;
    int needs_padding; /* taps outside count, with input_zero_point as their value */
} onx_conv_window;

/* Sum of a filter's weights whose taps lie outside of the image. */
static uint32_t onx_conv_outside(const onx_conv *c, const int8_t *w, onx_taps rows, onx_taps columns)
{
    size_t row = (size_t)c->w.kernel * c->group_channels;
    size_t left = (size_t)columns.first * c->group_channels, right = (size_t)columns.end * c->group_channels;
    uint32_t sum = 0;
    for (int32_t ky = 0; ky < c->h.kernel; ky++, w += row) {
        int is_outside = ky < rows.first || ky >= rows.end;
        for (size_t i = 0; i < (is_outside ? row : left); i++)
            sum += onx_multiply(w[i], 1);
        for (size_t i = is_outside ? row : right; i < row; i++)
            sum += onx_multiply(w[i], 1);
    }
    return sum;
}

/* Output channels m to m + 3. */
static ONX_APART void onx_conv_four(const onx_conv *c, const onx_conv_window *v, const int8_t *x, size_t m, void *y)
{
    const int8_t *filter = c->weights + m * c->filter;
    const int32_t *bias = c->bias + m;
    uint32_t acc[4] = { (uint32_t)bias[0], (uint32_t)bias[1], (uint32_t)bias[2], (uint32_t)bias[3] };
    onx_dot4(acc, x, filter + v->skipped, c->filter, &v->patch);
    if (v->needs_padding)
        for (size_t i = 0; i < 4u; i++)
            acc[i] += (uint32_t)c->padding * onx_conv_outside(c, filter + i * c->filter, v->rows, v->columns);
    onx_finish4(&c->requantizer, y, m, acc);
}

/* Output channel m. */
static ONX_APART void onx_conv_one(const onx_conv *c, const onx_conv_window *v, const int8_t *x, size_t m, void *y)
{
    const int8_t *filter = c->weights + m * c->filter;
    uint32_t acc = onx_dot((uint32_t)c->bias[m], x, filter + v->skipped, &v->patch);
    if (v->needs_padding)
        acc += (uint32_t)c->padding * onx_conv_outside(c, filter, v->rows, v->columns);
    onx_finish(&c->requantizer, y, m, (int32_t)acc);
}

void onx_conv_pixel(const onx_conv *c, const int8_t *image, void *y, int32_t oy, int32_t ox)
{
    int32_t iy = oy * c->h.stride - c->h.before, ix = ox * c->w.stride - c->w.before;
    onx_taps rows = onx_taps_inside(iy, c->h.dilation, c->h.kernel, c->height);
    onx_taps columns = onx_taps_inside(ix, c->w.dilation, c->w.kernel, c->width);
    size_t taps = (size_t)(columns.end - columns.first), w_row = (size_t)c->w.kernel * c->group_channels;
    int is_border = rows.end - rows.first != c->h.kernel || columns.end - columns.first != c->w.kernel;
    const onx_conv_window v = {
        .patch = {
            .rows = taps > 0u ? (size_t)(rows.end - rows.first) : 0u,
            .runs = c->is_contiguous ? 1u : taps,
            .run = c->is_contiguous ? taps * c->group_channels : c->group_channels,
            .x_row = (size_t)c->h.dilation * (size_t)c->width * c->channels,
            .x_run = (size_t)c->w.dilation * c->channels,
            .w_row = w_row,
            .w_run = c->group_channels,
        },
        .skipped = (size_t)rows.first * w_row + (size_t)columns.first * c->group_channels,
        .rows = rows,
        .columns = columns,
        .needs_padding = is_border && c->padding != 0,
    };
    const int8_t *x = image;
    if (v.patch.rows > 0u)
        x += ((size_t)(iy + rows.first * c->h.dilation) * (size_t)c->width
              + (size_t)(ix + columns.first * c->w.dilation))
             * c->channels;
    for (size_t first = 0; first < c->outputs; first += c->group_outputs, x += c->group_channels) {
        size_t m = first, end = first + c->group_outputs;
        for (; end - m >= 4u; m += 4u)
            onx_conv_four(c, &v, x, m, y);
        for (; m < end; m++)
            onx_conv_one(c, &v, x, m, y);
    }
}
