/* Feeds the runtime with good and damaged models; built with sanitizers, which end it on the first read outside.
 *
 *     driver run FILE            open and run; prints status, place and a checksum of the outputs
 *     driver truncate FILE       every shorter file is refused; with a repaired header: refused or run
 *     driver flip FILE SEED N    N files with one changed byte: all refused; with repaired CRC: refused or run */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/onnxino.h"

enum { ARENA_LIMIT = 1 << 16 }; /* damaged models that ask for more are not run: it would take long */

static uint32_t seed;

static uint32_t next_random(void)
{
    seed = seed * 1664525u + 1013904223u;
    return seed >> 8;
}

static void *allocate(size_t size)
{
    void *p = NULL;
    if (posix_memalign(&p, 16, size) != 0)
        exit(3);
    return p;
}

static void repair(uint8_t *data, size_t size)
{
    uint32_t crc, length = (uint32_t)size;
    memcpy(data + 12, &length, 4);
    crc = onx_crc32(onx_crc32(0, data, 16), data + 20, size - 20);
    memcpy(data + 16, &crc, 4);
}

/* Runs a model that was accepted; returns a checksum of its outputs. The arena is exactly as large as asked for. */
static uint32_t run(const onx_model *model)
{
    onx_session session;
    uint32_t size = onx_model_arena_size(model), crc = 0;
    uint8_t *arena = allocate(size + (size == 0u));
    memset(arena, 0, size);
    if (onx_session_open(&session, model, arena, size) != ONX_OK)
        exit(4);
    for (uint32_t i = 0; i < onx_model_input_count(model); i++)
        for (size_t k = 0; k < onx_input_size(model, i); k++)
            ((uint8_t *)onx_input(&session, i))[k] = (uint8_t)(k * 37u + i);
    if (onx_run(&session) != ONX_OK)
        exit(4);
    for (uint32_t i = 0; i < onx_model_output_count(model); i++)
        crc = onx_crc32(crc, onx_output(&session, i), onx_output_size(model, i));
    free(arena);
    return crc;
}

/* Opens a copy of exactly `size` bytes, so that any read outside is seen. Returns 1 where it was accepted. */
static int accepts(const uint8_t *data, size_t size)
{
    onx_model model;
    uint8_t *copy = allocate(size);
    memcpy(copy, data, size);
    onx_status status = onx_model_open(&model, copy, size);
    if (status == ONX_OK && onx_model_arena_size(&model) <= ARENA_LIMIT)
        run(&model);
    free(copy);
    return status == ONX_OK;
}

static int truncations(uint8_t *data, size_t size)
{
    uint8_t *work = allocate(size);
    unsigned long accepted = 0;
    for (size_t n = 0; n < size; n++)
        if (accepts(data, n)) {
            printf("accepted %zu of %zu bytes\n", n, size);
            return 1;
        }
    for (size_t n = 32; n < size; n++) {
        memcpy(work, data, n);
        repair(work, n);
        accepted += (unsigned long)accepts(work, n);
    }
    free(work);
    printf("refused %zu, with repaired header accepted %lu\n", size, accepted);
    return 0;
}

static int flips(uint8_t *data, size_t size, unsigned long count)
{
    unsigned long accepted = 0;
    for (unsigned long i = 0; i < count; i++) {
        size_t at = next_random() % size;
        uint8_t before = data[at], change = (uint8_t)(1u + next_random() % 255u);
        uint32_t crc;
        memcpy(&crc, data + 16, 4);
        data[at] ^= change;
        if (accepts(data, size)) {
            printf("accepted byte %zu changed to %u\n", at, data[at]);
            return 1;
        }
        repair(data, size);
        accepted += (unsigned long)accepts(data, size);
        data[at] = before;
        memcpy(data + 16, &crc, 4);
    }
    printf("refused %lu, with repaired CRC accepted %lu\n", count, accepted);
    return 0;
}

static int command(int argc, char **argv, uint8_t *data, size_t size)
{
    onx_model model;
    if (strcmp(argv[1], "truncate") == 0)
        return truncations(data, size);
    if (strcmp(argv[1], "flip") == 0 && argc == 5) {
        seed = (uint32_t)strtoul(argv[3], NULL, 10);
        return flips(data, size, strtoul(argv[4], NULL, 10));
    }
    onx_status status = onx_model_open(&model, data, size);
    uint32_t crc = status == ONX_OK ? run(&model) : 0u;
    printf("%d %u %08x %s\n", status, model.where, crc, onx_status_text(status));
    return 0;
}

int main(int argc, char **argv)
{
    static uint8_t bytes[1 << 20];
    FILE *file = argc >= 3 ? fopen(argv[2], "rb") : NULL;
    if (file == NULL)
        return 2;
    size_t size = fread(bytes, 1, sizeof bytes, file);
    fclose(file);
    uint8_t *data = allocate(size);
    memcpy(data, bytes, size);
    int result = command(argc, argv, data, size);
    free(data);
    return result;
}
