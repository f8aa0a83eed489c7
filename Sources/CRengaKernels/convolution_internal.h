/* convolution_internal.h: what the files of convolution share: the algorithms' entry points, behind the public ones of rk_convolution.h.
 * Not here: anything that another operator or a host sees. */
#ifndef RK_CONVOLUTION_INTERNAL_H
#define RK_CONVOLUTION_INTERNAL_H
#include "rk_convolution.h"

/* Most floats of one tensor: products of two indices and byte counts then never leave int64. */
#define RK_CONV_MOST_FLOATS (INT64_C(1) << 48)

void rk_conv_reference_forward(const rk_conv_forward_args *args, const rk_team *team);
void rk_conv_reference_backward_data(const rk_conv_backward_data_args *args, const rk_team *team);
void rk_conv_reference_backward_weight(const rk_conv_backward_weight_args *args, const rk_team *team);
#endif
