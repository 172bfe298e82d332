/* Convolution by tiles of two filters and two positions.
 *
 * Positions whose windows lie inside of the image are streamed where a pair of
 * filters fits into the buffer: filters outside, positions inside, so that
 * weights are widened once. The others, and all where filters are larger, are
 * taken by twos, positions outside, filters inside; where a window is not made
 * of whole words or reaches over the border, its values are gathered in the
 * buffer first, with the zero point where there is no image. */
#include "conv.h"
#include "conv_tile.h"
#include "dot.h"

/* On the stack. Two columns of 3 x 3 windows of 64 channels; two widened
 * filters of 288 weights. */
enum { ONX_BUFFER = 1152, ONX_COLUMN = ONX_BUFFER / 2, ONX_LEAST_STREAM = 16, ONX_LEAST_RUN = 16 };

/* A rectangle of output positions. */
typedef struct {
    onx_taps rows, columns; /* first <= position < end */
} onx_area;

/* One group of an image. */
typedef struct {
    const onx_conv *c;
    const int8_t *image; /* the group's channels of the first pixel */
    int8_t *y;           /* the group's channels of the first pixel */
    onx_tiles tiles;     /* x, x_skip and y: of the positions that wait */
    size_t waiting;      /* 0 or 1 */
    int is_direct;       /* windows inside of the image can be read where they are */
    int has_columns;     /* windows fit into half of the buffer */
    int8_t *buffer;      /* ONX_BUFFER bytes at a multiple of 4 */
} onx_group;

/* Positions along an axis whose windows lie inside of the image. */
static onx_taps onx_inside_of(onx_axis a, int32_t size, int32_t outputs)
{
    onx_taps inside = { (a.before + a.stride - 1) / a.stride, 0 };
    int32_t last = size - 1 - (a.kernel - 1) * a.dilation + a.before; /* where the last window starts, when padded */
    if (last >= 0)
        inside.end = last / a.stride + 1;
    if (inside.end > outputs)
        inside.end = outputs;
    if (inside.first > inside.end)
        inside.first = inside.end;
    return inside;
}

static const int8_t *onx_pixel(const onx_group *g, int32_t iy, int32_t ix)
{
    return g->image + ((size_t)iy * (size_t)g->c->width + (size_t)ix) * g->c->channels;
}

static int8_t *onx_result(const onx_group *g, int32_t oy, int32_t ox)
{
    return g->y + ((size_t)oy * (size_t)g->c->out_width + (size_t)ox) * g->c->outputs;
}

/* --- streams: filters outside, positions inside --- */

/* `count` positions of a row. Of an odd number, the last two are a pair even if
 * that computes one again. */
static ONX_APART void onx_stream_positions(onx_stream *s, const int8_t *x, int8_t *y, size_t count)
{
    size_t x_next = s->x_next, y_next = s->y_next;
    s->x = x;
    s->y = y;
    s->pairs = count / 2u;
    if (s->pairs > 0u)
        onx_stream_run(s);
    if (count % 2u != 0u) {
        if (count == 1u)
            s->x_next = s->y_next = 0u;
        else
            count -= 1u;
        s->x = x + (count - 1u) * s->x_next;
        s->y = y + (count - 1u) * s->y_next;
        s->pairs = 1u;
        onx_stream_run(s);
        s->x_next = x_next;
        s->y_next = y_next;
    }
}

/* Whether the rows of an area follow each other without a gap in both images,
 * and the window is of one row. */
static int onx_is_one_row(const onx_conv *c, onx_area area)
{
    int32_t width = area.columns.end - area.columns.first;
    return width == c->width && width == c->out_width && c->h.stride == 1 && c->h.kernel == 1;
}

static ONX_APART void onx_stream_area(const onx_group *g, onx_area area)
{
    const onx_conv *c = g->c;
    const onx_tiles *t = &g->tiles;
    int32_t x_start = area.columns.first * c->w.stride - c->w.before;
    size_t width = (size_t)(area.columns.end - area.columns.first), rows = (size_t)(area.rows.end - area.rows.first);
    onx_stream s = {
        .x_next = (size_t)c->w.stride * c->channels,
        .x_skip = (size_t)c->h.dilation * (size_t)c->width * c->channels - t->run,
        .run = t->run,
        .runs = t->runs,
        .w = (const uint32_t *)(const void *)g->buffer,
        .zero_point = t->zero_point,
        .y_next = c->outputs,
    };
    if (onx_is_one_row(c, area)) {
        width *= rows;
        rows = 1u;
    }
    for (size_t m = 0; m < c->group_outputs; m += 2u) {
        if (m + 1u == c->group_outputs)
            m--;
        onx_stream_pack((uint32_t *)(void *)g->buffer, t->w + m * c->filter, c->filter);
        for (size_t i = 0; i < 2u; i++) {
            s.bias[i] = t->bias[m + i];
            s.scale[i] = t->scale[(m + i) * t->scale_step];
        }
        for (size_t row = 0; row < rows; row++) {
            int32_t oy = area.rows.first + (int32_t)row;
            onx_stream_positions(&s, onx_pixel(g, oy * c->h.stride - c->h.before, x_start),
                                 onx_result(g, oy, area.columns.first) + m, width);
        }
    }
}

/* --- pairs: positions outside, filters inside --- */

/* All filters for the positions that wait. */
static ONX_APART void onx_finish_pair(onx_group *g)
{
    onx_tiles *t = &g->tiles;
    size_t outputs = g->c->group_outputs;
    if (g->waiting == 1u) {
        t->x[1] = t->x[0];
        t->x_skip[1] = t->x_skip[0];
        t->y[1] = t->y[0];
    }
    g->waiting = 0;
    t->pairs = outputs / 2u;
    onx_tiles_run(t);
    if (outputs % 2u != 0u) { /* the last filter, and the one before it again */
        onx_tiles last = *t;
        size_t m = outputs - 2u;
        last.w += m * t->depth;
        last.bias += m;
        last.scale += m * t->scale_step;
        last.y[0] += m;
        last.y[1] += m;
        last.pairs = 1u;
        onx_tiles_run(&last);
    }
}

/* Another position waits: its values at x (a column, if x_skip is 0), its
 * results at y. */
static inline void onx_add_position(onx_group *g, const int8_t *x, size_t x_skip, int8_t *y)
{
    size_t i = g->waiting++;
    g->tiles.x[i] = x;
    g->tiles.x_skip[i] = x_skip;
    g->tiles.y[i] = y;
    if (g->waiting == 2u)
        onx_finish_pair(g);
}

/* Output columns first to end - 1 of row oy, whose windows lie inside of the
 * image. */
static ONX_APART void onx_add_inside(onx_group *g, int32_t oy, int32_t first, int32_t end)
{
    const onx_conv *c = g->c;
    int32_t iy = oy * c->h.stride - c->h.before, ix = first * c->w.stride - c->w.before;
    size_t x_row = (size_t)c->h.dilation * (size_t)c->width * c->channels;
    const int8_t *x = onx_pixel(g, iy, ix);
    int8_t *y = onx_result(g, oy, first);
    for (; first < end; first++, x += (size_t)c->w.stride * c->channels, y += c->outputs) {
        int8_t *column = g->buffer + g->waiting * ONX_COLUMN;
        if (g->is_direct) {
            onx_add_position(g, x, x_row - g->tiles.run, y);
            continue;
        }
        onx_conv_whole_column(c, x, column);
        onx_add_position(g, column, 0u, y);
    }
}

/* Output columns first to end - 1 of row oy, whose windows may reach over the
 * border. */
static ONX_APART void onx_add_border(onx_group *g, int32_t oy, int32_t first, int32_t end)
{
    const onx_conv *c = g->c;
    for (; first < end && g->has_columns; first++) {
        int8_t *column = g->buffer + g->waiting * ONX_COLUMN;
        onx_conv_column(c, g->image, column, oy * c->h.stride - c->h.before, first * c->w.stride - c->w.before);
        onx_add_position(g, column, 0u, onx_result(g, oy, first));
    }
}

static void onx_conv_group(onx_group *g, onx_area inside)
{
    const onx_conv *c = g->c;
    int32_t first = inside.columns.first, end = inside.columns.end, streamed = first;
    size_t count = (size_t)(inside.rows.end - inside.rows.first) * (size_t)(end - first);
    if (g->is_direct && 4u * c->filter <= ONX_BUFFER && count >= ONX_LEAST_STREAM) {
        streamed = end; /* of rows with an odd number, one is left for the pairs below */
        if ((end - first) % 2 != 0 && end - first > 1 && !onx_is_one_row(c, inside))
            streamed--;
        onx_area area = { inside.rows, { first, streamed } };
        onx_stream_area(g, area);
    }
    for (int32_t oy = 0; oy < c->out_height; oy++) {
        if (oy < inside.rows.first || oy >= inside.rows.end) {
            onx_add_border(g, oy, 0, c->out_width);
            continue;
        }
        onx_add_border(g, oy, 0, first);
        onx_add_inside(g, oy, streamed, end);
        onx_add_border(g, oy, end, c->out_width);
    }
    if (g->waiting > 0u)
        onx_finish_pair(g);
}

/* Positions whose windows reach over the border, where filters are larger than
 * columns. */
static void onx_conv_borders(const onx_conv *c, const int8_t *image, int8_t *y, onx_area inside)
{
    for (int32_t oy = 0; oy < c->out_height; oy++) {
        int is_row_inside = oy >= inside.rows.first && oy < inside.rows.end;
        for (int32_t ox = 0; ox < c->out_width; ox++, y += c->outputs)
            if (!is_row_inside || ox < inside.columns.first || ox >= inside.columns.end)
                onx_conv_pixel(c, image, y, oy, ox);
    }
}

int onx_conv_tiled(const onx_conv *c, const int8_t *image, void *y)
{
    _Alignas(4) int8_t buffer[ONX_BUFFER];
    onx_area inside = { onx_inside_of(c->h, c->height, c->out_height), onx_inside_of(c->w, c->width, c->out_width) };
    size_t step = c->requantizer.step, row = (size_t)c->w.kernel * c->group_channels;
    int fits = c->filter <= ONX_COLUMN;
    int is_direct =
        row % 4u == 0u && (c->is_contiguous || c->w.kernel == 1) && (row >= ONX_LEAST_RUN || c->h.kernel == 1 || !fits);
    if (c->requantizer.is_float || c->group_outputs < 2u || c->filter < 4u || !(fits || is_direct))
        return 0;
    for (size_t first = 0; first < c->outputs; first += c->group_outputs) {
        onx_group g = {
        .c = c,
        .image = image + first / c->group_outputs * c->group_channels,
        .y = (int8_t *)y + first,
        .tiles =
            {
                .run = is_direct ? row : c->filter / 4u * 4u,
                .runs = is_direct ? (size_t)c->h.kernel : 1u,
                .depth = c->filter,
                .w = c->weights + first * c->filter,
                .bias = c->bias + first,
                .scale = c->requantizer.scale + first * step,
                .scale_step = step,
                .zero_point = c->requantizer.zero_point,
            },
        .is_direct = is_direct,
        .has_columns = fits,
        .buffer = buffer,
    };
        onx_conv_group(&g, inside);
    }
    onx_limit(&c->requantizer, y, (size_t)c->out_height * (size_t)c->out_width * c->outputs);
    if (!fits)
        onx_conv_borders(c, image, y, inside);
    return 1;
}
