/* The public functions, used rightly and wrongly: api FILE.oxm (the chain of every operator). Ends with the first line
 * that does not hold. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/onnxino.h"

#define CHECK(condition)                                   \
    do {                                                   \
        if (!(condition)) {                                \
            printf("line %d: %s\n", __LINE__, #condition); \
            exit(1);                                       \
        }                                                  \
    } while (0)

static _Alignas(16) uint8_t file[1 << 16];
static _Alignas(16) uint8_t arena[1 << 14];
static _Alignas(16) uint8_t other_arena[1 << 14];

typedef struct {
    uint32_t calls;
    size_t bytes;
} log;

/* Calls come in pairs, in the order of the operators. */
static void hook(void *user, const onx_session *session, uint32_t operator_index, int after)
{
    log *l = user;
    size_t size = 0;
    CHECK(operator_index == l->calls / 2u);
    CHECK(after == (int)(l->calls % 2u));
    CHECK(onx_tensor_data(session, operator_index, &size) != NULL);
    CHECK(size > 0u);
    l->calls++;
    l->bytes += size;
}

static void check_model(onx_model *model, size_t size)
{
    static const uint8_t nine[] = "123456789";
    onx_port_info info;
    CHECK(onx_crc32(0, nine, 9) == 0xCBF43926u);
    CHECK(onx_crc32(onx_crc32(0, nine, 4), nine + 4, 5) == 0xCBF43926u);
    CHECK(onx_model_open(NULL, file, size) == ONX_ERROR_ARGUMENT);
    CHECK(onx_model_open(model, NULL, size) == ONX_ERROR_ARGUMENT);
    CHECK(onx_model_open(model, file + 8, size) == ONX_ERROR_ADDRESS);
    CHECK(onx_model_open(model, file, size - 1u) == ONX_ERROR_TRUNCATED);
    onx_session session;
    CHECK(onx_session_open(&session, model, arena, sizeof arena) == ONX_ERROR_ARGUMENT); /* not verified */
    CHECK(onx_model_open(model, file, size) == ONX_OK);
    CHECK(model->size == size && model->where == 0u);
    CHECK(model->needed_version[0] == 0u && model->needed_version[1] == 1u && model->needed_version[2] == 0u);
    CHECK(strcmp(onx_model_name(model), "small") == 0);
    CHECK(onx_model_input_count(model) == 1u && onx_model_output_count(model) == 5u);
    CHECK(onx_model_operator_count(model) == 28u && onx_model_tensor_count(model) == 32u);
    CHECK(strcmp(onx_operator_name(model, 11), "mean") == 0 && onx_operator_kind(model, 11) == 8u);
    CHECK(onx_operator_name(model, 28) == NULL && onx_operator_kind(model, 28) == 0u);
    CHECK(onx_input_info(model, 0, &info) == ONX_OK);
    CHECK(strcmp(info.name, "image") == 0 && info.rank == 4u && info.shape[3] == 3 && info.size == 90u);
    CHECK(info.type == ONX_INT8 && info.zero_point == -3 && info.scale > 0.019f && info.scale < 0.021f);
    CHECK(onx_input_info(model, 1, &info) == ONX_ERROR_ARGUMENT);
    CHECK(onx_output_info(model, 2, &info) == ONX_OK && info.type == ONX_FLOAT32 && info.size == 24u);
    CHECK(onx_output_info(model, 3, &info) == ONX_OK && info.type == ONX_INT32 && info.size == 36u);
    CHECK(onx_output_info(model, 5, &info) == ONX_ERROR_ARGUMENT);
    CHECK(onx_output_info(model, 0, NULL) == ONX_ERROR_ARGUMENT);
    CHECK(onx_input_size(model, 0) == 90u && onx_input_size(model, 1) == 0u);
    CHECK(onx_output_size(model, 1) == 8u && onx_output_size(model, 9) == 0u);
}

static void check_session(const onx_model *model)
{
    onx_session session, other;
    uint32_t size = onx_model_arena_size(model);
    log l = { 0, 0 };
    size_t bytes = 0;
    CHECK(onx_session_open(NULL, model, arena, size) == ONX_ERROR_ARGUMENT);
    CHECK(onx_session_open(&session, NULL, arena, size) == ONX_ERROR_ARGUMENT);
    CHECK(onx_session_open(&session, model, NULL, size) == ONX_ERROR_ARGUMENT);
    CHECK(onx_session_open(&session, model, arena + 4, size) == ONX_ERROR_ADDRESS);
    CHECK(onx_session_open(&session, model, arena, size - 1u) == ONX_ERROR_ARENA_SIZE);
    CHECK(onx_session_open(&session, model, arena, size) == ONX_OK);
    CHECK(onx_session_open(&other, model, other_arena, sizeof other_arena) == ONX_OK);
    CHECK(onx_input(&session, 1) == NULL && onx_output(&session, 5) == NULL
          && onx_tensor_data(&session, 32, NULL) == NULL);
    CHECK(onx_tensor_data(&session, 3, &bytes) != NULL && bytes == 4u); /* a constant lies in the file */
    CHECK(onx_run(NULL) == ONX_ERROR_ARGUMENT);
    session.hook = hook;
    session.user = &l;
    memset(onx_input(&session, 0), 7, 90);
    memset(onx_input(&other, 0), -7, 90);
    CHECK(onx_run(&session) == ONX_OK && onx_run(&other) == ONX_OK);
    CHECK(l.calls == 56u && l.bytes > 500u);
    CHECK(memcmp(onx_output(&session, 0), onx_output(&other, 0), 6) != 0);
    memset(onx_input(&other, 0), 7, 90);
    CHECK(onx_run(&other) == ONX_OK);
    CHECK(memcmp(onx_output(&session, 0), onx_output(&other, 0), 6) == 0);
    CHECK(memcmp(onx_output(&session, 1), onx_output(&other, 1), 8) == 0);
}

int main(int argc, char **argv)
{
    onx_model model;
    FILE *f = argc == 2 ? fopen(argv[1], "rb") : NULL;
    CHECK(f != NULL);
    size_t size = fread(file, 1, sizeof file, f);
    fclose(f);
    memset(&model, 0, sizeof model);
    check_model(&model, size);
    check_session(&model);
    CHECK(onx_status_text(ONX_OK)[0] != '\0' && strcmp(onx_status_text((onx_status)-99), "unknown status") == 0);
    puts("ok");
    return 0;
}
