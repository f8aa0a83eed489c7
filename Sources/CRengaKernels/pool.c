/* pool.c: max and average pooling and their gradients, and the global average.
 * Not here: what happens within a window (loops_body.h). */
#include "loops.h"
#include "reference/reference.h"
#include <math.h>
#include <string.h>

/* The taps of one window along one axis that lie on the map: first <= t < last, the first of them at `position`. */
typedef struct taps {
  int64_t first, last, position;
  int64_t padded; /* taps on the map or its padding: what count_include_pad counts */
} taps;

/* Taps of `count` whose place start + t dilation is below the limit. */
static int64_t taps_below(int64_t limit, int64_t start, int64_t dilation, int64_t count) {
  int64_t below = limit <= start ? 0 : (limit - start + dilation - 1) / dilation;
  return below < count ? below : count;
}

static taps taps_of(int64_t output, int64_t stride, int64_t pad, int64_t pad_after, int64_t dilation, int64_t count, int64_t size) {
  int64_t start = output * stride - pad;
  taps t = {.first = taps_below(0, start, dilation, count), .last = taps_below(size, start, dilation, count)};
  t.position = start + t.first * dilation;
  t.padded = taps_below(size + pad_after, start, dilation, count);
  return t;
}

static taps taps_in_y(const rk_pool_shape *s, int64_t oy) {
  return taps_of(oy, s->stride_h, s->pad_top, s->pad_bottom, s->dilation_h, s->r, s->h);
}

static taps taps_in_x(const rk_pool_shape *s, int64_t ox) {
  return taps_of(ox, s->stride_w, s->pad_left, s->pad_right, s->dilation_w, s->s, s->w);
}

static rk_window window_of(const rk_pool_shape *s, taps y, taps x) {
  return (rk_window){
      .count = s->c, .ny = y.last - y.first, .nx = x.last - x.first, .step_y = s->dilation_h * s->w * s->c, .step_x = s->dilation_w * s->c};
}

/* 1 / divisor; an average over nothing is 0. */
static float average_factor(taps y, taps x, int32_t count_include_pad) {
  int64_t on_map = (y.last - y.first) * (x.last - x.first), divisor = count_include_pad ? y.padded * x.padded : on_map;
  return on_map > 0 ? 1 / (float)divisor : 0;
}

/* ---- Forward ---- */

typedef struct pool_step {
  const rk_loops *loops;
  const rk_pool_shape *shape;
  rk_type type;
  const void *src, *ddst; /* ddst: of the backward pass */
  void *to;               /* dst or dsrc */
  int32_t max, count_include_pad, accumulate;
} pool_step;

static void output_row(const pool_step *p, int64_t n, int64_t oy) {
  const rk_pool_shape *s = p->shape;
  const taps y = taps_in_y(s, oy);
  const int64_t row = (n * s->oh + oy) * s->ow;
  for (int64_t ox = 0; ox < s->ow; ox++) {
    const taps x = taps_in_x(s, ox);
    const rk_window window = window_of(s, y, x);
    const void *src = rk_at(p->src, p->type, ((n * s->h + y.position) * s->w + x.position) * s->c);
    void *dst = rk_to(p->to, p->type, (row + ox) * s->c);
    if (p->max) p->loops->window_max(&window, src, dst);
    else p->loops->window_sum(&window, src, average_factor(y, x, p->count_include_pad), dst);
  }
}

static void pool(const rk_pool_args *a, int32_t max, const rk_team *team) {
  const pool_step step = {.loops = rk_loops_of(a->isa, a->type),
                          .shape = &a->shape,
                          .type = a->type,
                          .src = a->src,
                          .to = a->dst,
                          .max = max,
                          .count_include_pad = a->count_include_pad};
  int64_t begin, end;
  rk_share(a->shape.n * a->shape.oh, team, &begin, &end);
  for (int64_t row = begin; row < end; row++) output_row(&step, row / a->shape.oh, row % a->shape.oh);
}

void rk_max_pool(const void *args, const rk_team *team) {
  const rk_pool_args *a = args;
  RK_REFERENCE_STEP(max_pool, a)
  pool(a, 1, team);
}

void rk_average_pool(const void *args, const rk_team *team) {
  const rk_pool_args *a = args;
  RK_REFERENCE_STEP(average_pool, a)
  pool(a, 0, team);
}

/* ---- Backward ---- */

/* Adds the gradient of output row oy to the rows [top, bottom) of dsrc in image n. */
static void gradient_row(const pool_step *p, int64_t n, int64_t oy, int64_t top, int64_t bottom) {
  const rk_pool_shape *s = p->shape;
  const taps y = taps_in_y(s, oy);
  const int64_t count = y.last - y.first;
  const int64_t first = taps_below(top, y.position, s->dilation_h, count), last = taps_below(bottom, y.position, s->dilation_h, count);
  if (first >= last) return;
  const int64_t row = (n * s->oh + oy) * s->ow;
  for (int64_t ox = 0; ox < s->ow; ox++) {
    const taps x = taps_in_x(s, ox);
    const rk_window window = window_of(s, y, x);
    const int64_t at = ((n * s->h + y.position) * s->w + x.position) * s->c;
    const void *ddst = rk_at(p->ddst, p->type, (row + ox) * s->c);
    void *dsrc = rk_to(p->to, p->type, at);
    if (p->max) p->loops->window_max_gradient(&window, rk_at(p->src, p->type, at), ddst, dsrc, first, last);
    else p->loops->window_sum_gradient(&window, ddst, average_factor(y, x, p->count_include_pad), dsrc, first, last);
  }
}

/* Each thread owns a run of rows of dsrc and adds what every window has for them, in the order of the windows: windows that straddle two
 * threads' rows are looked at twice, and every sum has the same order on any team. */
static void pool_backward(const rk_pool_backward_args *a, int32_t max, const rk_team *team) {
  const rk_pool_shape *s = &a->shape;
  const pool_step step = {.loops = rk_loops_of(a->isa, a->type),
                          .shape = s,
                          .type = a->type,
                          .src = a->src,
                          .ddst = a->ddst,
                          .to = a->dsrc,
                          .max = max,
                          .count_include_pad = a->count_include_pad};
  int64_t begin, end;
  rk_share(s->n * s->h, team, &begin, &end);
  while (begin < end) {
    const int64_t n = begin / s->h, top = begin % s->h, left = end - n * s->h, bottom = left < s->h ? left : s->h;
    void *rows = rk_to(a->dsrc, a->type, begin * s->w * s->c);
    if (!a->accumulate) memset(rows, 0, (size_t)rk_bytes_of(a->type, (bottom - top) * s->w * s->c));
    for (int64_t oy = 0; oy < s->oh; oy++) gradient_row(&step, n, oy, top, bottom);
    begin += bottom - top;
  }
}

void rk_max_pool_backward(const void *args, const rk_team *team) {
  const rk_pool_backward_args *a = args;
  RK_REFERENCE_STEP(max_pool_backward, a)
  pool_backward(a, 1, team);
}

void rk_average_pool_backward(const void *args, const rk_team *team) {
  const rk_pool_backward_args *a = args;
  RK_REFERENCE_STEP(average_pool_backward, a)
  pool_backward(a, 0, team);
}

/* ---- Global average ---- */

void rk_global_average(const void *args, const rk_team *team) {
  const rk_global_average_args *a = args;
  RK_REFERENCE_STEP(global_average, a)
  enum { LINE = 32, BLOCK = 128 }; /* pixels summed at once; channels of one piece of work */
  const rk_loops *loops = rk_loops_of(a->isa, a->type);
  const float scale = 1 / (float)a->pixels;
  const int64_t blocks = (a->c + BLOCK - 1) / BLOCK, lines = a->pixels / LINE, rest = a->pixels % LINE;
  int64_t begin, end;
  rk_share(a->n * blocks, team, &begin, &end);
  for (int64_t item = begin; item < end; item++) {
    const int64_t n = item / blocks, c = item % blocks * BLOCK, count = a->c - c < BLOCK ? a->c - c : BLOCK;
    const rk_window window = {.count = count, .ny = lines, .nx = LINE, .step_y = LINE * a->c, .step_x = a->c, .rest = rest};
    loops->window_sum(&window, rk_at(a->src, a->type, n * a->pixels * a->c + c), scale, rk_to(a->dst, a->type, n * a->c + c));
  }
}

void rk_global_average_backward(const void *args, const rk_team *team) {
  const rk_global_average_backward_args *a = args;
  RK_REFERENCE_STEP(global_average_backward, a)
  const rk_loops *loops = rk_loops_of(a->isa, a->type);
  const float scale = 1 / (float)a->pixels;
  int64_t begin, end;
  rk_share(a->n * a->pixels, team, &begin, &end);
  for (int64_t row = begin; row < end; row++)
    loops->scaled(a->c, scale, rk_at(a->ddst, a->type, row / a->pixels * a->c), a->accumulate, rk_to(a->dsrc, a->type, row * a->c));
}
