/* movement.c: transpositions, gathers by tables, and resizing. Not here: the arithmetic on rows of channels (loops_pointwise.h). */
#include "loops.h"
#include "reference/reference.h"
#include <string.h>

/* ---- Transposition ---- */

/* Square blocks: as many rows of src as elements of a cache line, so that lines are used up while they are in cache. */
enum { TILE = 16 };

static void transpose_tile(const rk_transpose_args *a, int64_t n, int64_t row, int64_t c) {
  const int64_t rows = a->rows - row < TILE ? a->rows - row : TILE, count = a->c - c < TILE ? a->c - c : TILE;
  const int64_t from = (n * a->rows + row) * a->c + c, to = (n * a->c + c) * a->rows + row;
  const void *src = rk_at(a->src, a->type, from);
  void *dst = rk_to(a->dst, a->type, to);
  for (int64_t k = 0; k < count; k++)
    for (int64_t i = 0; i < rows; i++) {
      const int64_t at = k * a->rows + i;
      const float value = rk_get(src, a->type, i * a->c + k);
      rk_put(dst, a->type, at, a->accumulate ? rk_get(dst, a->type, at) + value : value);
    }
}

void rk_transpose(const void *args, const rk_team *team) {
  const rk_transpose_args *a = args;
  RK_REFERENCE_STEP(transpose, a)
  const int64_t strips = (a->c + TILE - 1) / TILE;
  int64_t begin, end;
  rk_share(a->n * strips, team, &begin, &end);
  for (int64_t item = begin; item < end; item++)
    for (int64_t row = 0; row < a->rows; row += TILE) transpose_tile(a, item / strips, row, item % strips * TILE);
}

/* ---- Gather ---- */

static void fill(void *dst, rk_type type, int64_t count, float value) {
  for (int64_t i = 0; i < count; i++) rk_put(dst, type, i, value);
}

static void gather_pixel(const rk_gather_args *a, const void *src, void *dst) {
  if (a->channels == NULL) {
    memcpy(dst, src, (size_t)rk_bytes_of(a->type, a->oc));
    return;
  }
  for (int64_t k = 0; k < a->oc; k++)
    rk_put(dst, a->type, k, a->channels[k] < 0 ? a->value : rk_get(src, a->type, a->channels[k]));
}

void rk_gather(const void *args, const rk_team *team) {
  const rk_gather_args *a = args;
  RK_REFERENCE_STEP(gather, a)
  int64_t begin, end;
  rk_share(a->n * a->oh, team, &begin, &end);
  for (int64_t item = begin; item < end; item++) {
    const int64_t y = a->rows[item % a->oh];
    void *dst = rk_to(a->dst, a->type, item * a->ow * a->oc);
    if (y < 0) {
      fill(dst, a->type, a->ow * a->oc, a->value);
      continue;
    }
    const void *src = rk_at(a->src, a->type, (item / a->oh * a->h + y) * a->w * a->c);
    for (int64_t x = 0; x < a->ow; x++) {
      void *pixel = rk_to(dst, a->type, x * a->oc);
      if (a->columns[x] < 0) fill(pixel, a->type, a->oc, a->value);
      else gather_pixel(a, rk_at(src, a->type, a->columns[x] * a->c), pixel);
    }
  }
}

static void scatter_row(const rk_gather_backward_args *args, const void *ddst, void *dsrc) {
  const rk_gather_args *a = &args->forward;
  const rk_loops *loops = rk_loops_of(a->isa, a->type);
  for (int64_t x = 0; x < a->ow; x++) {
    if (a->columns[x] < 0) continue;
    const void *from = rk_at(ddst, a->type, x * a->oc);
    void *to = rk_to(dsrc, a->type, a->columns[x] * a->c);
    if (a->channels == NULL) loops->scaled(a->oc, 1, from, 1, to);
    for (int64_t k = 0; a->channels != NULL && k < a->oc; k++) {
      const int64_t c = a->channels[k];
      if (c >= 0) rk_put(to, a->type, c, rk_get(to, a->type, c) + rk_get(from, a->type, k));
    }
  }
}

/* Each row of dsrc belongs to one thread, which adds what the rows made of it have, in their order. */
void rk_gather_backward(const void *args, const rk_team *team) {
  const rk_gather_backward_args *own = args;
  const rk_gather_args *a = &own->forward;
  if (a->isa == RK_ISA_REFERENCE) {
    if (team->tid == 0) rk_reference_gather_backward(own);
    return;
  }
  int64_t begin, end;
  rk_share(a->n * a->h, team, &begin, &end);
  for (int64_t item = begin; item < end; item++) {
    void *dsrc = rk_to(own->dsrc, a->type, item * a->w * a->c);
    if (!own->accumulate) memset(dsrc, 0, (size_t)rk_bytes_of(a->type, a->w * a->c));
    for (int64_t y = 0; y < a->oh; y++)
      if (a->rows[y] == item % a->h) scatter_row(own, rk_at(own->ddst, a->type, (item / a->h * a->oh + y) * a->ow * a->oc), dsrc);
  }
}

/* ---- Resize ---- */

void rk_resize(const void *args, const rk_team *team) {
  const rk_resize_args *a = args;
  RK_REFERENCE_STEP(resize, a)
  const rk_loops *loops = rk_loops_of(a->isa, a->type);
  rk_weighted_window window = {
      .count = a->c, .ny = a->rows.taps, .nx = a->columns.taps, .step_y = a->w * a->c, .step_x = a->c};
  int64_t begin, end;
  rk_share(a->n * a->oh, team, &begin, &end);
  for (int64_t item = begin; item < end; item++) {
    const int64_t oy = item % a->oh, y = a->rows.first[oy], row = (item / a->oh * a->h + y) * a->w;
    window.weights_y = a->rows.weights + oy * window.ny;
    for (int64_t ox = 0; ox < a->ow; ox++) {
      const int64_t x = a->columns.first[ox];
      void *dst = rk_to(a->dst, a->type, (item * a->ow + ox) * a->c);
      window.weights_x = a->columns.weights + ox * window.nx;
      if (y < 0 || x < 0) fill(dst, a->type, a->c, a->value);
      else loops->weighted(&window, rk_at(a->src, a->type, (row + x) * a->c), dst);
    }
  }
}

/* What row oy of ddst has for a row of dsrc, with weight `weight`. */
static void spread_row(const rk_resize_backward_args *args, const rk_loops *loops, const void *ddst, float weight, void *dsrc) {
  const rk_resize_args *a = &args->forward;
  const int64_t taps = a->columns.taps;
  for (int64_t ox = 0; ox < a->ow; ox++) {
    const int64_t x = a->columns.first[ox];
    for (int64_t t = 0; x >= 0 && t < taps; t++) {
      const float share = weight * a->columns.weights[ox * taps + t];
      if (share != 0) loops->scaled(a->c, share, rk_at(ddst, a->type, ox * a->c), 1, rk_to(dsrc, a->type, (x + t) * a->c));
    }
  }
}

/* Each row of dsrc belongs to one thread, as above. */
void rk_resize_backward(const void *args, const rk_team *team) {
  const rk_resize_backward_args *own = args;
  const rk_resize_args *a = &own->forward;
  if (a->isa == RK_ISA_REFERENCE) {
    if (team->tid == 0) rk_reference_resize_backward(own);
    return;
  }
  const rk_loops *loops = rk_loops_of(a->isa, a->type);
  int64_t begin, end;
  rk_share(a->n * a->h, team, &begin, &end);
  for (int64_t item = begin; item < end; item++) {
    void *dsrc = rk_to(own->dsrc, a->type, item * a->w * a->c);
    if (!own->accumulate) memset(dsrc, 0, (size_t)rk_bytes_of(a->type, a->w * a->c));
    for (int64_t oy = 0; oy < a->oh; oy++) {
      const int64_t first = a->rows.first[oy], t = item % a->h - first;
      if (first < 0 || t < 0 || t >= a->rows.taps) continue;
      const float weight = a->rows.weights[oy * a->rows.taps + t];
      if (weight != 0) spread_row(own, loops, rk_at(own->ddst, a->type, (item / a->h * a->oh + oy) * a->ow * a->c), weight, dsrc);
    }
  }
}
