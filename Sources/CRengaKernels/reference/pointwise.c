/* pointwise.c (reference): the twins of functions of elements, pairs of maps, and local response normalisation. */
#include "reference.h"
#include <math.h>

static double clipped(double x, double least, double most) {
  if (x < least) x = least;
  return x > most ? most : x;
}

static double function_of(rk_function function, double alpha, double beta, double x) {
  switch (function) {
  case RK_SIGMOID: return 1 / (1 + exp(-x));
  case RK_TANH: return tanh(x);
  case RK_LEAKY_RELU: return x > 0 ? x : alpha * x;
  case RK_CLIP: return clipped(x, alpha, beta);
  case RK_HARD_SIGMOID: return clipped(alpha * x + beta, 0, 1);
  case RK_HARD_SWISH: return x * clipped(x / 6 + 0.5, 0, 1);
  case RK_ELU: return x > 0 ? x : alpha * expm1(x);
  case RK_SOFTPLUS: return x > 0 ? x + log1p(exp(-x)) : log1p(exp(x));
  case RK_SILU: return x / (1 + exp(-x));
  }
  return x;
}

static double slope_of(rk_function function, double alpha, double beta, double x) {
  double s = 1 / (1 + exp(-x)), y = alpha * x + beta;
  switch (function) {
  case RK_SIGMOID: return s * (1 - s);
  case RK_TANH: return 1 - tanh(x) * tanh(x);
  case RK_LEAKY_RELU: return x > 0 ? 1 : alpha;
  case RK_CLIP: return x > alpha && x < beta ? 1 : 0;
  case RK_HARD_SIGMOID: return y > 0 && y < 1 ? alpha : 0;
  case RK_HARD_SWISH: return x > 3 ? 1 : x > -3 ? x / 3 + 0.5 : 0;
  case RK_ELU: return x > 0 ? 1 : alpha * exp(x);
  case RK_SOFTPLUS: return s;
  case RK_SILU: return s * (1 + x * (1 - s));
  }
  return 1;
}

void rk_reference_pointwise(const rk_pointwise_args *a) {
  for (int64_t i = 0; i < a->count; i++)
    rk_put(a->dst, a->type, i, (float)function_of(a->function, (double)a->alpha, (double)a->beta, (double)rk_get(a->src, a->type, i)));
}

void rk_reference_pointwise_backward(const rk_pointwise_backward_args *a) {
  for (int64_t i = 0; i < a->count; i++) {
    double slope = slope_of(a->function, (double)a->alpha, (double)a->beta, (double)rk_get(a->src, a->type, i));
    double d = (double)rk_get(a->ddst, a->type, i) * slope;
    rk_put(a->dsrc, a->type, i, (float)(d + (a->accumulate ? (double)rk_get(a->dsrc, a->type, i) : 0)));
  }
}

/* ---- Pairs ---- */

static double pair_of(rk_pairing pairing, double x, double y) {
  switch (pairing) {
  case RK_MULTIPLY: return x * y;
  case RK_ADD: return x + y;
  case RK_SUBTRACT: return x - y;
  case RK_DIVIDE: return x / y;
  case RK_MAXIMUM: return x > y || isnan(x) ? x : y;
  case RK_MINIMUM: return x < y || isnan(x) ? x : y;
  }
  return x;
}

static double pair_slope(rk_pairing pairing, double x, double y, int which) {
  double own = which == 0 ? x : y, other = which == 0 ? y : x;
  switch (pairing) {
  case RK_MULTIPLY: return other;
  case RK_ADD: return 1;
  case RK_SUBTRACT: return which == 0 ? 1 : -1;
  case RK_DIVIDE: return which == 0 ? 1 / y : -x / (y * y);
  case RK_MAXIMUM: return own > other ? 1 : x == y ? 0.5 : 0;
  case RK_MINIMUM: return own < other ? 1 : x == y ? 0.5 : 0;
  }
  return 1;
}

/* The element of src[which] that meets element `at` of dst. */
static int64_t met(const rk_arithmetic_args *a, int which, int64_t at) {
  const rk_extents *e = &a->extents[which];
  int64_t c = at % a->c, x = at / a->c % a->w, y = at / a->c / a->w % a->h, n = at / a->c / a->w / a->h;
  return ((n * e->h + (e->h == 1 ? 0 : y)) * e->w + (e->w == 1 ? 0 : x)) * e->c + (e->c == 1 ? 0 : c);
}

void rk_reference_arithmetic(const rk_arithmetic_args *a) {
  for (int64_t at = 0; at < a->n * a->h * a->w * a->c; at++) {
    float x = rk_get(a->src[0], a->type, met(a, 0, at)), y = rk_get(a->src[1], a->type, met(a, 1, at));
    rk_put(a->dst, a->type, at, (float)pair_of(a->pairing, (double)x, (double)y));
  }
}

/* Element by element of dsrc, so that its sum can be in double. */
void rk_reference_arithmetic_backward(const rk_arithmetic_backward_args *args) {
  const rk_arithmetic_args *a = &args->forward;
  const rk_extents *e = &a->extents[args->which];
  for (int64_t i = 0; i < a->n * e->h * e->w * e->c; i++) {
    double total = args->accumulate ? (double)rk_get(args->dsrc, a->type, i) : 0;
    for (int64_t at = 0; at < a->n * a->h * a->w * a->c; at++) {
      if (met(a, args->which, at) != i) continue;
      float x = rk_get(a->src[0], a->type, met(a, 0, at)), y = rk_get(a->src[1], a->type, met(a, 1, at));
      total += (double)rk_get(args->ddst, a->type, at) * pair_slope(a->pairing, (double)x, (double)y, args->which);
    }
    rk_put(args->dsrc, a->type, i, (float)total);
  }
}

/* ---- Local response normalisation ---- */

static int64_t larger_of(int64_t x, int64_t y) { return x > y ? x : y; }
static int64_t smaller_of(int64_t x, int64_t y) { return x < y ? x : y; }

static double lrn_sum(const rk_lrn_args *a, const void *src, int64_t c) {
  double total = 0;
  for (int64_t i = larger_of(c - a->before, 0); i <= smaller_of(c + a->after, a->c - 1); i++)
    total += (double)rk_get(src, a->type, i) * (double)rk_get(src, a->type, i);
  return (double)a->bias + (double)a->alpha * total;
}

/* Through scratch: src may be dst. */
void rk_reference_lrn(const rk_lrn_args *a) {
  for (int64_t row = 0; row < a->rows; row++) {
    const void *src = rk_at(a->src, a->type, row * a->c);
    for (int64_t c = 0; c < a->c; c++)
      a->scratch[c] = (float)((double)rk_get(src, a->type, c) * pow(lrn_sum(a, src, c), -(double)a->beta));
    for (int64_t c = 0; c < a->c; c++) rk_put(a->dst, a->type, row * a->c + c, a->scratch[c]);
  }
}

void rk_reference_lrn_backward(const rk_lrn_backward_args *args) {
  const rk_lrn_args *a = &args->forward;
  const double beta = (double)a->beta;
  for (int64_t row = 0; row < a->rows; row++) {
    const void *src = rk_at(a->src, a->type, row * a->c), *ddst = rk_at(args->ddst, a->type, row * a->c);
    for (int64_t i = 0; i < a->c; i++) {
      double total = 0;
      for (int64_t c = larger_of(i - a->after, 0); c <= smaller_of(i + a->before, a->c - 1); c++)
        total += (double)rk_get(ddst, a->type, c) * (double)rk_get(src, a->type, c) * pow(lrn_sum(a, src, c), -beta - 1);
      double d = (double)rk_get(ddst, a->type, i) * pow(lrn_sum(a, src, i), -beta);
      a->scratch[i] = (float)(d - 2 * (double)a->alpha * beta * (double)rk_get(src, a->type, i) * total);
    }
    for (int64_t i = 0; i < a->c; i++) {
      int64_t at = row * a->c + i;
      rk_put(args->dsrc, a->type, at, a->scratch[i] + (args->accumulate ? rk_get(args->dsrc, a->type, at) : 0));
    }
  }
}
