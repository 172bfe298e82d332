/* Which kernels this build has. A build for one model can replace this file by one that names what it uses. */
#include "kernel.h"

#define ONX_KERNELS(stem, inputs) { onx_##stem##_kernels, sizeof onx_##stem##_kernels / sizeof(onx_kernel), inputs }

const onx_operator onx_operators[] = {
    { NULL, 0, 0 }, /* tag 0: none */
    ONX_KERNELS(conv2d, 1),
    ONX_KERNELS(depthwise_conv2d, 1),
    ONX_KERNELS(fully_connected, 1),
    ONX_KERNELS(add, 2),
    ONX_KERNELS(mul, 2),
    ONX_KERNELS(max_pool2d, 1),
    ONX_KERNELS(average_pool2d, 1),
    ONX_KERNELS(mean2d, 1),
    ONX_KERNELS(softmax, 1),
    ONX_KERNELS(lookup, 1),
    ONX_KERNELS(concat, 0),
    ONX_KERNELS(transpose, 1),
};
const uint32_t onx_operator_kinds = sizeof onx_operators / sizeof onx_operators[0];
