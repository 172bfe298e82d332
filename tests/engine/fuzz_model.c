/* libFuzzer target: any bytes as a model. The header is repaired, so that the fuzzer gets past size and CRC. */
#include <stdlib.h>
#include <string.h>

#include "engine/onnxino.h"

enum { ARENA_LIMIT = 1 << 14 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    onx_model model;
    onx_session session;
    void *file = NULL, *arena = NULL;
    if (size < 32u || posix_memalign(&file, 16, size) != 0)
        return 0;
    uint8_t *bytes = file;
    uint32_t length = (uint32_t)size;
    memcpy(bytes, data, size);
    memcpy(bytes + 12, &length, 4);
    uint32_t crc = onx_crc32(onx_crc32(0, bytes, 16), bytes + 20, size - 20);
    memcpy(bytes + 16, &crc, 4);
    if (onx_model_open(&model, bytes, size) == ONX_OK && onx_model_arena_size(&model) <= ARENA_LIMIT) {
        uint32_t needed = onx_model_arena_size(&model);
        if (posix_memalign(&arena, 16, needed + 1u) == 0
            && onx_session_open(&session, &model, arena, needed) == ONX_OK) {
            memset(arena, 0, needed);
            if (onx_run(&session) != ONX_OK)
                abort();
        }
        free(arena);
    }
    free(file);
    return 0;
}
