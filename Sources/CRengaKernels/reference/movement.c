/* movement.c (reference): the twins of transpositions, gathers and resizing: element by element. */
#include "reference.h"

void rk_reference_transpose(const rk_transpose_args *a) {
  for (int64_t at = 0; at < a->n * a->rows * a->c; at++) {
    int64_t c = at % a->c, row = at / a->c % a->rows, n = at / a->c / a->rows, to = (n * a->c + c) * a->rows + row;
    float value = rk_get(a->src, a->type, at);
    rk_put(a->dst, a->type, to, a->accumulate ? rk_get(a->dst, a->type, to) + value : value);
  }
}

/* Where element `at` of dst comes from, -1 where it is the value. */
static int64_t origin(const rk_gather_args *a, int64_t at) {
  int64_t k = at % a->oc, x = at / a->oc % a->ow, y = at / a->oc / a->ow % a->oh, n = at / a->oc / a->ow / a->oh;
  int64_t c = a->channels == NULL ? k : a->channels[k];
  if (a->rows[y] < 0 || a->columns[x] < 0 || c < 0) return -1;
  return ((n * a->h + a->rows[y]) * a->w + a->columns[x]) * a->c + c;
}

void rk_reference_gather(const rk_gather_args *a) {
  for (int64_t at = 0; at < a->n * a->oh * a->ow * a->oc; at++) {
    int64_t from = origin(a, at);
    rk_put(a->dst, a->type, at, from < 0 ? a->value : rk_get(a->src, a->type, from));
  }
}

void rk_reference_gather_backward(const rk_gather_backward_args *args) {
  const rk_gather_args *a = &args->forward;
  for (int64_t i = 0; i < a->n * a->h * a->w * a->c && !args->accumulate; i++) rk_put(args->dsrc, a->type, i, 0);
  for (int64_t at = 0; at < a->n * a->oh * a->ow * a->oc; at++) {
    int64_t to = origin(a, at);
    if (to >= 0) rk_put(args->dsrc, a->type, to, rk_get(args->dsrc, a->type, to) + rk_get(args->ddst, a->type, at));
  }
}

/* The source's elements behind one of the result, with their weights: rows outside, columns inside. */
static double resized(const rk_resize_args *a, const void *src, int64_t y, int64_t x, int64_t c) {
  double total = 0;
  for (int64_t r = 0; r < a->rows.taps; r++)
    for (int64_t s = 0; s < a->columns.taps; s++) {
      double weight = (double)a->rows.weights[y * a->rows.taps + r] * (double)a->columns.weights[x * a->columns.taps + s];
      total += weight * (double)rk_get(src, a->type, ((a->rows.first[y] + r) * a->w + a->columns.first[x] + s) * a->c + c);
    }
  return total;
}

void rk_reference_resize(const rk_resize_args *a) {
  for (int64_t at = 0; at < a->n * a->oh * a->ow * a->c; at++) {
    int64_t c = at % a->c, x = at / a->c % a->ow, y = at / a->c / a->ow % a->oh, n = at / a->c / a->ow / a->oh;
    const void *src = rk_at(a->src, a->type, n * a->h * a->w * a->c);
    rk_put(a->dst, a->type, at, a->rows.first[y] < 0 || a->columns.first[x] < 0 ? a->value : (float)resized(a, src, y, x, c));
  }
}

void rk_reference_resize_backward(const rk_resize_backward_args *args) {
  const rk_resize_args *a = &args->forward;
  for (int64_t at = 0; at < a->n * a->h * a->w * a->c; at++) {
    int64_t c = at % a->c, x = at / a->c % a->w, y = at / a->c / a->w % a->h, n = at / a->c / a->w / a->h;
    double total = args->accumulate ? (double)rk_get(args->dsrc, a->type, at) : 0;
    for (int64_t oy = 0; oy < a->oh; oy++) {
      int64_t r = y - a->rows.first[oy];
      if (a->rows.first[oy] < 0 || r < 0 || r >= a->rows.taps) continue;
      for (int64_t ox = 0; ox < a->ow; ox++) {
        int64_t s = x - a->columns.first[ox];
        if (a->columns.first[ox] < 0 || s < 0 || s >= a->columns.taps) continue;
        double weight = (double)a->rows.weights[oy * a->rows.taps + r] * (double)a->columns.weights[ox * a->columns.taps + s];
        total += weight * (double)rk_get(args->ddst, a->type, ((n * a->oh + oy) * a->ow + ox) * a->c + c);
      }
    }
    rk_put(args->dsrc, a->type, at, (float)total);
  }
}
