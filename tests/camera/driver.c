/* driver MODEL FORMAT WIDTH HEIGHT FIT FRAMES OUTPUT: converts each frame of a file; prints the status and sizes. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "camera/camera.h"

/* Memory of exactly this size at a multiple of 16, so that a sanitizer sees every step outside. */
static void *aligned(size_t size) { return aligned_alloc(16, (size + 15u) / 16u * 16u); }

static unsigned char *read_file(const char *path, size_t *size)
{
    FILE *file = fopen(path, "rb");
    if (file == NULL)
        exit(2);
    fseek(file, 0, SEEK_END);
    *size = (size_t)ftell(file);
    rewind(file);
    unsigned char *data = aligned(*size + 1u);
    if (fread(data, 1, *size, file) != *size)
        exit(2);
    fclose(file);
    return data;
}

int main(int count, char **arguments)
{
    if (count != 8)
        return 2;
    size_t size, frames_size;
    unsigned char *data = read_file(arguments[1], &size), *frames = read_file(arguments[6], &frames_size);
    onx_model model;
    onx_camera camera;
    if (onx_model_open(&model, data, size) != ONX_OK)
        return 3;
    onx_camera_status status =
        onx_camera_open(&camera, &model, (uint32_t)atoi(arguments[2]), (uint32_t)atoi(arguments[3]),
                        (uint32_t)atoi(arguments[4]), (uint32_t)atoi(arguments[5]));
    if (status != ONX_CAMERA_OK) {
        printf("%d\n", (int)status);
        free(data);
        free(frames);
        return 0;
    }
    printf("0 %u %u\n", (unsigned)camera.frame_size, (unsigned)camera.scratch_size);
    size_t input_size = onx_input_size(&model, 0);
    void *frame = malloc(camera.frame_size), *input = malloc(input_size), *scratch = malloc(camera.scratch_size);
    FILE *output = fopen(arguments[7], "wb");
    if (frame == NULL || input == NULL || scratch == NULL || output == NULL)
        return 2;
    for (size_t at = 0; at + camera.frame_size <= frames_size; at += camera.frame_size) {
        memcpy(frame, frames + at, camera.frame_size);
        memset(input, 0xA5, input_size);
        onx_camera_convert(&camera, frame, input, scratch);
        fwrite(input, 1, input_size, output);
    }
    fclose(output);
    free(frame);
    free(input);
    free(scratch);
    free(data);
    free(frames);
    return 0;
}
