/* What a kernel is: the interface between the engine and ops/<stem>.c. */
#ifndef ONX_KERNEL_H
#define ONX_KERNEL_H

#include "model_reader.h"
#include "onnxino.h"

#define ONX_MAX_RANK 6
#define ONX_NEVER UINT32_MAX /* safe offset of an output that may not overlap the input */

/* A tensor of an operator. data is NULL while the model is being verified, except for constants. */
typedef struct {
    void *data;
    const int32_t *shape; /* rank dimensions of 1 or more */
    uint32_t rank;
    uint32_t count; /* elements; below 2^31 */
    uint8_t type;   /* enum onx_element_type */
    int32_t zero_point;
    float scale;
} onx_tensor;

/* One operator of a model, for verification (arena == NULL) or for running it. */
typedef struct {
    const onx_model *model;
    uint8_t *arena;
    onx_fb_operator op;
    const uint8_t *attributes; /* the operator's table: onx_fb_<stem> t = { call->attributes } */
} onx_call;

/* One way to compute an operator. Of several kernels, the first with the file's weight layout runs. */
typedef struct {
    uint8_t layout;                            /* enum onx_weight_layout; UNSET for operators without */
    onx_status (*check)(const onx_call *call); /* shapes, lengths and ranges, before anything below is called */
    void (*run)(const onx_call *call);
    uint32_t (*scratch)(const onx_call *call);                     /* bytes it needs; NULL: none */
    uint32_t (*safe_offset)(const onx_call *call, uint32_t input); /* see docs/format.md; NULL: ONX_NEVER */
} onx_kernel;

/* The kernels of one operator kind, and how many inputs it takes (0: one or more). All have one output. */
typedef struct {
    const onx_kernel *kernels;
    uint8_t count;
    uint8_t inputs;
} onx_operator;

/* Indexed by the union's tag. A build for one model may link a table of its own (see kernels.c). */
extern const onx_operator onx_operators[];
extern const uint32_t onx_operator_kinds;

/* The kernel that serves an operator of the file, or NULL. */
const onx_kernel *onx_kernel_for(onx_fb_operator op);

onx_call onx_call_of(const onx_model *model, uint8_t *arena, uint32_t operator_index);
onx_tensor onx_tensor_of(const onx_model *model, uint8_t *arena, uint32_t tensor_index);
onx_tensor onx_input_of(const onx_call *call, uint32_t index);
onx_tensor onx_output_of(const onx_call *call, uint32_t index);

static inline onx_fb_model onx_root(const onx_model *model)
{
    onx_fb_model root = { model->root };
    return root;
}

/* --- helpers for the kernels' checks --- */

int onx_is_finite(float v);
int onx_is_scale(float v); /* finite and above 0 */
int onx_same_shape(const onx_tensor *a, const onx_tensor *b);
/* Bytes of one element of enum onx_element_type; 0: no tensor has it. */
uint32_t onx_element_size(uint32_t type);
/* The same type in both, of those that operators move without looking at the values: Int8, Int32, Float32. */
int onx_can_move(const onx_tensor *from, const onx_tensor *to);
/* Every element of the tensor is an int8. */
static inline int onx_is_int8(const onx_tensor *t) { return t->type == ONX_ELEMENT_TYPE_INT8; }
/* Every element of the tensor is a float32. */
static inline int onx_is_float(const onx_tensor *t) { return t->type == ONX_ELEMENT_TYPE_FLOAT32; }
/* What sums of int8 products can be written to. */
static inline int onx_takes_sums(const onx_tensor *t) { return onx_is_int8(t) || onx_is_float(t); }
/* `out` is `in` with each axis in the set `axes` (bit i: axis i) of size 1, or without them; [1] where none is left. */
int onx_is_reduced(const onx_tensor *in, const onx_tensor *out, uint32_t axes);
/* Scales are finite and above 0, one or `channels` of them; minimum <= maximum. */
int onx_requantization_fits(onx_fb_requantization r, uint32_t channels);
/* Int8 weights of exactly `size` bytes. */
int onx_weights_fit(onx_fb_weights w, uint64_t size);

/* --- one table per operator kind, each in ops/<stem>.c --- */
extern const onx_kernel onx_conv2d_kernels[1];
extern const onx_kernel onx_depthwise_conv2d_kernels[1];
extern const onx_kernel onx_fully_connected_kernels[1];
extern const onx_kernel onx_add_kernels[1];
extern const onx_kernel onx_mul_kernels[1];
extern const onx_kernel onx_max_pool2d_kernels[1];
extern const onx_kernel onx_average_pool2d_kernels[1];
extern const onx_kernel onx_mean2d_kernels[1];
extern const onx_kernel onx_softmax_kernels[1];
extern const onx_kernel onx_lookup_kernels[1];
extern const onx_kernel onx_concat_kernels[1];
extern const onx_kernel onx_transpose_kernels[1];
extern const onx_kernel onx_quantize_kernels[1];
extern const onx_kernel onx_dequantize_kernels[1];
extern const onx_kernel onx_fake_quantize_kernels[1];
extern const onx_kernel onx_float_conv2d_kernels[1];
extern const onx_kernel onx_float_fully_connected_kernels[1];
extern const onx_kernel onx_float_mat_mul_kernels[1];
extern const onx_kernel onx_float_max_pool2d_kernels[1];
extern const onx_kernel onx_float_average_pool2d_kernels[1];
extern const onx_kernel onx_float_reduce_kernels[1];
extern const onx_kernel onx_arg_max_kernels[1];
extern const onx_kernel onx_take_kernels[1];
extern const onx_kernel onx_pad_kernels[1];
extern const onx_kernel onx_float_unary_kernels[1];
extern const onx_kernel onx_float_binary_kernels[1];
extern const onx_kernel onx_float_softmax_kernels[1];

#endif
