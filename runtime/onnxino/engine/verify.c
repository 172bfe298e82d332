/* Tensors, ports and operators: does the file state what can be true? (docs/format.md, "What a reader verifies", 2 to
 * 4) */
#include "verify.h"

static onx_fb_tensor onx_tensor_table(const onx_model *model, uint32_t index)
{
    return onx_fb_model_tensors_at(onx_root(model), index);
}

uint32_t onx_base_of(const onx_model *model, uint32_t tensor)
{
    int32_t base = onx_fb_tensor_alias_of(onx_tensor_table(model, tensor));
    return base >= 0 ? (uint32_t)base : tensor;
}

int onx_is_constant(const onx_model *model, uint32_t base)
{
    return onx_fb_tensor_data(onx_tensor_table(model, base)).data != NULL;
}

int onx_is_graph_input(const onx_model *model, uint32_t base)
{
    for (uint32_t i = 0; i < onx_model_input_count(model); i++)
        if (onx_base_of(model, onx_fb_port_tensor(onx_fb_model_inputs_at(onx_root(model), i))) == base)
            return 1;
    return 0;
}

/* Elements of a shape with dimensions of 1 or more and rank 1 to 6, or 0 where it is none or has 2^31 elements or more.
 * With `symbolic`, dimensions of -1 count 1. */
static uint32_t onx_elements_of(onx_i32s shape, uint32_t least_rank, int symbolic)
{
    uint64_t count = 1;
    if (shape.count < least_rank || shape.count > ONX_MAX_RANK)
        return 0u;
    for (uint32_t i = 0; i < shape.count; i++) {
        if (symbolic && shape.data[i] == -1)
            continue;
        if (shape.data[i] < 1)
            return 0u;
        count *= (uint32_t)shape.data[i];
        if (count > INT32_MAX)
            return 0u;
    }
    return (uint32_t)count;
}

/* Absent, or each of 0 .. rank - 1 once. */
static int onx_is_permutation(onx_u8s perm, uint32_t rank)
{
    uint32_t seen = 0;
    if (perm.data == NULL)
        return 1;
    if (perm.count != rank)
        return 0;
    for (uint32_t i = 0; i < rank; i++) {
        if (perm.data[i] >= rank || (seen >> perm.data[i] & 1u) != 0u)
            return 0;
        seen |= 1u << perm.data[i];
    }
    return 1;
}

uint64_t onx_tensor_bytes(const onx_model *model, uint32_t tensor)
{
    onx_fb_tensor t = onx_tensor_table(model, tensor);
    return (uint64_t)onx_elements_of(onx_fb_tensor_shape(t), 1u, 0) * onx_element_size(onx_fb_tensor_type(t));
}

static int onx_tensor_is_sound(const onx_model *model, uint32_t index)
{
    onx_fb_tensor t = onx_tensor_table(model, index);
    onx_i32s shape = onx_fb_tensor_shape(t);
    onx_u8s data = onx_fb_tensor_data(t);
    uint64_t bytes = onx_tensor_bytes(model, index);
    int32_t base = onx_fb_tensor_alias_of(t);
    if (bytes == 0u || !onx_is_permutation(onx_fb_tensor_perm(t), shape.count) || !onx_is_scale(onx_fb_tensor_scale(t)))
        return 0;
    if (base < -1 || base >= (int32_t)index)
        return 0;
    if (base >= 0) {
        onx_fb_tensor origin = onx_tensor_table(model, (uint32_t)base);
        if (data.data != NULL || onx_fb_tensor_alias_of(origin) != -1 || onx_is_constant(model, (uint32_t)base))
            return 0;
        return onx_tensor_bytes(model, (uint32_t)base) == bytes
               && onx_fb_tensor_offset(origin) == onx_fb_tensor_offset(t);
    }
    if (data.data != NULL)
        return data.count == bytes;
    uint32_t offset = onx_fb_tensor_offset(t), arena = onx_model_arena_size(model);
    return offset % ONX_ALIGNMENT == 0u && offset <= arena && bytes <= arena - offset;
}

onx_status onx_verify_tensors(onx_model *model)
{
    for (uint32_t i = 0; i < onx_model_tensor_count(model); i++) {
        model->where = i;
        if (i > INT32_MAX || !onx_tensor_is_sound(model, i))
            return ONX_ERROR_TENSOR;
    }
    return ONX_OK;
}

/* May a port show the ONNX type `port` of a device tensor? */
static int onx_types_agree(uint32_t tensor, uint32_t port)
{
    switch (tensor) {
    case ONX_ELEMENT_TYPE_INT8:
        return port == ONX_ELEMENT_TYPE_INT8 || port == ONX_ELEMENT_TYPE_UINT8 || port == ONX_ELEMENT_TYPE_FLOAT32;
    case ONX_ELEMENT_TYPE_INT32: return port == ONX_ELEMENT_TYPE_INT64;
    case ONX_ELEMENT_TYPE_FLOAT32: return port == ONX_ELEMENT_TYPE_FLOAT32;
    default: return 0;
    }
}

static int onx_port_is_sound(const onx_model *model, onx_fb_port port)
{
    uint32_t tensor = onx_fb_port_tensor(port), type = onx_fb_port_type(port);
    onx_i32s shape = onx_fb_port_shape(port);
    if (tensor >= onx_model_tensor_count(model))
        return 0;
    onx_fb_tensor t = onx_tensor_table(model, tensor);
    if (!onx_types_agree(onx_fb_tensor_type(t), type) || !onx_is_permutation(onx_fb_port_perm(port), shape.count))
        return 0;
    uint32_t names = onx_fb_port_dimension_names_count(port);
    if (names != 0u && names != shape.count)
        return 0;
    return onx_elements_of(shape, 0u, 1) == onx_elements_of(onx_fb_tensor_shape(t), 1u, 0);
}

onx_status onx_verify_ports(onx_model *model)
{
    uint32_t inputs = onx_model_input_count(model), outputs = onx_model_output_count(model);
    if (inputs == 0u || outputs == 0u)
        return ONX_ERROR_PORT;
    for (uint32_t i = 0; i < inputs + outputs; i++) {
        int is_input = i < inputs;
        onx_fb_port port = is_input ? onx_fb_model_inputs_at(onx_root(model), i)
                                    : onx_fb_model_outputs_at(onx_root(model), i - inputs);
        model->where = i;
        if (!onx_port_is_sound(model, port))
            return ONX_ERROR_PORT;
        if (is_input && onx_is_constant(model, onx_base_of(model, onx_fb_port_tensor(port))))
            return ONX_ERROR_PORT;
    }
    return ONX_OK;
}

/* Operators before `limit` that write the bytes of `base`. */
static uint32_t onx_writers(const onx_model *model, uint32_t base, uint32_t limit)
{
    uint32_t writers = 0;
    for (uint32_t i = 0; i < limit; i++) {
        onx_u32s outputs = onx_fb_operator_outputs(onx_fb_model_operators_at(onx_root(model), i));
        for (uint32_t j = 0; j < outputs.count; j++)
            writers += onx_base_of(model, outputs.data[j]) == base ? 1u : 0u;
    }
    return writers;
}

static int onx_is_written_before(const onx_model *model, uint32_t tensor, uint32_t limit)
{
    uint32_t base = onx_base_of(model, tensor);
    return onx_is_constant(model, base) || onx_is_graph_input(model, base) || onx_writers(model, base, limit) > 0u;
}

static onx_status onx_verify_operands(const onx_model *model, onx_fb_operator op, const onx_operator *kind,
                                      uint32_t index)
{
    onx_u32s inputs = onx_fb_operator_inputs(op), outputs = onx_fb_operator_outputs(op);
    uint32_t tensors = onx_model_tensor_count(model);
    if (outputs.count != 1u || inputs.count == 0u || (kind->inputs != 0u && inputs.count != kind->inputs))
        return ONX_ERROR_OPERATOR;
    for (uint32_t i = 0; i < inputs.count; i++)
        if (inputs.data[i] >= tensors)
            return ONX_ERROR_OPERATOR;
    if (outputs.data[0] >= tensors)
        return ONX_ERROR_OPERATOR;
    for (uint32_t i = 0; i < inputs.count; i++)
        if (!onx_is_written_before(model, inputs.data[i], index))
            return ONX_ERROR_ORDER;
    return onx_is_written_before(model, outputs.data[0], index) ? ONX_ERROR_ORDER : ONX_OK;
}

onx_status onx_verify_operators(onx_model *model)
{
    uint32_t count = onx_model_operator_count(model), inputs = onx_model_input_count(model);
    uint64_t operands = 0; /* hostile files share one long list among many operators, which would take for ever */
    for (uint32_t i = 0; i < count; i++) {
        onx_call call = onx_call_of(model, NULL, i);
        const onx_kernel *kernel = onx_kernel_for(call.op);
        model->where = i;
        if (kernel == NULL)
            return ONX_ERROR_UNSUPPORTED;
        operands += onx_fb_operator_inputs(call.op).count;
        if (operands > model->size / 4u)
            return ONX_ERROR_STRUCTURE;
        onx_status status =
            onx_verify_operands(model, call.op, &onx_operators[onx_fb_operator_kernel_type(call.op)], i);
        if (status == ONX_OK)
            status = kernel->check(&call);
        if (status != ONX_OK)
            return status;
        if (kernel->scratch != NULL && onx_fb_operator_scratch_size(call.op) < kernel->scratch(&call))
            return ONX_ERROR_OPERATOR;
    }
    for (uint32_t i = 0; i < onx_model_output_count(model); i++) {
        model->where = inputs + i;
        if (!onx_is_written_before(model, onx_fb_port_tensor(onx_fb_model_outputs_at(onx_root(model), i)), count))
            return ONX_ERROR_PORT;
    }
    return ONX_OK;
}
