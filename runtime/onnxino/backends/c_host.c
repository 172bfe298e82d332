/* What the host's C backend adds to the engine: batches, and every tensor. Called through ctypes by c.py. */
#include "engine/verify.h"

typedef struct {
    onx_model model;
    onx_session session;
} onx_host;

size_t onx_host_size(void);
onx_status onx_host_open(onx_host *host, const void *data, size_t size, void *arena, size_t arena_size);
uint32_t onx_host_where(const onx_host *host);
onx_status onx_host_run(onx_host *host, size_t batch, const uint8_t *const *inputs, uint8_t *const *outputs);
onx_status onx_host_run_all(onx_host *host, size_t batch, const uint8_t *const *inputs, uint8_t *const *tensors);

size_t onx_host_size(void) { return sizeof(onx_host); }
uint32_t onx_host_where(const onx_host *host) { return host->model.where; }

onx_status onx_host_open(onx_host *host, const void *data, size_t size, void *arena, size_t arena_size)
{
    onx_status status = onx_model_open(&host->model, data, size);
    return status == ONX_OK ? onx_session_open(&host->session, &host->model, arena, arena_size) : status;
}

static void onx_host_fill(onx_host *host, size_t sample, const uint8_t *const *inputs)
{
    for (uint32_t i = 0; i < onx_model_input_count(&host->model); i++) {
        size_t size = onx_input_size(&host->model, i);
        memcpy(onx_input(&host->session, i), inputs[i] + sample * size, size);
    }
}

/* inputs, outputs: one array [batch, size] for each port. */
onx_status onx_host_run(onx_host *host, size_t batch, const uint8_t *const *inputs, uint8_t *const *outputs)
{
    for (size_t n = 0; n < batch; n++) {
        onx_host_fill(host, n, inputs);
        onx_status status = onx_run(&host->session);
        if (status != ONX_OK)
            return status;
        for (uint32_t i = 0; i < onx_model_output_count(&host->model); i++) {
            size_t size = onx_output_size(&host->model, i);
            memcpy(outputs[i] + n * size, onx_output(&host->session, i), size);
        }
    }
    return ONX_OK;
}

typedef struct {
    size_t sample;
    uint8_t *const *tensors;
} onx_host_keep;

/* Copies every tensor that has the bytes of `base`. */
static void onx_host_copy(const onx_host_keep *keep, const onx_session *session, uint32_t base)
{
    for (uint32_t i = 0; i < onx_model_tensor_count(session->model); i++) {
        size_t size = 0;
        const void *data = onx_tensor_data(session, i, &size);
        if (onx_base_of(session->model, i) == base && keep->tensors[i] != NULL)
            memcpy(keep->tensors[i] + keep->sample * size, data, size);
    }
}

static void onx_host_hook(void *user, const onx_session *session, uint32_t operator_index, int after)
{
    onx_u32s outputs = onx_fb_operator_outputs(onx_fb_model_operators_at(onx_root(session->model), operator_index));
    for (uint32_t i = 0; after && i < outputs.count; i++)
        onx_host_copy(user, session, onx_base_of(session->model, outputs.data[i]));
}

/* tensors: one array [batch, size] for each tensor of the model, or NULL for those that are not wanted. */
onx_status onx_host_run_all(onx_host *host, size_t batch, const uint8_t *const *inputs, uint8_t *const *tensors)
{
    onx_status status = ONX_OK;
    onx_host_keep keep = { 0, tensors };
    host->session.hook = onx_host_hook;
    host->session.user = &keep;
    for (keep.sample = 0; keep.sample < batch && status == ONX_OK; keep.sample++) {
        onx_host_fill(host, keep.sample, inputs);
        for (uint32_t i = 0; i < onx_model_input_count(&host->model); i++) {
            onx_fb_port port = onx_fb_model_inputs_at(onx_root(&host->model), i);
            onx_host_copy(&keep, &host->session, onx_base_of(&host->model, onx_fb_port_tensor(port)));
        }
        status = onx_run(&host->session);
    }
    host->session.hook = NULL;
    return status;
}
