/* batch_norm.c: batch normalisation over rows, with the residual sum and the ReLU that often follow (Ioffe and Szegedy 2015).
 * Not here: folding into convolutions (a rewrite of the network), the inner loops (loops_body.h).
 *
 * Every reduction: chunks of rows fixed by the shape, each reduced in float to a few values a channel; then, behind a barrier, the
 * chunks' values merged in double in the order of the chunks. */
#include "loops.h"
#include "reference/reference.h"
#include <math.h>
#include <stddef.h>

/* Values a channel that a chunk leaves in the scratch buffer, and that the merge leaves behind them for the second pass. */
enum { CHUNK_VALUES = 3, MERGED_VALUES = 3 };

size_t rk_batch_norm_scratch(int64_t rows, int64_t c) {
  return (size_t)(rk_chunks_of(rows, c).count * CHUNK_VALUES + MERGED_VALUES) * (size_t)c;
}

/* Where the sums of a chunk are collected: on the stack, periodic, or at their place in scratch where the period is C. */
static float *collector(int64_t c, float *place, float *room) { return rk_period(c) == c ? place : room; }

static void collect(const rk_loops *loops, int64_t c, const float *wide, float *place) {
  if (wide != place) loops->fold(rk_period(c), c, wide, place);
}

/* ---- Training forward ---- */

/* A chunk's values: a centre near the mean, the sum of (x - centre) and of its square. Centred before they are squared, so that a mean
 * far from zero costs no digits. The centre is the mean of an eighth of the rows: by Jensen its squared distance from the chunk's mean is
 * at most eight times the chunk's variance, whatever the data, and so the subtraction in merge_moments loses at most three bits. */
static void chunk_moments(const rk_loops *loops, int64_t rows, int64_t c, const void *src, float *values) {
  float wide_centre[RK_MAX_PERIOD], wide_sum[RK_MAX_PERIOD], wide_square[RK_MAX_PERIOD];
  float *centre = values, *sum = values + c, *square = values + 2 * c;
  const int64_t sample = (rows + 7) / 8;
  rk_moments_loop loop = {.count = sample * c, .period = rk_period(c), .src = src};
  loop.sum = collector(c, sum, wide_sum);
  loops->moments(&loop);
  collect(loops, c, loop.sum, sum);
  for (int64_t i = 0; i < c; i++) centre[i] = sum[i] / (float)sample;
  loop.count = rows * c;
  loop.center = rk_periodic(c, centre, wide_centre);
  loop.square = collector(c, square, wide_square);
  loops->moments(&loop);
  collect(loops, c, loop.sum, sum);
  collect(loops, c, loop.square, square);
}

/* Mean and sum of squared deviations of channel i over all chunks: Chan, Golub and LeVeque 1979. */
static void merge_moments(const rk_batch_norm_train_args *a, rk_chunks chunks, int64_t i, double *mean, double *deviation) {
  double total = 0, m = 0, d = 0;
  for (int64_t k = 0; k < chunks.count; k++) {
    const float *values = a->scratch + k * CHUNK_VALUES * a->c;
    double n = (double)(k + 1 < chunks.count ? chunks.rows : a->rows - k * chunks.rows);
    double offset = (double)values[a->c + i] / n;
    double chunk_mean = (double)values[i] + offset, chunk_deviation = (double)values[2 * a->c + i] - n * offset * offset;
    double delta = chunk_mean - m;
    m += delta * (n / (total + n));
    d += chunk_deviation + delta * delta * (total * n / (total + n));
    total += n;
  }
  *mean = m;
  *deviation = d > 0 || d != d ? d : 0;
}

/* Writes the channel's statistics, and center, scale, shift of the second pass: y = (x - center) scale + shift. What the float mean
 * lost of the double one goes into the shift. */
static void finish_channel(const rk_batch_norm_train_args *a, int64_t i, double mean, double deviation, float *merged) {
  double rows = (double)a->rows, var = deviation / rows, rstd = 1 / sqrt(var + (double)a->epsilon);
  double scale = a->gamma == NULL ? rstd : (double)a->gamma[i] * rstd;
  a->mean[i] = (float)mean;
  a->rstd[i] = (float)rstd;
  merged[i] = (float)scale;
  merged[a->c + i] = (float)((a->beta == NULL ? 0 : (double)a->beta[i]) - (mean - (double)a->mean[i]) * scale);
  double momentum = (double)a->momentum, unbiased = a->rows > 1 ? deviation / (rows - 1) : var;
  if (a->running_mean != NULL) a->running_mean[i] = (float)((1 - momentum) * (double)a->running_mean[i] + momentum * mean);
  if (a->running_var != NULL) a->running_var[i] = (float)((1 - momentum) * (double)a->running_var[i] + momentum * unbiased);
}

void rk_batch_norm_train(const void *args, const rk_team *team) {
  const rk_batch_norm_train_args *a = args;
  RK_REFERENCE_STEP(batch_norm_train, a)
  if (a->rows <= 0) return;
  const rk_loops *loops = rk_loops_of(a->isa, a->type);
  const rk_chunks chunks = rk_chunks_of(a->rows, a->c);
  float *merged = a->scale_shift != NULL ? a->scale_shift : a->scratch + chunks.count * CHUNK_VALUES * a->c;
  int64_t first, last, begin, end;
  rk_share(chunks.count, team, &first, &last);
  for (int64_t k = first; k < last; k++) {
    int64_t row = k * chunks.rows, rows = a->rows - row < chunks.rows ? a->rows - row : chunks.rows;
    chunk_moments(loops, rows, a->c, rk_at(a->src, a->type, row * a->c), a->scratch + k * CHUNK_VALUES * a->c);
  }
  rk_team_barrier(team);
  rk_share(a->c, team, &begin, &end);
  for (int64_t i = begin; i < end; i++) {
    double mean, deviation;
    merge_moments(a, chunks, i, &mean, &deviation);
    finish_channel(a, i, mean, deviation, merged);
  }
  rk_team_barrier(team);
  float center[RK_MAX_PERIOD], scale[RK_MAX_PERIOD], shift[RK_MAX_PERIOD];
  rk_affine_loop loop = {.period = rk_period(a->c), .relu = a->relu};
  loop.center = rk_periodic(a->c, a->mean, center);
  loop.scale = rk_periodic(a->c, merged, scale);
  loop.shift = rk_periodic(a->c, merged + a->c, shift);
  /* The chunk read last is the one that the cache still holds: backwards. */
  for (int64_t k = last; k-- > first;) {
    int64_t row = k * chunks.rows, rows = a->rows - row < chunks.rows ? a->rows - row : chunks.rows;
    loop.count = rows * a->c;
    loop.src = rk_at(a->src, a->type, row * a->c);
    loop.add = a->add == NULL ? NULL : rk_at(a->add, a->type, row * a->c);
    loop.dst = rk_to(a->dst, a->type, row * a->c);
    loops->affine(&loop);
  }
}

/* ---- Known statistics ---- */

void rk_batch_norm_prepare(const void *args, const rk_team *team) {
  const rk_batch_norm_prepare_args *a = args;
  int64_t begin, end;
  rk_share(a->c, team, &begin, &end);
  for (int64_t i = begin; i < end; i++) {
    double rstd = 1 / sqrt((double)a->var[i] + (double)a->epsilon);
    double scale = a->gamma == NULL ? rstd : (double)a->gamma[i] * rstd;
    a->scale[i] = (float)scale;
    a->shift[i] = (float)((a->beta == NULL ? 0 : (double)a->beta[i]) - (double)a->mean[i] * scale);
    if (a->rstd != NULL) a->rstd[i] = (float)rstd;
  }
}

void rk_scale_shift(const void *args, const rk_team *team) {
  const rk_scale_shift_args *a = args;
  RK_REFERENCE_STEP(scale_shift, a)
  float center[RK_MAX_PERIOD], scale[RK_MAX_PERIOD], shift[RK_MAX_PERIOD];
  const rk_chunks chunks = rk_chunks_of(a->rows, a->c);
  int64_t first, last;
  rk_share(chunks.count, team, &first, &last);
  int64_t begin = first * chunks.rows, end = last * chunks.rows < a->rows ? last * chunks.rows : a->rows;
  if (begin >= end) return;
  rk_affine_loop loop = {.count = (end - begin) * a->c, .period = rk_period(a->c), .relu = a->relu};
  loop.center = a->center == NULL ? NULL : rk_periodic(a->c, a->center, center);
  loop.scale = rk_periodic(a->c, a->scale, scale);
  loop.shift = rk_periodic(a->c, a->shift, shift);
  loop.src = rk_at(a->src, a->type, begin * a->c);
  loop.add = a->add == NULL ? NULL : rk_at(a->add, a->type, begin * a->c);
  loop.dst = rk_to(a->dst, a->type, begin * a->c);
  rk_loops_of(a->isa, a->type)->affine(&loop);
}

/* ---- Backward ---- */

static void chunk_gradients(const rk_loops *loops, const rk_batch_norm_backward_args *a, int64_t row, int64_t rows, const float *center,
                            float *values) {
  float wide_sum[RK_MAX_PERIOD], wide_product[RK_MAX_PERIOD];
  float *sum = values, *product = values + a->c;
  rk_gradient_moments_loop loop = {.count = rows * a->c, .period = rk_period(a->c), .center = center};
  loop.src = rk_at(a->src, a->type, row * a->c);
  loop.dst = a->relu ? rk_at(a->dst, a->type, row * a->c) : NULL;
  loop.ddst = rk_at(a->ddst, a->type, row * a->c);
  loop.sum = collector(a->c, sum, wide_sum);
  loop.product = collector(a->c, product, wide_product);
  loops->gradient_moments(&loop);
  collect(loops, a->c, loop.sum, sum);
  collect(loops, a->c, loop.product, product);
}

/* dbeta and dgamma of a channel, and scale, slope, shift of the second pass: dsrc = scale d + slope (x - mean) + shift. */
static void merge_gradients(const rk_batch_norm_backward_args *a, rk_chunks chunks, int64_t i, float *merged) {
  double sum = 0, product = 0;
  for (int64_t k = 0; k < chunks.count; k++) {
    sum += (double)a->scratch[k * CHUNK_VALUES * a->c + i];
    product += (double)a->scratch[(k * CHUNK_VALUES + 1) * a->c + i];
  }
  double rstd = (double)a->rstd[i], scale = a->gamma == NULL ? rstd : (double)a->gamma[i] * rstd, rows = (double)a->rows;
  if (a->dbeta != NULL) a->dbeta[i] = (float)sum;
  if (a->dgamma != NULL) a->dgamma[i] = (float)(product * rstd);
  merged[a->c + i] = (float)(-scale * rstd * rstd * product / rows);
  merged[2 * a->c + i] = (float)(-scale * sum / rows);
}

static void apply_gradients(const rk_loops *loops, const rk_batch_norm_backward_args *a, const float *center, const float *merged,
                            rk_chunks chunks, int64_t first, int64_t last) {
  float scale[RK_MAX_PERIOD], slope[RK_MAX_PERIOD], shift[RK_MAX_PERIOD];
  rk_gradient_affine_loop loop = {.period = rk_period(a->c), .center = center};
  loop.accumulate_dsrc = a->accumulate_dsrc, loop.accumulate_dadd = a->accumulate_dadd;
  loop.scale = rk_periodic(a->c, merged, scale);
  loop.slope = a->frozen_stats ? NULL : rk_periodic(a->c, merged + a->c, slope);
  loop.shift = rk_periodic(a->c, merged + 2 * a->c, shift);
  for (int64_t k = last; k-- > first;) {
    int64_t row = k * chunks.rows, rows = a->rows - row < chunks.rows ? a->rows - row : chunks.rows, at = row * a->c;
    loop.count = rows * a->c;
    loop.src = rk_at(a->src, a->type, at);
    loop.dst = a->relu ? rk_at(a->dst, a->type, at) : NULL;
    loop.ddst = rk_at(a->ddst, a->type, at);
    loop.dsrc = a->dsrc == NULL ? NULL : rk_to(a->dsrc, a->type, at);
    loop.dadd = a->dadd == NULL ? NULL : rk_to(a->dadd, a->type, at);
    loops->gradient_affine(&loop);
  }
}

void rk_batch_norm_backward(const void *args, const rk_team *team) {
  const rk_batch_norm_backward_args *a = args;
  RK_REFERENCE_STEP(batch_norm_backward, a)
  const rk_loops *loops = rk_loops_of(a->isa, a->type);
  const rk_chunks chunks = rk_chunks_of(a->rows, a->c);
  float *merged = a->scratch + chunks.count * CHUNK_VALUES * a->c, wide_center[RK_MAX_PERIOD];
  const float *center = rk_periodic(a->c, a->mean, wide_center);
  const int wants_sums = a->dgamma != NULL || a->dbeta != NULL || (a->dsrc != NULL && !a->frozen_stats);
  int64_t first, last, begin, end;
  rk_share(chunks.count, team, &first, &last);
  for (int64_t k = first; k < last && wants_sums; k++) {
    int64_t row = k * chunks.rows, rows = a->rows - row < chunks.rows ? a->rows - row : chunks.rows;
    chunk_gradients(loops, a, row, rows, center, a->scratch + k * CHUNK_VALUES * a->c);
  }
  rk_team_barrier(team);
  rk_share(a->c, team, &begin, &end);
  for (int64_t i = begin; i < end; i++) {
    merged[i] = a->gamma == NULL ? a->rstd[i] : a->gamma[i] * a->rstd[i];
    if (wants_sums) merge_gradients(a, chunks, i, merged);
  }
  rk_team_barrier(team);
  if (a->dsrc != NULL || a->dadd != NULL) apply_gradients(loops, a, center, merged, chunks, first, last);
}
