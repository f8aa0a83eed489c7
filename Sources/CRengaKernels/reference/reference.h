/* reference.h: the plain twins: straight C loops, sums in double, no vectors, no blocks, no threads. What the fast kernels are tested
 * against, and what RENGA_ISA=reference runs (on thread 0). Convolution's twin has its own header. */
#ifndef RK_REFERENCE_H
#define RK_REFERENCE_H
#include "../element.h"
#include "../include/renga_kernels.h"

void rk_reference_batch_norm_train(const rk_batch_norm_train_args *args);
void rk_reference_scale_shift(const rk_scale_shift_args *args);
void rk_reference_batch_norm_backward(const rk_batch_norm_backward_args *args);
void rk_reference_max_pool(const rk_pool_args *args);
void rk_reference_average_pool(const rk_pool_args *args);
void rk_reference_max_pool_backward(const rk_pool_backward_args *args);
void rk_reference_average_pool_backward(const rk_pool_backward_args *args);
void rk_reference_global_average(const rk_global_average_args *args);
void rk_reference_global_average_backward(const rk_global_average_backward_args *args);
void rk_reference_sum(const rk_sum_args *args);
void rk_reference_scaled(const rk_scaled_args *args);
void rk_reference_convert(const rk_convert_args *args);
void rk_reference_relu_backward(const rk_relu_backward_args *args);
void rk_reference_prelu(const rk_prelu_args *args);
void rk_reference_prelu_backward(const rk_prelu_backward_args *args);
void rk_reference_channel_copy(const rk_channel_copy_args *args);
void rk_reference_gate(const rk_gate_args *args);
void rk_reference_softmax(const rk_softmax_args *args);
void rk_reference_softmax_backward(const rk_softmax_backward_args *args);
void rk_reference_pointwise(const rk_pointwise_args *args);
void rk_reference_pointwise_backward(const rk_pointwise_backward_args *args);
void rk_reference_arithmetic(const rk_arithmetic_args *args);
void rk_reference_arithmetic_backward(const rk_arithmetic_backward_args *args);
void rk_reference_lrn(const rk_lrn_args *args);
void rk_reference_lrn_backward(const rk_lrn_backward_args *args);
void rk_reference_transpose(const rk_transpose_args *args);
void rk_reference_gather(const rk_gather_args *args);
void rk_reference_gather_backward(const rk_gather_backward_args *args);
void rk_reference_resize(const rk_resize_args *args);
void rk_reference_resize_backward(const rk_resize_backward_args *args);
void rk_reference_cross_entropy(const rk_cross_entropy_args *args);
void rk_reference_sgd(const rk_sgd_args *args);
void rk_reference_adamw(const rk_adamw_args *args);

/* At the top of a step: the reference twin instead, where the step asks for it. */
#define RK_REFERENCE_STEP(name, args)                                                                                                      \
  if ((args)->isa == RK_ISA_REFERENCE) {                                                                                                   \
    if (team->tid == 0) rk_reference_##name(args);                                                                                         \
    return;                                                                                                                                \
  }

#endif
