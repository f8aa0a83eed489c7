/* pointwise.c: functions of elements, pairs of maps, and local response normalisation. Not here: the inner loops (loops_pointwise.h). */
#include "loops.h"
#include "reference/reference.h"
#include <string.h>

void rk_pointwise(const void *args, const rk_team *team) {
  const rk_pointwise_args *a = args;
  RK_REFERENCE_STEP(pointwise, a)
  int64_t begin, end;
  rk_share_floats(a->count, team, &begin, &end);
  if (begin < end) rk_loops_of(a->isa, a->type)->pointwise(a, begin, end);
}

void rk_pointwise_backward(const void *args, const rk_team *team) {
  const rk_pointwise_backward_args *a = args;
  RK_REFERENCE_STEP(pointwise_backward, a)
  int64_t begin, end;
  rk_share_floats(a->count, team, &begin, &end);
  if (begin < end) rk_loops_of(a->isa, a->type)->pointwise_gradient(a, begin, end);
}

/* ---- Pairs ---- */

static int is_whole(const rk_arithmetic_args *a, int which) {
  const rk_extents *e = &a->extents[which];
  return e->h == a->h && e->w == a->w && e->c == a->c;
}

/* Maps of one shape are one long row; and where nothing differs along W, its pixels are one row of channels. */
static rk_arithmetic_args flattened(const rk_arithmetic_args *args) {
  rk_arithmetic_args a = *args;
  if (!is_whole(args, 0) || !is_whole(args, 1)) return a;
  a.c *= a.n * a.h * a.w;
  a.n = a.h = a.w = 1;
  for (int k = 0; k < 2; k++) a.extents[k] = (rk_extents){1, 1, a.c};
  return a;
}

/* The element of src[which] that meets element (n, y, x, 0) of dst. */
static int64_t place(const rk_arithmetic_args *a, int which, int64_t n, int64_t y, int64_t x) {
  const rk_extents *e = &a->extents[which];
  return ((n * e->h + (e->h == 1 ? 0 : y)) * e->w + (e->w == 1 ? 0 : x)) * e->c;
}

/* Channels [first, first + count) of the pixel (n, y, x) as a loop. */
static rk_arithmetic_loop row_of(const rk_arithmetic_args *a, int64_t n, int64_t y, int64_t x, int64_t first, int64_t count) {
  rk_arithmetic_loop loop = {.count = count, .pairing = a->pairing};
  for (int k = 0; k < 2; k++) {
    loop.one[k] = a->extents[k].c == 1;
    loop.src[k] = rk_at(a->src[k], a->type, place(a, k, n, y, x) + (loop.one[k] ? 0 : first));
  }
  return loop;
}

/* Channels of one piece of work: a multiple of rk_share_floats' care for cache lines. */
enum { BLOCK = 1024 };

void rk_arithmetic(const void *args, const rk_team *team) {
  const rk_arithmetic_args a = flattened(args);
  RK_REFERENCE_STEP(arithmetic, (const rk_arithmetic_args *)args)
  const rk_loops *loops = rk_loops_of(a.isa, a.type);
  const int64_t blocks = (a.c + BLOCK - 1) / BLOCK;
  int64_t begin, end;
  rk_share(a.n * a.h * a.w * blocks, team, &begin, &end);
  for (int64_t item = begin; item < end; item++) {
    const int64_t pixel = item / blocks, first = item % blocks * BLOCK, count = a.c - first < BLOCK ? a.c - first : BLOCK;
    rk_arithmetic_loop loop = row_of(&a, pixel / a.w / a.h, pixel / a.w % a.h, pixel % a.w, first, count);
    loop.dst = rk_to(a.dst, a.type, pixel * a.c + first);
    loops->arithmetic(&loop);
  }
}

/* One element's or block's gradient: sums over what it met, lines in float, their sum in double. */
typedef struct gradient_sum {
  const rk_loops *loops;
  const rk_arithmetic_backward_args *args;
  const rk_arithmetic_args *shape;
  double total[BLOCK];
} gradient_sum;

static void add_block(gradient_sum *sum, int64_t n, int64_t y, int64_t x, int64_t first, int64_t count) {
  const rk_arithmetic_args *a = sum->shape;
  const rk_extents *e = &a->extents[sum->args->which];
  const int64_t rows = e->h == 1 ? a->h : 1, columns = e->w == 1 ? a->w : 1;
  for (int64_t i = 0; i < rows; i++) {
    float line[BLOCK];
    memset(line, 0, (size_t)count * sizeof *line);
    for (int64_t k = 0; k < columns; k++) {
      rk_arithmetic_loop loop = row_of(a, n, y + i, x + k, first, count);
      loop.ddst = rk_at(sum->args->ddst, a->type, ((n * a->h + y + i) * a->w + x + k) * a->c + first);
      loop.which = sum->args->which, loop.gradient = line;
      sum->loops->arithmetic_gradient(&loop);
    }
    for (int64_t c = 0; c < count; c++) sum->total[e->c == 1 ? 0 : c] += (double)line[c];
  }
}

void rk_arithmetic_backward(const void *args, const rk_team *team) {
  const rk_arithmetic_backward_args *own = args;
  if (own->forward.isa == RK_ISA_REFERENCE) {
    if (team->tid == 0) rk_reference_arithmetic_backward(own);
    return;
  }
  const rk_arithmetic_args a = flattened(&own->forward);
  const rk_extents *e = &a.extents[own->which];
  const int64_t blocks = (e->c + BLOCK - 1) / BLOCK;
  gradient_sum sum = {.loops = rk_loops_of(a.isa, a.type), .args = own, .shape = &a};
  int64_t begin, end;
  rk_share(a.n * e->h * e->w * blocks, team, &begin, &end);
  for (int64_t item = begin; item < end; item++) {
    const int64_t pixel = item / blocks, first = item % blocks * BLOCK, left = e->c - first, count = left < BLOCK ? left : BLOCK;
    const int64_t n = pixel / e->w / e->h, y = pixel / e->w % e->h, x = pixel % e->w, reach = e->c == 1 ? a.c : first + count;
    memset(sum.total, 0, sizeof sum.total);
    for (int64_t c = first; c < reach; c += BLOCK) add_block(&sum, n, y, x, c, reach - c < BLOCK ? reach - c : BLOCK);
    for (int64_t c = 0; c < count; c++) {
      const int64_t at = pixel * e->c + first + c;
      rk_put(own->dsrc, a.type, at, (float)(sum.total[c] + (own->accumulate ? (double)rk_get(own->dsrc, a.type, at) : 0)));
    }
  }
}

/* ---- Local response normalisation ---- */

size_t rk_lrn_scratch(int64_t c, int64_t before, int64_t after) { return 3 * (size_t)(c + before + after); }

void rk_lrn(const void *args, const rk_team *team) {
  const rk_lrn_args *a = args;
  RK_REFERENCE_STEP(lrn, a)
  const rk_loops *loops = rk_loops_of(a->isa, a->type);
  float *scratch = a->scratch + (size_t)team->tid * rk_lrn_scratch(a->c, a->before, a->after);
  int64_t begin, end;
  rk_share(a->rows, team, &begin, &end);
  for (int64_t row = begin; row < end; row++) loops->lrn(a, row * a->c, scratch);
}

void rk_lrn_backward(const void *args, const rk_team *team) {
  const rk_lrn_backward_args *own = args;
  const rk_lrn_args *a = &own->forward;
  if (a->isa == RK_ISA_REFERENCE) {
    if (team->tid == 0) rk_reference_lrn_backward(own);
    return;
  }
  const rk_loops *loops = rk_loops_of(a->isa, a->type);
  float *scratch = a->scratch + (size_t)team->tid * rk_lrn_scratch(a->c, a->before, a->after);
  int64_t begin, end;
  rk_share(a->rows, team, &begin, &end);
  for (int64_t row = begin; row < end; row++) loops->lrn_gradient(own, row * a->c, scratch);
}
