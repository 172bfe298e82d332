/* Depthwise convolution, four channels at a time.
 *
 * Four channels of the rows that a window touches are copied into strips, one word for each pixel, with the zero point
 * where there is no image: so there are no borders, and a window's rows are used again for the next row of the output.
 * Images that are too wide for the strips are taken in several parts. */
#include "depthwise.h"
#include "dot.h"
#include "lanes.h"

enum { ONX_BUFFER = 1152 }; /* on the stack: weights, then strips */

typedef struct {
    const onx_depthwise *d;
    const int8_t *image; /* the first of the four channels of the first pixel */
    int8_t *strips;
    size_t strip;              /* bytes of one */
    uint32_t padding;          /* a pixel outside of the image */
    int32_t left, pixels;      /* what strips hold: image columns left to left + pixels - 1 */
    int32_t first, end;        /* pixels of a strip that lie inside of the image */
    int32_t in[ONX_MOST_ROWS]; /* the image row in each strip */
} onx_strips;

/* Copies four channels of `n` pixels. */
static ONX_APART void onx_copy_lanes(int8_t *to, const int8_t *from, size_t n, size_t channels)
{
    ONX_ROLLED
    for (; n >= 4u; n -= 4u, to += 16, from += 4u * channels) {
        uint32_t a = onx_load_word(from), b = onx_load_word(from + channels);
        uint32_t c = onx_load_word(from + 2u * channels), d = onx_load_word(from + 3u * channels);
        ONX_COPY(to, &a, sizeof a);
        ONX_COPY(to + 4, &b, sizeof b);
        ONX_COPY(to + 8, &c, sizeof c);
        ONX_COPY(to + 12, &d, sizeof d);
    }
    ONX_ROLLED
    for (; n > 0u; n--, to += 4, from += channels)
        onx_copy_word(to, from);
}

static void onx_fill_pixels(const onx_strips *s, int8_t *strip, int32_t first, int32_t end)
{
    for (; first < end; first++)
        ONX_COPY(strip + 4 * first, &s->padding, sizeof s->padding);
}

/* Fills a strip with image row iy. */
static ONX_APART void onx_fill_strip(const onx_strips *s, int8_t *strip, int32_t iy)
{
    const onx_depthwise *d = s->d;
    if (iy < 0 || iy >= d->height || s->first == s->end) {
        onx_fill_pixels(s, strip, 0, s->pixels);
        return;
    }
    onx_fill_pixels(s, strip, 0, s->first);
    onx_copy_lanes(strip + 4 * s->first,
                   s->image + ((size_t)iy * (size_t)d->width + (size_t)(s->left + s->first)) * d->channels,
                   (size_t)(s->end - s->first), d->channels);
    onx_fill_pixels(s, strip, s->end, s->pixels);
}

/* Output columns first to first + count - 1 of all rows. */
static void onx_strip_columns(onx_strips *s, onx_lanes *l, int8_t *y, int32_t first, int32_t count)
{
    const onx_depthwise *d = s->d;
    s->left = first * d->w.stride - d->w.before;
    s->pixels = (count - 1) * d->w.stride + (d->w.kernel - 1) * d->w.dilation + 1;
    s->first = s->left < 0 ? -s->left : 0;
    s->end = d->width - s->left < s->pixels ? d->width - s->left : s->pixels;
    if (s->first > s->end)
        s->first = s->end = 0;
    for (int32_t i = 0; i < d->h.kernel; i++)
        s->in[i] = INT32_MIN; /* nothing yet */
    /* Rows that follow each other take turns in the strips; those of dilated windows are filled each time. */
    int32_t step = d->h.dilation == 1 ? d->h.stride % d->h.kernel : 0, turn = 0;
    for (int32_t oy = 0, top = -d->h.before; oy < d->out_height; oy++, top += d->h.stride) {
        for (int32_t ky = 0, iy = top, place = turn; ky < d->h.kernel; ky++, iy += d->h.dilation, place++) {
            if (place == d->h.kernel)
                place = 0;
            int8_t *strip = s->strips + (size_t)place * s->strip;
            if (s->in[place] != iy)
                onx_fill_strip(s, strip, iy);
            s->in[place] = iy;
            l->rows[ky] = strip;
        }
        turn = turn + step < d->h.kernel ? turn + step : turn + step - d->h.kernel;
        l->y = y + ((size_t)oy * (size_t)d->out_width + (size_t)first) * d->outputs;
        l->y_end = l->y + (size_t)count * l->y_next;
        onx_lanes_run(l);
    }
}

int onx_depthwise_lanes(const onx_depthwise *d, const int8_t *image, int8_t *y)
{
    _Alignas(4) int8_t buffer[ONX_BUFFER];
    size_t taps = (size_t)d->h.kernel * (size_t)d->w.kernel;
    if (d->requantizer.is_float || d->multiplier != 1u || d->channels < 4u || d->h.kernel > ONX_MOST_ROWS
        || taps > ONX_BUFFER / 32)
        return 0;
    int32_t window = (d->w.kernel - 1) * d->w.dilation + 1;
    int32_t pixels = (int32_t)((ONX_BUFFER - 8u * taps) / (4u * (size_t)d->h.kernel)); /* of a strip */
    if (window > pixels)
        return 0;
    int32_t columns = (pixels - window) / d->w.stride + 1;
    onx_strips s = {
        .d = d,
        .strips = buffer + 8u * taps,
        .strip = 4u * (size_t)pixels,
        .padding = (uint8_t)d->padding * 0x01010101u,
    };
    onx_lanes l = {
        .height = (size_t)d->h.kernel,
        .width = (size_t)d->w.kernel,
        .x_tap = 4u * (size_t)d->w.dilation,
        .x_next = 4u * (size_t)d->w.stride,
        .w = (const uint32_t *)(const void *)buffer,
        .zero_point = d->requantizer.zero_point,
        .y_next = d->outputs,
    };
    for (size_t m = 0; m < d->channels; m += 4u) {
        if (m + 4u > d->channels)
            m = d->channels - 4u; /* some channels a second time */
        onx_lanes_pack((uint32_t *)(void *)buffer, d->weights + m, l.height, l.width, d->outputs);
        for (size_t i = 0; i < 4u; i++) {
            l.bias[i] = d->bias[m + i];
            l.scale[i] = d->requantizer.scale[(m + i) * d->requantizer.step];
        }
        s.image = image + m;
        for (int32_t first = 0; first < d->out_width; first += columns)
            onx_strip_columns(&s, &l, y + m, first, columns < d->out_width - first ? columns : d->out_width - first);
    }
    onx_limit(&d->requantizer, y, (size_t)d->out_height * (size_t)d->out_width * d->outputs);
    return 1;
}
