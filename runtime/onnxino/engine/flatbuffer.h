/* Reading a flatbuffer in place: the primitives of model_reader.h. Callers have verified the buffer. */
#ifndef ONX_FLATBUFFER_H
#define ONX_FLATBUFFER_H

#include <stddef.h>
#include <stdint.h>

#if __has_include(<string.h>)
#include <string.h>
#else /* a freestanding compiler without a C library: whoever links provides these, which compilers call anyway */
void *memcpy(void *to, const void *from, size_t size);
void *memset(void *to, int value, size_t size);
int memcmp(const void *a, const void *b, size_t size);
#endif

#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "Onnxino reads weights in place and therefore needs a little-endian processor"
#endif

/* memcpy of a few bytes, for the compiler to turn into a load or a move: with -ffreestanding, it calls memcpy itself.
 */
#ifdef __GNUC__
#define ONX_COPY(to, from, size) __builtin_memcpy(to, from, size)
#else
#define ONX_COPY(to, from, size) memcpy(to, from, size)
#endif

/* Vectors of the file: pointers into it. count is 0 and data NULL where the field is absent. */
#define ONX_FB_VECTOR(name, type) \
    typedef struct {              \
        const type *data;         \
        uint32_t count;           \
    } name
ONX_FB_VECTOR(onx_u8s, uint8_t);
ONX_FB_VECTOR(onx_i8s, int8_t);
ONX_FB_VECTOR(onx_i32s, int32_t);
ONX_FB_VECTOR(onx_u32s, uint32_t);
ONX_FB_VECTOR(onx_f32s, float);

/* text ends with a NUL that length does not count; NULL where the field is absent. */
typedef struct {
    const char *text;
    uint32_t length;
} onx_string;

/* A number at any address. */
#define ONX_FB_READ(tag, type)                              \
    static inline type onx_fb_read_##tag(const uint8_t *at) \
    {                                                       \
        type v;                                             \
        ONX_COPY(&v, at, sizeof v);                         \
        return v;                                           \
    }
ONX_FB_READ(u8, uint8_t)
ONX_FB_READ(i8, int8_t)
ONX_FB_READ(u16, uint16_t)
ONX_FB_READ(i16, int16_t)
ONX_FB_READ(u32, uint32_t)
ONX_FB_READ(i32, int32_t)
ONX_FB_READ(f32, float)

/* Address of a table's field by its slot in the vtable (4, 6, 8 ...), or NULL where the file leaves it out. */
static inline const uint8_t *onx_fb_field_at(const uint8_t *table, uint32_t slot)
{
    const uint8_t *vtable = table - onx_fb_read_i32(table);
    uint32_t offset = slot < onx_fb_read_u16(vtable) ? onx_fb_read_u16(vtable + slot) : 0u;
    return offset != 0u ? table + offset : NULL;
}

/* A table's number, or `absent` where the file leaves it out. */
#define ONX_FB_NUMBER(tag, type)                                                      \
    static inline type onx_fb_##tag(const uint8_t *table, uint32_t slot, type absent) \
    {                                                                                 \
        const uint8_t *at = onx_fb_field_at(table, slot);                             \
        return at != NULL ? onx_fb_read_##tag(at) : absent;                           \
    }
ONX_FB_NUMBER(u8, uint8_t)
ONX_FB_NUMBER(i8, int8_t)
ONX_FB_NUMBER(u16, uint16_t)
ONX_FB_NUMBER(i16, int16_t)
ONX_FB_NUMBER(u32, uint32_t)
ONX_FB_NUMBER(i32, int32_t)
ONX_FB_NUMBER(f32, float)

/* What an offset field points to (a table, a string or a vector's length word), or NULL. */
static inline const uint8_t *onx_fb_target(const uint8_t *table, uint32_t slot)
{
    const uint8_t *at = onx_fb_field_at(table, slot);
    return at != NULL ? at + onx_fb_read_u32(at) : NULL;
}

static inline uint32_t onx_fb_count(const uint8_t *table, uint32_t slot)
{
    const uint8_t *at = onx_fb_target(table, slot);
    return at != NULL ? onx_fb_read_u32(at) : 0u;
}

/* First element of a vector. Verification has proved the alignment that its element type needs. */
static inline const void *onx_fb_data(const uint8_t *table, uint32_t slot)
{
    const uint8_t *at = onx_fb_target(table, slot);
    return at != NULL ? at + 4 : NULL;
}

/* Element of a vector of tables or strings. */
static inline const uint8_t *onx_fb_element(const uint8_t *table, uint32_t slot, uint32_t index)
{
    const uint8_t *at = onx_fb_target(table, slot) + 4u + 4u * (size_t)index;
    return at + onx_fb_read_u32(at);
}

static inline onx_string onx_fb_string_at(const uint8_t *at)
{
    onx_string s = { NULL, 0u };
    if (at != NULL) {
        s.text = (const char *)(at + 4);
        s.length = onx_fb_read_u32(at);
    }
    return s;
}

/* Descriptors of the schema for the structural verifier (structure.c). */
enum {
    ONX_FB_SCALAR, /* size bytes inline, value at most limit where limit is not 0 */
    ONX_FB_STRUCT, /* size bytes inline */
    ONX_FB_TABLE,  /* offset to a table described by tables[type] */
    ONX_FB_STRING,
    ONX_FB_UNION,   /* offset to a table; the tag is the byte in the slot before, its tables begin at type */
    ONX_FB_SCALARS, /* vector of elements of size bytes */
    ONX_FB_STRINGS, /* vector of strings */
    ONX_FB_TABLES,  /* vector of tables described by tables[type] */
};

typedef struct {
    uint8_t kind;
    uint8_t slot;  /* byte position in the vtable */
    uint8_t size;  /* inline bytes, or bytes of a vector's element */
    uint8_t align; /* of the inline value, or of a vector's first element */
    uint8_t limit; /* greatest value of an enum or bool, greatest tag of a union; 0: any */
    uint8_t type;  /* index of a table, or of a union's first table */
    uint8_t required;
} onx_fb_field;

typedef struct {
    const onx_fb_field *fields;
    uint32_t count;
} onx_fb_table;

#endif
