/* softmax.c: softmax along one axis of a map, or its logarithm, and their gradients. Not here: the loss (training.c). */
#include "loops.h"
#include "reference/reference.h"
#include <math.h>

/* ---- Numbers that lie apart: some neighbouring lines at a time ---- */

enum { LINES = 64 };

/* Lines [line, line + count) of one row; first: their first numbers. */
static void softmax_lines(const rk_softmax_args *a, int64_t first, int64_t count) {
  float most[LINES], total[LINES];
  for (int64_t i = 0; i < count; i++) most[i] = -INFINITY, total[i] = 0;
  for (int64_t c = 0, at = first; c < a->c; c++, at += a->inner)
    for (int64_t i = 0; i < count; i++) {
      const float x = rk_get(a->src, a->type, at + i);
      most[i] = x > most[i] || isnan(x) ? x : most[i];
    }
  for (int64_t c = 0, at = first; c < a->c; c++, at += a->inner)
    for (int64_t i = 0; i < count; i++) {
      const float power = expf(rk_get(a->src, a->type, at + i) - most[i]);
      total[i] += power;
      if (!a->log) a->dst[at + i] = power;
    }
  for (int64_t i = 0; i < count; i++) total[i] = a->log ? logf(total[i]) : 1 / total[i];
  for (int64_t c = 0, at = first; c < a->c; c++, at += a->inner)
    for (int64_t i = 0; i < count; i++)
      a->dst[at + i] = a->log ? rk_get(a->src, a->type, at + i) - most[i] - total[i] : a->dst[at + i] * total[i];
}

static void gradient_lines(const rk_softmax_backward_args *a, int64_t first, int64_t count) {
  float dot[LINES] = {0};
  for (int64_t c = 0, at = first; c < a->c; c++, at += a->inner)
    for (int64_t i = 0; i < count; i++) dot[i] += a->log ? a->ddst[at + i] : a->dst[at + i] * a->ddst[at + i];
  for (int64_t c = 0, at = first; c < a->c; c++, at += a->inner)
    for (int64_t i = 0; i < count; i++) {
      const float y = a->dst[at + i], dy = a->ddst[at + i];
      const float d = a->log ? dy - expf(y) * dot[i] : y * (dy - dot[i]);
      rk_put(a->dsrc, a->type, at + i, a->accumulate ? rk_get(a->dsrc, a->type, at + i) + d : d);
    }
}

/* The thread's share of the blocks of lines: calls `block` (first number, lines) for each. */
#define FOR_LINES(a, team, block)                                                    \
  do {                                                                               \
    const int64_t blocks = ((a)->inner + LINES - 1) / LINES;                         \
    int64_t begin, end;                                                              \
    rk_share((a)->rows * blocks, team, &begin, &end);                                \
    for (int64_t b = begin; b < end; b++) {                                          \
      const int64_t line = b % blocks * LINES, left = (a)->inner - line;             \
      block(a, b / blocks * (a)->c * (a)->inner + line, left < LINES ? left : LINES); \
    }                                                                                \
  } while (0)

/* ---- Numbers that touch ---- */

void rk_softmax(const void *args, const rk_team *team) {
  const rk_softmax_args *a = args;
  RK_REFERENCE_STEP(softmax, a)
  if (a->inner > 1) {
    FOR_LINES(a, team, softmax_lines);
    return;
  }
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
  if (a->inner > 1) {
    FOR_LINES(a, team, gradient_lines);
    return;
  }
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
