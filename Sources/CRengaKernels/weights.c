/* weights.c: weights scaled, by all threads. Not here: packing. */
#include "rk_weights.h"

void rk_scale_columns(const void *args, const rk_team *team) {
  const rk_scale_columns_args *a = args;
  int64_t begin, end;
  rk_share(a->rows, team, &begin, &end);
  for (int64_t row = begin; row < end; row++) {
    const float *src = a->src + row * a->k;
    float *dst = a->dst + row * a->k;
    for (int64_t k = 0; k < a->k; k++) dst[k] = (float)((double)src[k] * a->scale[k]);
  }
}
