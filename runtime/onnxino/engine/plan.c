/* The memory plan: what is alive at the same time shares no bytes (docs/format.md, "What a reader verifies", 5 and 6).
 *
 * Lifetimes are not stored, for there is no memory to store them in: of two tensors alive together, one is written
 * while the other lives. So for each tensor it is enough to look at what is written from its birth to its death. */
#include "verify.h"

#define ONX_START (-1) /* when graph inputs are written: before operator 0 */

typedef struct {
    uint64_t begin, end;
} onx_area;

/* An activation's bytes and life: operators birth to death, both included. Graph outputs live one operator longer than
 * the last. */
typedef struct {
    uint32_t tensor;
    onx_area area;
    int64_t birth, death;
} onx_life;

static onx_area onx_area_of(const onx_model *model, uint32_t base)
{
    uint64_t begin = onx_fb_tensor_offset(onx_fb_model_tensors_at(onx_root(model), base));
    onx_area area = { begin, begin + onx_tensor_bytes(model, base) };
    return area;
}

static int onx_overlap(onx_area a, onx_area b) { return a.begin < b.end && b.begin < a.end; }

static int onx_contains(const onx_model *model, onx_u32s tensors, uint32_t base)
{
    for (uint32_t i = 0; i < tensors.count; i++)
        if (onx_base_of(model, tensors.data[i]) == base)
            return 1;
    return 0;
}

/* Returns 0 for a tensor that nobody writes. */
static int onx_live(const onx_model *model, uint32_t base, onx_life *life)
{
    onx_fb_model root = onx_root(model);
    uint32_t operators = onx_fb_model_operators_count(root);
    int is_written = onx_is_graph_input(model, base);
    onx_life v = { base, onx_area_of(model, base), ONX_START, ONX_START };
    for (uint32_t i = 0; i < operators; i++) {
        onx_fb_operator op = onx_fb_model_operators_at(root, i);
        if (onx_contains(model, onx_fb_operator_outputs(op), base)) {
            is_written = 1;
            v.birth = v.death = i;
        }
        if (onx_contains(model, onx_fb_operator_inputs(op), base))
            v.death = i;
    }
    for (uint32_t i = 0; i < onx_fb_model_outputs_count(root); i++)
        if (onx_base_of(model, onx_fb_port_tensor(onx_fb_model_outputs_at(root, i))) == base)
            v.death = operators;
    *life = v;
    return is_written;
}

/* May `call` write its output at `output` over the tensor, whose last reader it is? Every operand that it is must allow
 * it. */
static int onx_may_overwrite(const onx_call *call, const onx_life *life, onx_area output)
{
    const onx_kernel *kernel = onx_kernel_for(call->op);
    onx_u32s inputs = onx_fb_operator_inputs(call->op);
    if (kernel->safe_offset == NULL)
        return 0;
    for (uint32_t i = 0; i < inputs.count; i++) {
        if (onx_base_of(call->model, inputs.data[i]) != life->tensor)
            continue;
        uint32_t distance = kernel->safe_offset(call, i);
        if (distance == ONX_NEVER || output.begin + distance > life->area.begin)
            return 0;
    }
    return 1;
}

/* Does what operator `index` writes leave the tensor alone? */
static int onx_spares(const onx_model *model, uint32_t index, const onx_life *life)
{
    onx_call call = onx_call_of(model, NULL, index);
    uint64_t scratch = onx_fb_operator_scratch_offset(call.op);
    onx_area area = { scratch, scratch + onx_fb_operator_scratch_size(call.op) };
    if (area.begin < area.end && onx_overlap(area, life->area)) /* scratch of no bytes lies anywhere */
        return 0;
    onx_u32s outputs = onx_fb_operator_outputs(call.op);
    for (uint32_t i = 0; i < outputs.count; i++) {
        uint32_t base = onx_base_of(model, outputs.data[i]);
        onx_area output = onx_area_of(model, base);
        if (base == life->tensor || !onx_overlap(output, life->area))
            continue;
        if (life->death != (int64_t)index || !onx_may_overwrite(&call, life, output))
            return 0;
    }
    return 1;
}

static int onx_life_is_respected(const onx_model *model, const onx_life *life)
{
    onx_fb_model root = onx_root(model);
    int64_t operators = onx_fb_model_operators_count(root);
    for (int64_t i = life->birth < 0 ? 0 : life->birth; i <= life->death && i < operators; i++)
        if (!onx_spares(model, (uint32_t)i, life))
            return 0;
    if (life->birth != ONX_START)
        return 1;
    uint32_t uses = 0; /* graph inputs are all alive at the start, and two may not be one tensor */
    for (uint32_t i = 0; i < onx_fb_model_inputs_count(root); i++) {
        uint32_t other = onx_base_of(model, onx_fb_port_tensor(onx_fb_model_inputs_at(root, i)));
        if (other == life->tensor)
            uses++;
        else if (onx_overlap(onx_area_of(model, other), life->area))
            return 0;
    }
    return uses == 1u;
}

/* Scratch areas are aligned and inside the arena; the highest end of all is the arena's. */
static onx_status onx_verify_extent(onx_model *model)
{
    onx_fb_model root = onx_root(model);
    uint64_t highest = 0;
    for (uint32_t i = 0; i < onx_fb_model_tensors_count(root); i++) {
        if (onx_base_of(model, i) == i && !onx_is_constant(model, i)) {
            onx_area area = onx_area_of(model, i);
            highest = area.end > highest ? area.end : highest;
        }
    }
    for (uint32_t i = 0; i < onx_fb_model_operators_count(root); i++) {
        onx_fb_operator op = onx_fb_model_operators_at(root, i);
        uint64_t offset = onx_fb_operator_scratch_offset(op), size = onx_fb_operator_scratch_size(op);
        model->where = i;
        if (size > 0u && (offset % ONX_ALIGNMENT != 0u || offset + size > onx_fb_model_arena_size(root)))
            return ONX_ERROR_OPERATOR;
        if (size > 0u && offset + size > highest)
            highest = offset + size;
    }
    model->where = 0;
    return highest == onx_fb_model_arena_size(root) ? ONX_OK : ONX_ERROR_ARENA_SIZE;
}

onx_status onx_verify_plan(onx_model *model)
{
    onx_status status = onx_verify_extent(model);
    for (uint32_t i = 0; status == ONX_OK && i < onx_model_tensor_count(model); i++) {
        onx_life life;
        model->where = i;
        if (onx_base_of(model, i) != i || onx_is_constant(model, i) || !onx_live(model, i, &life))
            continue;
        if (!onx_life_is_respected(model, &life))
            status = ONX_ERROR_PLAN;
    }
    if (status == ONX_OK)
        model->where = 0;
    return status;
}
