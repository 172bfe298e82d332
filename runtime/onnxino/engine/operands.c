/* Access to an operator's tensors, and the checks that many kernels share. */
#include "kernel.h"

static uint8_t onx_layout_of(onx_fb_operator op)
{
    const uint8_t *at = onx_fb_operator_kernel(op);
    onx_fb_conv2d conv = { at };
    onx_fb_depthwise_conv2d depthwise = { at };
    onx_fb_fully_connected dense = { at };
    onx_fb_float_conv2d float_conv = { at };
    onx_fb_float_fully_connected float_dense = { at };
    switch (onx_fb_operator_kernel_type(op)) {
    case ONX_KERNEL_CONV2D: return onx_fb_weights_layout(onx_fb_conv2d_weights(conv));
    case ONX_KERNEL_DEPTHWISE_CONV2D: return onx_fb_weights_layout(onx_fb_depthwise_conv2d_weights(depthwise));
    case ONX_KERNEL_FULLY_CONNECTED: return onx_fb_weights_layout(onx_fb_fully_connected_weights(dense));
    case ONX_KERNEL_FLOAT_CONV2D: return onx_fb_weights_layout(onx_fb_float_conv2d_weights(float_conv));
    case ONX_KERNEL_FLOAT_FULLY_CONNECTED:
        return onx_fb_weights_layout(onx_fb_float_fully_connected_weights(float_dense));
    default: return ONX_WEIGHT_LAYOUT_UNSET;
    }
}

const onx_kernel *onx_kernel_for(onx_fb_operator op)
{
    uint32_t kind = onx_fb_operator_kernel_type(op);
    uint8_t layout = onx_layout_of(op);
    if (kind < onx_operator_kinds)
        for (uint32_t i = 0; i < onx_operators[kind].count; i++)
            if (onx_operators[kind].kernels[i].layout == layout)
                return &onx_operators[kind].kernels[i];
    return NULL;
}

onx_call onx_call_of(const onx_model *model, uint8_t *arena, uint32_t operator_index)
{
    onx_fb_operator op = onx_fb_model_operators_at(onx_root(model), operator_index);
    onx_call call = { model, arena, op, onx_fb_operator_kernel(op) };
    return call;
}

onx_tensor onx_tensor_of(const onx_model *model, uint8_t *arena, uint32_t tensor_index)
{
    onx_fb_tensor t = onx_fb_model_tensors_at(onx_root(model), tensor_index);
    onx_i32s shape = onx_fb_tensor_shape(t);
    onx_tensor v = {
        NULL, shape.data, shape.count, 1u, onx_fb_tensor_type(t), onx_fb_tensor_zero_point(t), onx_fb_tensor_scale(t)
    };
    for (uint32_t i = 0; i < shape.count; i++)
        v.count *= (uint32_t)shape.data[i];
    int32_t base = onx_fb_tensor_alias_of(t);
    if (base >= 0)
        t = onx_fb_model_tensors_at(onx_root(model), (uint32_t)base);
    const uint8_t *constant = onx_fb_tensor_data(t).data;
    if (constant != NULL)
        v.data = (void *)(uintptr_t)constant; /* kernels write outputs only, which are no constants */
    else if (arena != NULL)
        v.data = arena + onx_fb_tensor_offset(t);
    return v;
}

onx_tensor onx_input_of(const onx_call *call, uint32_t index)
{
    return onx_tensor_of(call->model, call->arena, onx_fb_operator_inputs(call->op).data[index]);
}

onx_tensor onx_output_of(const onx_call *call, uint32_t index)
{
    return onx_tensor_of(call->model, call->arena, onx_fb_operator_outputs(call->op).data[index]);
}

uint32_t onx_element_size(uint32_t type)
{
    static const uint8_t sizes[] = { 0, 1, 1, 2, 2, 4, 4, 0 }; /* Int64 is a type of ports only */
    return type < sizeof sizes ? sizes[type] : 0u;
}

int onx_can_move(const onx_tensor *from, const onx_tensor *to)
{
    int known = from->type == ONX_ELEMENT_TYPE_INT8 || from->type == ONX_ELEMENT_TYPE_INT32
                || from->type == ONX_ELEMENT_TYPE_FLOAT32;
    return known && from->type == to->type;
}

int onx_is_finite(float v)
{
    uint32_t bits;
    ONX_COPY(&bits, &v, sizeof bits);
    return (bits & 0x7F800000u) != 0x7F800000u;
}

int onx_is_scale(float v) { return onx_is_finite(v) && v > 0.0f; }

int onx_same_shape(const onx_tensor *a, const onx_tensor *b)
{
    return a->rank == b->rank && memcmp(a->shape, b->shape, a->rank * sizeof a->shape[0]) == 0;
}

int onx_is_reduced(const onx_tensor *in, const onx_tensor *out, uint32_t axes)
{
    uint32_t kept = 0, same = in->rank == out->rank;
    for (uint32_t i = 0; same && i < in->rank; i++)
        same = out->shape[i] == ((axes >> i & 1u) != 0u ? 1 : in->shape[i]);
    if (same)
        return 1;
    for (uint32_t i = 0; i < in->rank; i++) {
        if ((axes >> i & 1u) != 0u)
            continue;
        if (kept >= out->rank || out->shape[kept] != in->shape[i])
            return 0;
        kept++;
    }
    return kept == out->rank || (kept == 0u && out->rank == 1u && out->shape[0] == 1);
}

int onx_requantization_fits(onx_fb_requantization r, uint32_t channels)
{
    onx_f32s scale = onx_fb_requantization_scale(r);
    if (scale.count != 1u && scale.count != channels)
        return 0;
    for (uint32_t i = 0; i < scale.count; i++)
        if (!onx_is_scale(scale.data[i]))
            return 0;
    return onx_fb_requantization_minimum(r) <= onx_fb_requantization_maximum(r);
}

int onx_weights_fit(onx_fb_weights w, uint64_t size)
{
    return onx_fb_weights_type(w) == ONX_ELEMENT_TYPE_INT8 && onx_fb_weights_data(w).count == size;
}
