/* Which kernels this build has. A build for one model can replace this file by one that names what it uses. */
#include "kernel.h"

#define ONX_KERNELS(stem, inputs) { onx_##stem##_kernels, sizeof onx_##stem##_kernels / sizeof(onx_kernel), inputs }

/* Indexed by tag; tag 0 is none. */
const onx_operator onx_operators[] = {
    [ONX_KERNEL_CONV2D] = ONX_KERNELS(conv2d, 1),
    [ONX_KERNEL_DEPTHWISE_CONV2D] = ONX_KERNELS(depthwise_conv2d, 1),
    [ONX_KERNEL_FULLY_CONNECTED] = ONX_KERNELS(fully_connected, 1),
    [ONX_KERNEL_ADD] = ONX_KERNELS(add, 2),
    [ONX_KERNEL_MUL] = ONX_KERNELS(mul, 2),
    [ONX_KERNEL_MAX_POOL2D] = ONX_KERNELS(max_pool2d, 1),
    [ONX_KERNEL_AVERAGE_POOL2D] = ONX_KERNELS(average_pool2d, 1),
    [ONX_KERNEL_MEAN2D] = ONX_KERNELS(mean2d, 1),
    [ONX_KERNEL_SOFTMAX] = ONX_KERNELS(softmax, 1),
    [ONX_KERNEL_LOOKUP] = ONX_KERNELS(lookup, 1),
    [ONX_KERNEL_CONCAT] = ONX_KERNELS(concat, 0),
    [ONX_KERNEL_TRANSPOSE] = ONX_KERNELS(transpose, 1),
    [ONX_KERNEL_QUANTIZE] = ONX_KERNELS(quantize, 1),
    [ONX_KERNEL_DEQUANTIZE] = ONX_KERNELS(dequantize, 1),
    [ONX_KERNEL_FAKE_QUANTIZE] = ONX_KERNELS(fake_quantize, 1),
    [ONX_KERNEL_FLOAT_CONV2D] = ONX_KERNELS(float_conv2d, 1),
    [ONX_KERNEL_FLOAT_FULLY_CONNECTED] = ONX_KERNELS(float_fully_connected, 1),
    [ONX_KERNEL_FLOAT_MAT_MUL] = ONX_KERNELS(float_mat_mul, 2),
    [ONX_KERNEL_FLOAT_UNARY] = ONX_KERNELS(float_unary, 1),
    [ONX_KERNEL_FLOAT_BINARY] = ONX_KERNELS(float_binary, 2),
    [ONX_KERNEL_FLOAT_MAX_POOL2D] = ONX_KERNELS(float_max_pool2d, 1),
    [ONX_KERNEL_FLOAT_AVERAGE_POOL2D] = ONX_KERNELS(float_average_pool2d, 1),
    [ONX_KERNEL_FLOAT_REDUCE] = ONX_KERNELS(float_reduce, 1),
    [ONX_KERNEL_FLOAT_SOFTMAX] = ONX_KERNELS(float_softmax, 1),
    [ONX_KERNEL_ARG_MAX] = ONX_KERNELS(arg_max, 1),
    [ONX_KERNEL_TAKE] = ONX_KERNELS(take, 1),
    [ONX_KERNEL_PAD] = ONX_KERNELS(pad, 1),
};
const uint32_t onx_operator_kinds = sizeof onx_operators / sizeof onx_operators[0];
