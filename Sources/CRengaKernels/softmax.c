/* softmax.c: softmax over the channels of each row, or its logarithm, and their gradients. Not here: the loss (training.c). */
#include "loops.h"
#include "reference/reference.h"
#include <math.h>

void rk_softmax(const void *args, const rk_team *team) {
  const rk_softmax_args *a = args;
  RK_REFERENCE_STEP(softmax, a)
  const rk_loops *loops = rk_loops_of(a->isa, a->type), *floats = rk_loops_of(a->isa, RK_F32);
  int64_t begin, end;
  rk_share(a->rows, team, &begin, &end);
  for (int64_t at = begin * a->c; at < end * a->c; at += a->c) {
    const void *src = rk_at(a->src, a->type, at);
    const float most = loops->maximum(a->c, src);
    const float total = loops->exponentials(a->c, src, most, a->log ? NULL : a->dst + at);
    if (a->log) {
      loops->widen(a->c, src, a->dst + at);
      loops->shifted(a->c, most, logf(total), a->dst + at);
      continue;
    }
    floats->scaled(a->c, 1 / total, a->dst + at, 0, a->dst + at);
  }
}

void rk_softmax_backward(const void *args, const rk_team *team) {
  const rk_softmax_backward_args *a = args;
  RK_REFERENCE_STEP(softmax_backward, a)
  const rk_loops *loops = rk_loops_of(a->isa, a->type);
  int64_t begin, end;
  rk_share(a->rows, team, &begin, &end);
  for (int64_t at = begin * a->c; at < end * a->c; at += a->c) {
    if (a->log) {
      loops->log_softmax_gradient(a->c, a->dst + at, a->ddst + at, a->accumulate, rk_to(a->dsrc, a->type, at));
      continue;
    }
    float dot = loops->dot(a->c, a->dst + at, a->ddst + at);
    loops->softmax_gradient(a->c, a->dst + at, a->ddst + at, dot, a->accumulate, rk_to(a->dsrc, a->type, at));
  }
}
