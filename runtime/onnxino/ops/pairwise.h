/* Element-wise operators on two inputs with NumPy broadcasting. */
#ifndef ONX_PAIRWISE_H
#define ONX_PAIRWISE_H

#include "engine/kernel.h"

/* Computes n outputs. Inputs advance by a_step and b_step bytes: 1, or 0 where repeated. y may be a or b itself. */
typedef void (*onx_pair_run)(const void *formula, const int8_t *a, size_t a_step, const int8_t *b, size_t b_step,
                             int8_t *y, size_t n);

/* Calls `run` for each innermost run of the operator's two inputs. */
void onx_pairwise_run(const onx_call *call, onx_pair_run run, const void *formula);

/* The types, and shapes that broadcast to the output's. */
onx_status onx_pairwise_check(const onx_call *call);

/* 0 (in place) where nothing is broadcast, else never. */
uint32_t onx_pairwise_safe_offset(const onx_call *call, uint32_t input);

#endif
