/* Onnxino's C runtime: runs a .oxm model in place. No malloc, no globals; the caller owns every byte.
 *
 *     onx_model model;
 *     onx_session session;
 *     onx_status status = onx_model_open(&model, data, size);              // verifies the file completely
 *     if (status == ONX_OK)
 *         status = onx_session_open(&session, &model, arena, sizeof arena);
 *     if (status == ONX_OK) {
 *         memcpy(onx_input(&session, 0), pixels, onx_input_size(&model, 0));
 *         status = onx_run(&session);                                      // then read onx_output(&session, 0)
 *     }
 *
 * docs/c-api.md shows a complete program. */
#ifndef ONNXINO_H
#define ONNXINO_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define ONX_ALIGNMENT 16 /* of the model's and the arena's address, in bytes */

typedef enum {
    ONX_OK = 0,
    ONX_ERROR_ARGUMENT = -1,  /* a NULL pointer, or an index that does not exist */
    ONX_ERROR_ADDRESS = -2,   /* the model or the arena does not begin at a multiple of ONX_ALIGNMENT */
    ONX_ERROR_TRUNCATED = -3, /* fewer bytes than the header needs or states */
    ONX_ERROR_MAGIC = -4,     /* not a .oxm file */
    ONX_ERROR_VERSION = -5,   /* a newer format: needs the release onx_model.needed_version */
    ONX_ERROR_HEADER = -6,    /* the header states what the format does not allow */
    ONX_ERROR_CRC = -7,       /* the file is damaged: the checksum differs */
    ONX_ERROR_STRUCTURE = -8, /* the flatbuffer is malformed */
    ONX_ERROR_TENSOR = -9,    /* a tensor's shape, type, scale, alias or data is wrong; onx_model.where is its index */
    ONX_ERROR_PORT = -10,     /* a graph input or output is wrong; where: its index, outputs after inputs */
    ONX_ERROR_OPERATOR = -11, /* an operator's operands or attributes do not fit together; where: its index */
    ONX_ERROR_UNSUPPORTED = -12, /* no kernel in this build for an operator's kind, type or layout; where: its index */
    ONX_ERROR_ORDER = -13,       /* an operator reads what is not written, or writes a tensor twice; where: its index */
    ONX_ERROR_PLAN = -14,        /* the memory plan overlaps, or leaves the arena; where: the tensor's index */
    ONX_ERROR_ARENA_SIZE = -15,  /* the model's arena does not end where its plan does, or the caller's is smaller */
} onx_status;

/* A verified model. Filled by onx_model_open; read-only for the caller. */
typedef struct {
    const uint8_t *data;        /* the file */
    uint32_t size;              /* its size in bytes, as its header states */
    uint32_t where;             /* on an error: index of what is wrong (see onx_status) */
    uint16_t needed_version[3]; /* major, minor and patch of the Onnxino release that reads this file */
    const uint8_t *root;        /* the flatbuffer's root table */
} onx_model;

/* Element types of device tensors, as in the file. */
enum {
    ONX_INT8 = 1,    /* quantized: real = (value - zero_point) * scale */
    ONX_INT32 = 5,   /* indices */
    ONX_FLOAT32 = 6, /* real values */
};

/* A graph input or output as the device holds it. */
typedef struct {
    const char *name;     /* of the ONNX graph's input or output */
    const int32_t *shape; /* as the device holds it (NHWC), batch included */
    uint32_t rank;
    uint32_t size;      /* bytes */
    uint8_t type;       /* ONX_INT8, ONX_INT32 or ONX_FLOAT32 */
    float scale;        /* of ONX_INT8 */
    int32_t zero_point; /* of ONX_INT8 */
} onx_port_info;

struct onx_session;

/* Called before (after == 0) and after (after == 1) each operator: profiling, intermediate results, watchdogs. */
typedef void (*onx_hook)(void *user, const struct onx_session *session, uint32_t operator_index, int after);

/* One runnable instance: a model and the memory for its activations. Sessions of one model share nothing else. */
typedef struct onx_session {
    const onx_model *model;
    uint8_t *arena;
    onx_hook hook; /* NULL for none; the caller may set it at any time between runs */
    void *user;    /* passed to the hook */
} onx_session;

/* Verifies `size` bytes at `data` (address a multiple of 16) as docs/format.md says, completely and without reading
 * outside; what follows the file inside `size` is ignored. `data` must outlive the model and stay unchanged. */
onx_status onx_model_open(onx_model *model, const void *data, size_t size);

/* Bytes of arena that a session of this model needs. */
uint32_t onx_model_arena_size(const onx_model *model);
const char *onx_model_name(const onx_model *model);
uint32_t onx_model_input_count(const onx_model *model);
uint32_t onx_model_output_count(const onx_model *model);
uint32_t onx_model_operator_count(const onx_model *model);
uint32_t onx_model_tensor_count(const onx_model *model);
const char *onx_operator_name(const onx_model *model, uint32_t index); /* NULL for a wrong index */
uint32_t onx_operator_kind(const onx_model *model, uint32_t index);    /* tag of the union Kernel; 0: wrong index */

/* Bytes of a graph input or output; 0 for a wrong index. */
size_t onx_input_size(const onx_model *model, uint32_t index);
size_t onx_output_size(const onx_model *model, uint32_t index);
onx_status onx_input_info(const onx_model *model, uint32_t index, onx_port_info *info);
onx_status onx_output_info(const onx_model *model, uint32_t index, onx_port_info *info);

/* Prepares a session in `arena` (address a multiple of 16, at least onx_model_arena_size bytes, owned by the caller).
 * `model` must outlive the session. hook is cleared. */
onx_status onx_session_open(onx_session *session, const onx_model *model, void *arena, size_t arena_size);

/* Where to write an input before each run (running overwrites inputs) and to read an output after it; NULL: no such. */
void *onx_input(const onx_session *session, uint32_t index);
const void *onx_output(const onx_session *session, uint32_t index);

/* Bytes of any tensor of the model, for hooks: valid from the operator that writes it to the last that reads it. */
const void *onx_tensor_data(const onx_session *session, uint32_t index, size_t *size);

/* Runs all operators. */
onx_status onx_run(onx_session *session);

/* CRC-32 (IEEE 802.3, as zlib's) of more bytes after those that gave `crc`; begin with 0. */
uint32_t onx_crc32(uint32_t crc, const void *data, size_t size);

/* English text for a status; "" in builds with ONX_NO_STATUS_TEXT. */
const char *onx_status_text(onx_status status);

#ifdef __cplusplus
}
#endif

#endif
