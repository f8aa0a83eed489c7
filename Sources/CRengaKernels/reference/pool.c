/* pool.c (reference): the twins of pooling. Padding is asked of every tap, one at a time. */
#include "reference.h"
#include <math.h>

/* One tap of the window of output (oy, ox) on channel c. */
typedef struct tap {
  int64_t at;      /* offset into the image's map */
  int32_t on_map;  /* or in the padding, or past it */
  int32_t counted; /* on the map or in the padding */
} tap;

static tap tap_at(const rk_pool_shape *s, int64_t oy, int64_t ox, int64_t r, int64_t q, int64_t c) {
  int64_t y = oy * s->stride_h - s->pad_top + r * s->dilation_h, x = ox * s->stride_w - s->pad_left + q * s->dilation_w;
  tap t = {.at = (y * s->w + x) * s->c + c};
  t.on_map = y >= 0 && y < s->h && x >= 0 && x < s->w;
  t.counted = y < s->h + s->pad_bottom && x < s->w + s->pad_right;
  return t;
}

/* The offset of the largest tap, -1 without taps. */
static int64_t largest(const rk_pool_shape *s, rk_type type, const void *src, int64_t oy, int64_t ox, int64_t c) {
  int64_t best = -1;
  for (int64_t r = 0; r < s->r; r++)
    for (int64_t q = 0; q < s->s; q++) {
      tap t = tap_at(s, oy, ox, r, q, c);
      if (t.on_map && (best < 0 || rk_get(src, type, t.at) > rk_get(src, type, best) || isnan(rk_get(src, type, t.at))))
        best = t.at;
    }
  return best;
}

static double divisor(const rk_pool_shape *s, int32_t count_include_pad, int64_t oy, int64_t ox) {
  int64_t counted = 0, on_map = 0;
  for (int64_t r = 0; r < s->r; r++)
    for (int64_t q = 0; q < s->s; q++) {
      tap t = tap_at(s, oy, ox, r, q, 0);
      counted += t.counted;
      on_map += t.on_map;
    }
  return (double)(on_map == 0 ? 1 : count_include_pad ? counted : on_map);
}

static double average(const rk_pool_args *a, const void *src, int64_t oy, int64_t ox, int64_t c) {
  double total = 0;
  for (int64_t r = 0; r < a->shape.r; r++)
    for (int64_t q = 0; q < a->shape.s; q++) {
      tap t = tap_at(&a->shape, oy, ox, r, q, c);
      if (t.on_map) total += (double)rk_get(src, a->type, t.at);
    }
  return total / divisor(&a->shape, a->count_include_pad, oy, ox);
}

static void pool(const rk_pool_args *a, int max) {
  const rk_pool_shape *s = &a->shape;
  for (int64_t at = 0; at < s->n * s->oh * s->ow * s->c; at++) {
    int64_t c = at % s->c, ox = at / s->c % s->ow, oy = at / s->c / s->ow % s->oh, n = at / s->c / s->ow / s->oh;
    const void *src = rk_at(a->src, a->type, n * s->h * s->w * s->c);
    int64_t best = max ? largest(s, a->type, src, oy, ox, c) : -1;
    float value = !max ? (float)average(a, src, oy, ox, c) : best < 0 ? -INFINITY : rk_get(src, a->type, best);
    rk_put(a->dst, a->type, at, value);
  }
}

void rk_reference_max_pool(const rk_pool_args *args) { pool(args, 1); }
void rk_reference_average_pool(const rk_pool_args *args) { pool(args, 0); }

static void spread_average(const rk_pool_backward_args *a, float d, int64_t oy, int64_t ox, int64_t c, void *dsrc) {
  double share = (double)d / divisor(&a->shape, a->count_include_pad, oy, ox);
  for (int64_t r = 0; r < a->shape.r; r++)
    for (int64_t q = 0; q < a->shape.s; q++) {
      tap t = tap_at(&a->shape, oy, ox, r, q, c);
      if (t.on_map) rk_put(dsrc, a->type, t.at, rk_get(dsrc, a->type, t.at) + (float)share);
    }
}

static void pool_backward(const rk_pool_backward_args *a, int max) {
  const rk_pool_shape *s = &a->shape;
  int64_t image = s->h * s->w * s->c;
  for (int64_t i = 0; i < s->n * image && !a->accumulate; i++) rk_put(a->dsrc, a->type, i, 0);
  for (int64_t at = 0; at < s->n * s->oh * s->ow * s->c; at++) {
    int64_t c = at % s->c, ox = at / s->c % s->ow, oy = at / s->c / s->ow % s->oh, n = at / s->c / s->ow / s->oh;
    int64_t best = max ? largest(s, a->type, rk_at(a->src, a->type, n * image), oy, ox, c) : -1;
    void *dsrc = rk_to(a->dsrc, a->type, n * image);
    float d = rk_get(a->ddst, a->type, at);
    if (!max) spread_average(a, d, oy, ox, c, dsrc);
    else if (best >= 0) rk_put(dsrc, a->type, best, rk_get(dsrc, a->type, best) + d);
  }
}

void rk_reference_max_pool_backward(const rk_pool_backward_args *args) { pool_backward(args, 1); }
void rk_reference_average_pool_backward(const rk_pool_backward_args *args) { pool_backward(args, 0); }

void rk_reference_global_average(const rk_global_average_args *a) {
  for (int64_t at = 0; at < a->n * a->c; at++) {
    double total = 0;
    for (int64_t p = 0; p < a->pixels; p++) total += (double)rk_get(a->src, a->type, (at / a->c * a->pixels + p) * a->c + at % a->c);
    rk_put(a->dst, a->type, at, (float)(total / (double)a->pixels));
  }
}

void rk_reference_global_average_backward(const rk_global_average_backward_args *a) {
  for (int64_t at = 0; at < a->n * a->pixels * a->c; at++) {
    double d = (double)rk_get(a->ddst, a->type, at / a->c / a->pixels * a->c + at % a->c) / (double)a->pixels;
    rk_put(a->dsrc, a->type, at, (float)(d + (a->accumulate ? (double)rk_get(a->dsrc, a->type, at) : 0)));
  }
}
