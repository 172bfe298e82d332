/* Element-wise operators on two inputs with NumPy broadcasting. */
#ifndef ONX_PAIRWISE_H
#define ONX_PAIRWISE_H

#include "engine/kernel.h"

/* Computes n outputs. Inputs advance by a_step and b_step elements: 1, or 0 where repeated. y may be a or b itself. */
typedef void (*onx_pair_run)(const void *formula, const void *a, size_t a_step, const void *b, size_t b_step, void *y,
                             size_t n);

/* Calls `run` for each innermost run of the operator's two inputs. All three tensors have the type that
 * onx_pairwise_check was given: int8 or float32. */
void onx_pairwise_run(const onx_call *call, onx_pair_run run, const void *formula);

/* All tensors are of this type (enum onx_element_type), and the inputs' shapes broadcast to the output's. */
onx_status onx_pairwise_check(const onx_call *call, uint8_t type);

/* 0 (in place) where nothing is broadcast, else never. */
uint32_t onx_pairwise_safe_offset(const onx_call *call, uint32_t input);

#endif
