/* Semantic verification, after the structure is known to be sound. Each returns ONX_OK or an error with model->where
 * set. */
#ifndef ONX_VERIFY_H
#define ONX_VERIFY_H

#include "kernel.h"

onx_status onx_verify_tensors(onx_model *model);
onx_status onx_verify_ports(onx_model *model);
onx_status onx_verify_operators(onx_model *model);
onx_status onx_verify_plan(onx_model *model);

/* The tensor whose bytes a tensor has: itself, or the one that it is an alias of. */
uint32_t onx_base_of(const onx_model *model, uint32_t tensor);
int onx_is_constant(const onx_model *model, uint32_t base);
int onx_is_graph_input(const onx_model *model, uint32_t base);
/* Bytes of a verified tensor. */
uint64_t onx_tensor_bytes(const onx_model *model, uint32_t tensor);

#endif
