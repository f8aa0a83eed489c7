/* convolution_activation.h: activations of vectors of outputs, over the includer's vector layer.
 * Not here: those of bf16 kernels (x86/avx512/convolution_half.c) and of single outputs (convolution_stream.c). */
#ifndef RK_CONVOLUTION_ACTIVATION_H
#define RK_CONVOLUTION_ACTIVATION_H
#include "rk_convolution.h"

/* RK_ACTIVATION_CLIP or RK_ACTIVATION_HARD_SWISH, in the form of rk_pointwise. bounds: of a clip. */
RK_INLINE rk_vector rk_bounded(rk_activation activation, const float *bounds, rk_vector value) {
  if (activation == RK_ACTIVATION_CLIP) return rk_at_most(rk_broadcast(bounds[1]), rk_at_least(rk_broadcast(bounds[0]), value));
  const rk_vector share = rk_fma(value, rk_broadcast(1.0f / 6), rk_broadcast(0.5f));
  return rk_mul(value, rk_at_most(rk_broadcast(1), rk_relu(share)));
}
#endif
