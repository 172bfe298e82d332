/* Opening a model: header, checksum, structure, tensors, ports and operators; and what callers may ask of it. */
#include "structure.h"
#include "verify.h"

#define ONX_HEADER_SIZE 32u
#define ONX_FORMAT_MAJOR 1u
#define ONX_FORMAT_MINOR 1u

static onx_status onx_verify_header(onx_model *model, size_t available)
{
    static const uint8_t magic[4] = { 0x4F, 0x58, 0x4D, 0x1A };
    const uint8_t *h = model->data;
    if (available < ONX_HEADER_SIZE)
        return ONX_ERROR_TRUNCATED;
    if (memcmp(h, magic, sizeof magic) != 0)
        return ONX_ERROR_MAGIC;
    model->needed_version[0] = h[8];
    model->needed_version[1] = h[9];
    model->needed_version[2] = onx_fb_read_u16(h + 10);
    uint32_t major = onx_fb_read_u16(h + 4), minor = onx_fb_read_u16(h + 6);
    if (major > ONX_FORMAT_MAJOR || (major == ONX_FORMAT_MAJOR && minor > ONX_FORMAT_MINOR))
        return ONX_ERROR_VERSION;
    model->size = onx_fb_read_u32(h + 12);
    if (major != ONX_FORMAT_MAJOR || model->size < ONX_HEADER_SIZE || model->size % ONX_ALIGNMENT != 0u)
        return ONX_ERROR_HEADER;
    if (model->size > available)
        return ONX_ERROR_TRUNCATED;
    uint32_t crc = onx_crc32(onx_crc32(0u, h, 16u), h + 20, model->size - 20u);
    if (crc != onx_fb_read_u32(h + 16))
        return ONX_ERROR_CRC;
    for (uint32_t i = 20; i < ONX_HEADER_SIZE; i++)
        if (h[i] != 0u)
            return ONX_ERROR_HEADER;
    return ONX_OK;
}

onx_status onx_model_open(onx_model *model, const void *data, size_t size)
{
    if (model == NULL || data == NULL)
        return ONX_ERROR_ARGUMENT;
    memset(model, 0, sizeof *model);
    if ((uintptr_t)data % ONX_ALIGNMENT != 0u)
        return ONX_ERROR_ADDRESS;
    model->data = data;
    onx_status status = onx_verify_header(model, size);
    if (status == ONX_OK) {
        model->root = onx_structure_verify(model->data + ONX_HEADER_SIZE, model->size - ONX_HEADER_SIZE);
        status = model->root != NULL ? ONX_OK : ONX_ERROR_STRUCTURE;
    }
    if (status == ONX_OK)
        status = onx_verify_tensors(model);
    if (status == ONX_OK)
        status = onx_verify_ports(model);
    if (status == ONX_OK)
        status = onx_verify_operators(model);
    if (status == ONX_OK)
        status = onx_verify_plan(model);
    if (status != ONX_OK)
        model->root = NULL; /* nothing else accepts a model that is not verified */
    return status;
}

/* --- questions --- */

uint32_t onx_model_arena_size(const onx_model *model) { return onx_fb_model_arena_size(onx_root(model)); }
const char *onx_model_name(const onx_model *model) { return onx_fb_model_name(onx_root(model)).text; }
uint32_t onx_model_input_count(const onx_model *model) { return onx_fb_model_inputs_count(onx_root(model)); }
uint32_t onx_model_output_count(const onx_model *model) { return onx_fb_model_outputs_count(onx_root(model)); }
uint32_t onx_model_operator_count(const onx_model *model) { return onx_fb_model_operators_count(onx_root(model)); }
uint32_t onx_model_tensor_count(const onx_model *model) { return onx_fb_model_tensors_count(onx_root(model)); }

const char *onx_operator_name(const onx_model *model, uint32_t index)
{
    if (index >= onx_model_operator_count(model))
        return NULL;
    return onx_fb_operator_name(onx_fb_model_operators_at(onx_root(model), index)).text;
}

uint32_t onx_operator_kind(const onx_model *model, uint32_t index)
{
    if (index >= onx_model_operator_count(model))
        return 0u;
    return onx_fb_operator_kernel_type(onx_fb_model_operators_at(onx_root(model), index));
}

static void onx_port_describe(const onx_model *model, onx_fb_port port, onx_port_info *info)
{
    onx_tensor t = onx_tensor_of(model, NULL, onx_fb_port_tensor(port));
    info->name = onx_fb_port_name(port).text;
    info->shape = t.shape;
    info->rank = t.rank;
    info->size = (uint32_t)onx_tensor_bytes(model, onx_fb_port_tensor(port));
    info->type = t.type;
    info->scale = t.scale;
    info->zero_point = t.zero_point;
}

onx_status onx_input_info(const onx_model *model, uint32_t index, onx_port_info *info)
{
    if (info == NULL || index >= onx_model_input_count(model))
        return ONX_ERROR_ARGUMENT;
    onx_port_describe(model, onx_fb_model_inputs_at(onx_root(model), index), info);
    return ONX_OK;
}

onx_status onx_output_info(const onx_model *model, uint32_t index, onx_port_info *info)
{
    if (info == NULL || index >= onx_model_output_count(model))
        return ONX_ERROR_ARGUMENT;
    onx_port_describe(model, onx_fb_model_outputs_at(onx_root(model), index), info);
    return ONX_OK;
}

size_t onx_input_size(const onx_model *model, uint32_t index)
{
    onx_port_info info;
    return onx_input_info(model, index, &info) == ONX_OK ? info.size : 0u;
}

size_t onx_output_size(const onx_model *model, uint32_t index)
{
    onx_port_info info;
    return onx_output_info(model, index, &info) == ONX_OK ? info.size : 0u;
}
