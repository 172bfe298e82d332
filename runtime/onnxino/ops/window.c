/* Checks of sliding windows against the shapes of input and output. */
#include "window.h"

/* Greatest padded image: leaves room for positions to be computed as int32 without overflow. */
#define ONX_GREATEST_IMAGE 0x7FF00000

/* Size of the padded image less the window: negative where it does not fit. *ok is cleared for impossible numbers. */
static int64_t onx_room(onx_axis a, int32_t size, int *ok)
{
    if (a.kernel < 1 || a.stride < 1 || a.dilation < 1) {
        *ok = 0;
        return 0;
    }
    int64_t padded = (int64_t)size + a.before + a.after;
    if (padded > ONX_GREATEST_IMAGE)
        *ok = 0;
    return padded - ((int64_t)a.dilation * (a.kernel - 1) + 1);
}

static int onx_axis_fits_convolution(onx_axis a, int32_t size, int32_t output)
{
    int ok = 1;
    int64_t room = onx_room(a, size, &ok);
    return ok && room >= 0 && output == room / a.stride + 1;
}

static int onx_axis_fits_pool(onx_axis a, int32_t size, int32_t output)
{
    int ok = 1;
    int64_t room = onx_room(a, size, &ok);
    int64_t last = ((int64_t)output - 1) * (ok ? a.stride : 1); /* start of the last window in the padded image */
    if (!ok || room < 0 || last >= (int64_t)size + a.before || last > room + a.stride - 1 || last + a.stride <= room)
        return 0;
    /* Windows that begin inside the image have their first tap there; the others need one that is not stepped over. */
    for (int32_t start = -a.before; start < 0 && start + a.before <= last; start += a.stride) {
        onx_taps taps = onx_taps_inside(start, a.dilation, a.kernel, size);
        if (taps.first == taps.end)
            return 0;
    }
    return 1;
}

static int onx_are_images(const onx_tensor *input, const onx_tensor *output)
{
    return input->rank == 4u && output->rank == 4u && input->shape[0] == output->shape[0];
}

int onx_window_fits_convolution(onx_window2d w, const onx_tensor *input, const onx_tensor *output)
{
    return onx_are_images(input, output) && onx_axis_fits_convolution(onx_axis_h(w), input->shape[1], output->shape[1])
           && onx_axis_fits_convolution(onx_axis_w(w), input->shape[2], output->shape[2]);
}

int onx_window_fits_pool(onx_window2d w, const onx_tensor *input, const onx_tensor *output)
{
    return onx_are_images(input, output) && input->shape[3] == output->shape[3]
           && onx_axis_fits_pool(onx_axis_h(w), input->shape[1], output->shape[1])
           && onx_axis_fits_pool(onx_axis_w(w), input->shape[2], output->shape[2]);
}
