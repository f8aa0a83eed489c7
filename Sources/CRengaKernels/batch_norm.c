/* batch_norm.c: batch normalisation over rows as one step, with the residual sum and the ReLU that often follow (Ioffe and Szegedy 2015):
 * the parts of batch_norm_parts.c one behind the other, with a barrier between them, over the whole batch as one part.
 * Not here: sums and what follows from them (batch_norm_parts.c), folding into convolutions (a rewrite of the network). */
#include "loops.h"
#include "reference/reference.h"
#include <math.h>
#include <stddef.h>

/* Values a channel that are kept between two parts. */
enum { MERGED_VALUES = 3 };

size_t rk_batch_norm_scratch(int64_t rows, int64_t c) {
  return rk_batch_norm_moments_floats(rows, c) + MERGED_VALUES * (size_t)c;
}

void rk_batch_norm_train(const void *args, const rk_team *team) {
  const rk_batch_norm_train_args *a = args;
  RK_REFERENCE_STEP(batch_norm_train, a)
  if (a->rows <= 0) return;
  float *merged = a->scale_shift != NULL ? a->scale_shift : a->scratch + rk_batch_norm_moments_floats(a->rows, a->c);
  const rk_batch_norm_moments_args moments = {
      .isa = a->isa, .type = a->type, .rows = a->rows, .c = a->c, .src = a->src, .moments = a->scratch};
  rk_batch_norm_moments(&moments, team);
  rk_team_barrier(team);
  const rk_batch_norm_finish_args finish = {
      .rows = a->rows, .part_rows = a->rows, .c = a->c, .moments = a->scratch,
      .gamma = a->gamma, .beta = a->beta, .mean = a->mean, .rstd = a->rstd,
      .scale = merged, .shift = merged + a->c, .running_mean = a->running_mean, .running_var = a->running_var,
      .epsilon = a->epsilon, .momentum = a->momentum};
  rk_batch_norm_finish(&finish, team);
  rk_team_barrier(team);
  const rk_scale_shift_args apply = {
      .isa = a->isa, .type = a->type, .rows = a->rows, .c = a->c, .src = a->src, .add = a->add,
      .scale = merged, .shift = merged + a->c, .center = a->mean, .relu = a->relu, .dst = a->dst, .add_c = a->add_c};
  rk_scale_shift(&apply, team);
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
  const int64_t add_c = a->add_c != 0 ? a->add_c : a->c;
  const int narrow = a->add != NULL && add_c < a->c;
  rk_affine_loop loop = {.period = narrow ? a->c : rk_column_period(a->c), .narrow = narrow ? add_c : 0, .relu = a->relu};
  loop.center = rk_columns(a->c, a->center, center);
  loop.scale = rk_columns(a->c, a->scale, scale);
  loop.shift = rk_columns(a->c, a->shift, shift);
  /* Behind a reduction the chunk read last is the one that the cache still holds: backwards. */
  for (int64_t k = last; k-- > first;) {
    const int64_t at = k * chunks.rows * a->c;
    loop.count = rk_chunk_rows(chunks, a->rows, k) * a->c;
    loop.src = rk_at(a->src, a->type, at);
    loop.add = a->add == NULL ? NULL : rk_at(a->add, a->type, k * chunks.rows * add_c);
    loop.dst = rk_to(a->dst, a->type, at);
    rk_loops_of(a->isa, a->type)->affine(&loop);
  }
}

/* ---- Backward ---- */

void rk_batch_norm_backward(const void *args, const rk_team *team) {
  const rk_batch_norm_backward_args *a = args;
  RK_REFERENCE_STEP(batch_norm_backward, a)
  const int wants_sums = a->dgamma != NULL || a->dbeta != NULL || (a->dsrc != NULL && !a->frozen_stats);
  const void *mask = a->relu ? a->dst : NULL;
  float *merged = a->scratch + rk_batch_norm_gradients_floats(a->rows, a->c);
  if (wants_sums) {
    const rk_batch_norm_gradients_args sums = {
        .isa = a->isa, .type = a->type, .rows = a->rows, .c = a->c, .src = a->src, .dst = mask, .ddst = a->ddst,
        .mean = a->mean, .gradients = a->scratch};
    rk_batch_norm_gradients(&sums, team);
  }
  rk_team_barrier(team);
  const rk_batch_norm_gradients_finish_args finish = {
      .rows = a->rows, .part_rows = a->rows, .c = a->c, .gradients = wants_sums ? a->scratch : NULL,
      .gamma = a->gamma, .rstd = a->rstd, .dgamma = a->dgamma, .dbeta = a->dbeta,
      .scale = merged, .slope = merged + a->c, .shift = merged + 2 * a->c};
  rk_batch_norm_gradients_finish(&finish, team);
  rk_team_barrier(team);
  if (a->dsrc == NULL && a->dadd == NULL) return;
  const rk_batch_norm_gradients_apply_args apply = {
      .isa = a->isa, .type = a->type, .rows = a->rows, .c = a->c, .src = a->src, .dst = mask, .ddst = a->ddst,
      .mean = a->mean, .scale = merged, .slope = a->frozen_stats ? NULL : merged + a->c, .shift = merged + 2 * a->c,
      .accumulate_dsrc = a->accumulate_dsrc, .accumulate_dadd = a->accumulate_dadd, .dsrc = a->dsrc, .dadd = a->dadd,
      .dadd_c = a->dadd_c};
  rk_batch_norm_gradients_apply(&apply, team);
}
