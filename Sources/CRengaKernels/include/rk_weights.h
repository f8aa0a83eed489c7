/* rk_weights.h: what is done to weights once, while a plan is compiled: large memory walked by all threads.
 * Not here: packing for a convolution (rk_convolution.h). */
#ifndef RK_WEIGHTS_H
#define RK_WEIGHTS_H
#include "rk_runtime.h"

#ifdef __cplusplus
extern "C" {
#endif

/* dst[row,k] = src[row,k] scale[k], each product in double and rounded once: a batch norm folded into the weights before it. */
typedef struct rk_scale_columns_args {
  int64_t rows, k;
  const float *src;    /* [rows,K] */
  const double *scale; /* [K] */
  float *dst;          /* [rows,K]; may be src */
} rk_scale_columns_args;
void rk_scale_columns(const void *args, const rk_team *team);

#ifdef __cplusplus
}
#endif
#endif
