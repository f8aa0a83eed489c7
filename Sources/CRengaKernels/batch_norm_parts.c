/* batch_norm_parts.c: the arithmetic of batch normalisation in training, as parts that go apart: what is summed over a part of the batch,
 * what follows from all sums, and what is then done to each part. So a band takes a few images from one layer's sums through the next
 * layer while they are in cache. Not here: the inner loops (loops_norm.h); the parts behind one another as one step (batch_norm.c).
 *
 * A part's rows are cut into pieces by their number alone, each summed in float; all pieces' sums are merged in double, in order. */
#include "loops.h"
#include <math.h>

enum { MOMENTS = 3, GRADIENTS = 2 };

size_t rk_batch_norm_moments_floats(int64_t rows, int64_t c) { return (size_t)(rk_chunks_of(rows, c).count * MOMENTS * c); }
size_t rk_batch_norm_gradients_floats(int64_t rows, int64_t c) { return (size_t)(rk_chunks_of(rows, c).count * GRADIENTS * c); }

/* Where a piece's sums are collected: on the stack, periodic, or at their place where the period is C. */
static float *collector(int64_t c, float *place, float *room) { return rk_column_period(c) == c ? place : room; }

static void collect(const rk_loops *loops, int64_t c, const float *wide, float *place) {
  if (wide != place) loops->fold(rk_column_period(c), c, wide, place);
}

/* ---- Forward ---- */

/* A piece's values: a centre near the mean, the sum of (x - centre) and of its square. Centred before they are squared, so that a mean
 * far from zero costs no digits. The centre is the mean of an eighth of the rows: by Jensen its squared distance from the piece's mean is
 * at most eight times the piece's variance, whatever the data, and so the subtraction in merge_moments loses at most three bits. */
static void piece_moments(const rk_loops *loops, int64_t rows, int64_t c, const void *src, float *values) {
  float wide_center[RK_MAX_PERIOD], wide_sum[RK_MAX_PERIOD], wide_square[RK_MAX_PERIOD];
  float *center = values, *sum = values + c, *square = values + 2 * c;
  const int64_t sample = (rows + 7) / 8;
  rk_moments_loop loop = {.count = sample * c, .period = rk_column_period(c), .src = src};
  loop.sum = collector(c, sum, wide_sum);
  loops->moments(&loop);
  collect(loops, c, loop.sum, sum);
  for (int64_t i = 0; i < c; i++) center[i] = sum[i] / (float)sample;
  loop.count = rows * c;
  loop.center = rk_columns(c, center, wide_center);
  loop.square = collector(c, square, wide_square);
  loops->moments(&loop);
  collect(loops, c, loop.sum, sum);
  collect(loops, c, loop.square, square);
}

void rk_batch_norm_moments(const void *args, const rk_team *team) {
  const rk_batch_norm_moments_args *a = args;
  const rk_chunks pieces = rk_chunks_of(a->rows, a->c);
  int64_t first, last;
  rk_share(pieces.count, team, &first, &last);
  for (int64_t i = first; i < last; i++)
    piece_moments(rk_loops_of(a->isa, a->type), rk_chunk_rows(pieces, a->rows, i), a->c, rk_at(a->src, a->type, i * pieces.rows * a->c),
                  a->moments + i * MOMENTS * a->c);
}

/* A channel's mean and sum of squared deviations over a growing number of rows: Chan, Golub and LeVeque 1979. */
typedef struct channel_moments {
  double rows, mean, deviation;
} channel_moments;

static void add_piece(channel_moments *all, double rows, double center, double sum, double square) {
  double offset = sum / rows, delta = center + offset - all->mean;
  all->mean += delta * (rows / (all->rows + rows));
  all->deviation += square - rows * offset * offset + delta * delta * (all->rows * rows / (all->rows + rows));
  all->rows += rows;
}

static channel_moments merge_moments(const rk_batch_norm_finish_args *a, int64_t channel) {
  channel_moments all = {0};
  const float *part = a->moments + channel;
  for (int64_t row = 0; row < a->rows; row += a->part_rows, part += a->part_step) {
    int64_t rows = a->rows - row < a->part_rows ? a->rows - row : a->part_rows;
    const rk_chunks pieces = rk_chunks_of(rows, a->c);
    const float *values = part;
    for (int64_t i = 0; i < pieces.count; i++, values += MOMENTS * a->c)
      add_piece(&all, (double)rk_chunk_rows(pieces, rows, i), (double)values[0], (double)values[a->c], (double)values[2 * a->c]);
  }
  if (all.deviation < 0) all.deviation = 0;
  return all;
}

/* What the float mean lost of the double one goes into the shift. */
static void finish_channel(const rk_batch_norm_finish_args *a, int64_t i) {
  const channel_moments all = merge_moments(a, i);
  double var = all.deviation / all.rows, rstd = 1 / sqrt(var + (double)a->epsilon);
  double scale = a->gamma == NULL ? rstd : (double)a->gamma[i] * rstd;
  a->mean[i] = (float)all.mean;
  a->rstd[i] = (float)rstd;
  a->scale[i] = (float)scale;
  a->shift[i] = (float)((a->beta == NULL ? 0 : (double)a->beta[i]) - (all.mean - (double)a->mean[i]) * scale);
  double momentum = (double)a->momentum, unbiased = all.rows > 1 ? all.deviation / (all.rows - 1) : var;
  if (a->running_mean != NULL) a->running_mean[i] = (float)((1 - momentum) * (double)a->running_mean[i] + momentum * all.mean);
  if (a->running_var != NULL) a->running_var[i] = (float)((1 - momentum) * (double)a->running_var[i] + momentum * unbiased);
}

void rk_batch_norm_finish(const void *args, const rk_team *team) {
  const rk_batch_norm_finish_args *a = args;
  int64_t begin, end;
  if (a->rows <= 0) return;
  rk_share(a->c, team, &begin, &end);
  for (int64_t i = begin; i < end; i++) finish_channel(a, i);
}

/* ---- Backward ---- */

static void piece_gradients(const rk_loops *loops, const rk_batch_norm_gradients_args *a, rk_gradient_moments_loop loop, int64_t row,
                            int64_t rows, float *values) {
  float wide_sum[RK_MAX_PERIOD], wide_product[RK_MAX_PERIOD];
  float *sum = values, *product = values + a->c;
  loop.count = rows * a->c;
  loop.src = rk_at(a->src, a->type, row * a->c);
  loop.dst = a->dst == NULL ? NULL : rk_at(a->dst, a->type, row * a->c);
  loop.ddst = rk_at(a->ddst, a->type, row * a->c);
  loop.masked = a->masked == NULL ? NULL : rk_to(a->masked, a->type, row * a->c);
  loop.sum = collector(a->c, sum, wide_sum);
  loop.product = collector(a->c, product, wide_product);
  loops->gradient_moments(&loop);
  collect(loops, a->c, loop.sum, sum);
  collect(loops, a->c, loop.product, product);
}

void rk_batch_norm_gradients(const void *args, const rk_team *team) {
  const rk_batch_norm_gradients_args *a = args;
  const rk_chunks pieces = rk_chunks_of(a->rows, a->c);
  float center[RK_MAX_PERIOD], mask_scale[RK_MAX_PERIOD], mask_shift[RK_MAX_PERIOD];
  rk_gradient_moments_loop loop = {.period = rk_column_period(a->c), .center = rk_columns(a->c, a->mean, center)};
  loop.mask_scale = rk_columns(a->c, a->mask_scale, mask_scale);
  loop.mask_shift = rk_columns(a->c, a->mask_shift, mask_shift);
  int64_t first, last;
  rk_share(pieces.count, team, &first, &last);
  for (int64_t i = first; i < last; i++)
    piece_gradients(rk_loops_of(a->isa, a->type), a, loop, i * pieces.rows, rk_chunk_rows(pieces, a->rows, i),
                    a->gradients + i * GRADIENTS * a->c);
}

static void finish_gradients(const rk_batch_norm_gradients_finish_args *a, int64_t channel) {
  double sum = 0, product = 0;
  const float *part = a->gradients == NULL ? NULL : a->gradients + channel;
  for (int64_t row = 0; part != NULL && row < a->rows; row += a->part_rows, part += a->part_step) {
    int64_t pieces = rk_chunks_of(a->rows - row < a->part_rows ? a->rows - row : a->part_rows, a->c).count;
    for (int64_t i = 0; i < pieces; i++) {
      sum += (double)part[i * GRADIENTS * a->c];
      product += (double)part[(i * GRADIENTS + 1) * a->c];
    }
  }
  double rstd = (double)a->rstd[channel], scale = a->gamma == NULL ? rstd : (double)a->gamma[channel] * rstd, rows = (double)a->rows;
  if (a->dbeta != NULL) a->dbeta[channel] = (float)sum;
  if (a->dgamma != NULL) a->dgamma[channel] = (float)(product * rstd);
  a->scale[channel] = (float)scale;
  a->slope[channel] = (float)(-scale * rstd * rstd * product / rows);
  a->shift[channel] = (float)(-scale * sum / rows);
}

void rk_batch_norm_gradients_finish(const void *args, const rk_team *team) {
  const rk_batch_norm_gradients_finish_args *a = args;
  int64_t begin, end;
  rk_share(a->c, team, &begin, &end);
  for (int64_t i = begin; i < end; i++) finish_gradients(a, i);
}

void rk_batch_norm_gradients_apply(const void *args, const rk_team *team) {
  const rk_batch_norm_gradients_apply_args *a = args;
  const rk_chunks pieces = rk_chunks_of(a->rows, a->c);
  int64_t first, last;
  rk_share(pieces.count, team, &first, &last);
  float center[RK_MAX_PERIOD], scale[RK_MAX_PERIOD], slope[RK_MAX_PERIOD], shift[RK_MAX_PERIOD];
  float mask_scale[RK_MAX_PERIOD], mask_shift[RK_MAX_PERIOD];
  const int64_t dadd_c = a->dadd_c != 0 ? a->dadd_c : a->c;
  const int narrow = a->dadd != NULL && dadd_c < a->c;
  rk_gradient_affine_loop loop = {.period = narrow ? a->c : rk_column_period(a->c), .narrow = narrow ? dadd_c : 0};
  loop.center = rk_columns(a->c, a->mean, center);
  loop.scale = rk_columns(a->c, a->scale, scale);
  loop.slope = rk_columns(a->c, a->slope, slope);
  loop.shift = rk_columns(a->c, a->shift, shift);
  loop.mask_scale = rk_columns(a->c, a->mask_scale, mask_scale);
  loop.mask_shift = rk_columns(a->c, a->mask_shift, mask_shift);
  loop.accumulate_dsrc = a->accumulate_dsrc, loop.accumulate_dadd = a->accumulate_dadd;
  /* A sum's gradient that is already where it should be. */
  const int is_masked = a->dst != NULL || a->mask_scale != NULL;
  const int stays = a->dadd == NULL || (a->dadd == a->ddst && !narrow && !is_masked && !a->accumulate_dadd);
  if (stays) loop.accumulate_dadd = 0;
  /* The piece read last is the one that the cache still holds: backwards. */
  for (int64_t i = last; i-- > first;) {
    const int64_t at = i * pieces.rows * a->c;
    loop.count = rk_chunk_rows(pieces, a->rows, i) * a->c;
    loop.src = rk_at(a->src, a->type, at);
    loop.dst = a->dst == NULL ? NULL : rk_at(a->dst, a->type, at);
    loop.ddst = rk_at(a->ddst, a->type, at);
    loop.dsrc = a->dsrc == NULL ? NULL : rk_to(a->dsrc, a->type, at);
    loop.dadd = stays ? NULL : rk_to(a->dadd, a->type, i * pieces.rows * dadd_c);
    rk_loops_of(a->isa, a->type)->gradient_affine(&loop);
  }
}
