/* The interpreter: runs a verified model's operators in order in the caller's arena. */
#include "verify.h"

onx_status onx_session_open(onx_session *session, const onx_model *model, void *arena, size_t arena_size)
{
    if (session == NULL || model == NULL || model->root == NULL || (arena == NULL && onx_model_arena_size(model) > 0u))
        return ONX_ERROR_ARGUMENT;
    if ((uintptr_t)arena % ONX_ALIGNMENT != 0u)
        return ONX_ERROR_ADDRESS;
    if (arena_size < onx_model_arena_size(model))
        return ONX_ERROR_ARENA_SIZE;
    session->model = model;
    session->arena = arena;
    session->hook = NULL;
    session->user = NULL;
    return ONX_OK;
}

void *onx_input(const onx_session *session, uint32_t index)
{
    if (index >= onx_model_input_count(session->model))
        return NULL;
    onx_fb_port port = onx_fb_model_inputs_at(onx_root(session->model), index);
    return onx_tensor_of(session->model, session->arena, onx_fb_port_tensor(port)).data;
}

const void *onx_output(const onx_session *session, uint32_t index)
{
    if (index >= onx_model_output_count(session->model))
        return NULL;
    onx_fb_port port = onx_fb_model_outputs_at(onx_root(session->model), index);
    return onx_tensor_of(session->model, session->arena, onx_fb_port_tensor(port)).data;
}

const void *onx_tensor_data(const onx_session *session, uint32_t index, size_t *size)
{
    if (index >= onx_model_tensor_count(session->model))
        return NULL;
    if (size != NULL)
        *size = (size_t)onx_tensor_bytes(session->model, index);
    return onx_tensor_of(session->model, session->arena, index).data;
}

onx_status onx_run(onx_session *session)
{
    if (session == NULL || session->model == NULL || session->model->root == NULL)
        return ONX_ERROR_ARGUMENT;
    for (uint32_t i = 0; i < onx_model_operator_count(session->model); i++) {
        onx_call call = onx_call_of(session->model, session->arena, i);
        if (session->hook != NULL)
            session->hook(session->user, session, i, 0);
        onx_kernel_for(call.op)->run(&call);
        if (session->hook != NULL)
            session->hook(session->user, session, i, 1);
    }
    return ONX_OK;
}
