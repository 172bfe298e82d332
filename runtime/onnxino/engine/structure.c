/* The structural verifier: walks the flatbuffer by the schema's descriptors, trusting nothing. */
#include "structure.h"

#define ONX_FB_DESCRIPTORS
#include "model_reader.h"

typedef struct {
    const uint8_t *data;
    uint32_t size;
    uint32_t budget; /* tables and strings still allowed: hostile files refer to one table many times */
} onx_span;

/* Positions are 32-bit byte offsets from the flatbuffer's first byte; every sum is checked before it is made. */
static int onx_fits(const onx_span *s, uint32_t at, uint64_t bytes, uint32_t align)
{
    return at <= s->size && bytes <= (uint64_t)(s->size - at) && at % align == 0u;
}

/* Follows the offset at `at` (verified to lie inside) to a position where `bytes` can be read. */
static int onx_follow(const onx_span *s, uint32_t at, uint32_t bytes, uint32_t *target)
{
    uint32_t offset = onx_fb_read_u32(s->data + at);
    if (offset == 0u || offset > s->size - at)
        return 0;
    *target = at + offset;
    return onx_fits(s, *target, bytes, 4u);
}

/* A vector's length word and elements; `first` is the position of the first element. */
static int onx_vector(const onx_span *s, uint32_t at, uint32_t item, uint32_t align, uint32_t *first, uint32_t *count)
{
    uint32_t start;
    if (!onx_follow(s, at, 4u, &start))
        return 0;
    *count = onx_fb_read_u32(s->data + start);
    *first = start + 4u;
    return onx_fits(s, *first, (uint64_t)*count * item, align);
}

static int onx_spend(onx_span *s)
{
    if (s->budget == 0u)
        return 0;
    s->budget--;
    return 1;
}

static int onx_text(onx_span *s, uint32_t at)
{
    uint32_t first, count;
    if (!onx_spend(s) || !onx_vector(s, at, 1u, 4u, &first, &count))
        return 0;
    return count < s->size - first && s->data[first + count] == 0u;
}

static int onx_table_at(onx_span *s, uint32_t at, uint32_t type);

static int onx_elements(onx_span *s, uint32_t at, const onx_fb_field *f)
{
    uint32_t first, count;
    if (!onx_vector(s, at, 4u, 4u, &first, &count))
        return 0;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t item = first + 4u * i;
        if (!(f->kind == ONX_FB_STRINGS ? onx_text(s, item) : onx_table_at(s, item, f->type)))
            return 0;
    }
    return 1;
}

/* One field that is present, with its inline part at `at`. `tag` belongs to unions. */
static int onx_field(onx_span *s, uint32_t at, const onx_fb_field *f, uint32_t tag)
{
    uint32_t first, count;
    switch (f->kind) {
    case ONX_FB_SCALAR: return f->limit == 0u || s->data[at] <= f->limit; /* enums and bools are one byte wide */
    case ONX_FB_STRUCT: return 1;
    case ONX_FB_TABLE: return onx_table_at(s, at, f->type);
    case ONX_FB_STRING: return onx_text(s, at);
    case ONX_FB_UNION: return tag >= 1u && tag <= f->limit && onx_table_at(s, at, f->type + tag - 1u);
    case ONX_FB_SCALARS: return onx_vector(s, at, f->size, f->align, &first, &count);
    default: return onx_elements(s, at, f);
    }
}

/* The table that the offset at `at` leads to. Recurses as deep as the schema is nested (ONX_FB_DEPTH), never deeper. */
static int onx_table_at(onx_span *s, uint32_t at, uint32_t type)
{
    const onx_fb_table *description = &onx_fb_tables[type];
    uint32_t table, tag = 0u;
    if (!onx_spend(s) || !onx_follow(s, at, 4u, &table))
        return 0;
    int64_t place = (int64_t)table - onx_fb_read_i32(s->data + table);
    if (place < 0 || place > (int64_t)s->size - 4 || place % 2 != 0)
        return 0;
    uint32_t vtable = (uint32_t)place;
    uint32_t slots = onx_fb_read_u16(s->data + vtable);
    uint32_t bytes = onx_fb_read_u16(s->data + vtable + 2u);
    if (slots < 4u || slots % 2u != 0u || bytes < 4u || !onx_fits(s, vtable, slots, 2u)
        || !onx_fits(s, table, bytes, 4u))
        return 0;
    for (uint32_t i = 0; i < description->count; i++) {
        const onx_fb_field *f = &description->fields[i];
        uint32_t offset = f->slot < slots ? onx_fb_read_u16(s->data + vtable + f->slot) : 0u;
        int is_inline = f->kind == ONX_FB_SCALAR || f->kind == ONX_FB_STRUCT;
        uint32_t width = is_inline ? f->size : 4u;
        if (offset == 0u) {
            if (f->required)
                return 0;
            tag = 0u;
            continue;
        }
        if (offset < 4u || offset + width > bytes || (table + offset) % (is_inline ? f->align : 4u) != 0u)
            return 0;
        if (!onx_field(s, table + offset, f, tag))
            return 0;
        tag = s->data[table + offset]; /* a union's tag is the field before it */
    }
    return 1;
}

const uint8_t *onx_structure_verify(const uint8_t *data, uint32_t size)
{
    onx_span s = { data, size, size / 4u }; /* each part of an honest file has an offset of its own */
    if (size < 8u || size > INT32_MAX || memcmp(data + 4, ONX_FB_IDENTIFIER, 4) != 0)
        return NULL;
    if (!onx_table_at(&s, 0u, ONX_FB_ROOT))
        return NULL;
    return data + onx_fb_read_u32(data);
}
