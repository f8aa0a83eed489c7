/* elementwise.c: sums, ReLU's and PReLU's gradients, channel copies, dropout. Not here: the inner loops (loops_body.h). */
#include "loops.h"
#include "reference/reference.h"
#include <string.h>

void rk_sum(const void *args, const rk_team *team) {
  const rk_sum_args *a = args;
  RK_REFERENCE_STEP(sum, a)
  int64_t begin, end;
  rk_share_floats(a->count, team, &begin, &end);
  if (begin < end) rk_loops_of(a->isa, a->type)->sum(a, begin, end);
}

void rk_scaled(const void *args, const rk_team *team) {
  const rk_scaled_args *a = args;
  RK_REFERENCE_STEP(scaled, a)
  int64_t begin, end;
  rk_share_floats(a->count, team, &begin, &end);
  if (begin >= end) return;
  rk_loops_of(a->isa, a->type)->scaled(end - begin, a->scale, rk_at(a->src, a->type, begin), a->accumulate, rk_to(a->dst, a->type, begin));
}

void rk_relu_backward(const void *args, const rk_team *team) {
  const rk_relu_backward_args *a = args;
  RK_REFERENCE_STEP(relu_backward, a)
  int64_t begin, end;
  rk_share_floats(a->count, team, &begin, &end);
  if (begin < end) rk_loops_of(a->isa, a->type)->relu_backward(a, begin, end);
}

void rk_convert(const void *args, const rk_team *team) {
  const rk_convert_args *a = args;
  RK_REFERENCE_STEP(convert, a)
  int64_t begin, end;
  rk_share_floats(a->count, team, &begin, &end);
  if (begin >= end) return;
  const void *src = rk_at(a->src, a->src_type, begin);
  void *dst = rk_to(a->dst, a->dst_type, begin);
  if (a->src_type == a->dst_type) memmove(dst, src, (size_t)rk_bytes_of(a->src_type, end - begin));
  else if (a->dst_type == RK_F32) rk_loops_of(a->isa, a->src_type)->widen(end - begin, src, dst);
  else rk_loops_of(a->isa, a->dst_type)->narrow(end - begin, src, dst);
}

/* ---- PReLU (He et al. 2015) ---- */

void rk_prelu(const void *args, const rk_team *team) {
  const rk_prelu_args *a = args;
  RK_REFERENCE_STEP(prelu, a)
  float slope[RK_MAX_PERIOD];
  const rk_chunks chunks = rk_chunks_of(a->rows, a->c);
  int64_t first, last;
  rk_share(chunks.count, team, &first, &last);
  int64_t begin = first * chunks.rows, end = last * chunks.rows < a->rows ? last * chunks.rows : a->rows;
  if (begin >= end) return;
  rk_prelu_loop loop = {.count = (end - begin) * a->c, .period = rk_period(a->c), .slope = rk_periodic(a->c, a->slope, slope)};
  loop.src = rk_at(a->src, a->type, begin * a->c), loop.dst = rk_to(a->dst, a->type, begin * a->c);
  rk_loops_of(a->isa, a->type)->prelu(&loop);
}

static void chunk_prelu(const rk_loops *loops, const rk_prelu_backward_args *a, int64_t row, int64_t rows, const float *slope,
                        float *chunk_sum) {
  float wide[RK_MAX_PERIOD];
  const int64_t period = rk_period(a->c), at = row * a->c;
  rk_prelu_gradient_loop loop = {.count = rows * a->c, .period = period, .slope = slope};
  loop.src = rk_at(a->src, a->type, at), loop.ddst = rk_at(a->ddst, a->type, at);
  loop.dsrc = a->dsrc == NULL ? NULL : rk_to(a->dsrc, a->type, at);
  loop.accumulate = a->accumulate;
  loop.dslope = a->dslope == NULL ? NULL : period == a->c ? chunk_sum : wide;
  loops->prelu_gradient(&loop);
  if (loop.dslope == wide) loops->fold(period, a->c, wide, chunk_sum);
}

void rk_prelu_backward(const void *args, const rk_team *team) {
  const rk_prelu_backward_args *a = args;
  RK_REFERENCE_STEP(prelu_backward, a)
  float room[RK_MAX_PERIOD];
  const float *slope = rk_periodic(a->c, a->slope, room);
  const rk_chunks chunks = rk_chunks_of(a->rows, a->c);
  int64_t first, last, begin, end;
  rk_share(chunks.count, team, &first, &last);
  for (int64_t k = first; k < last; k++) {
    int64_t row = k * chunks.rows, rows = a->rows - row < chunks.rows ? a->rows - row : chunks.rows;
    chunk_prelu(rk_loops_of(a->isa, a->type), a, row, rows, slope, a->scratch + k * a->c);
  }
  if (a->dslope == NULL) return;
  rk_team_barrier(team);
  rk_share(a->c, team, &begin, &end);
  for (int64_t i = begin; i < end; i++) {
    double total = 0;
    for (int64_t k = 0; k < chunks.count; k++) total += (double)a->scratch[k * a->c + i];
    a->dslope[i] = (float)total;
  }
}

/* ---- Channel copy ---- */

void rk_channel_copy(const void *args, const rk_team *team) {
  const rk_channel_copy_args *a = args;
  RK_REFERENCE_STEP(channel_copy, a)
  int64_t begin, end;
  rk_share(a->rows, team, &begin, &end);
  const int64_t before = a->dst_offset, behind = a->dst_c - before - a->count;
  for (int64_t row = begin; row < end && a->zero_rest; row++) {
    memset(rk_to(a->dst, a->type, row * a->dst_c), 0, (size_t)rk_bytes_of(a->type, before));
    memset(rk_to(a->dst, a->type, (row + 1) * a->dst_c - behind), 0, (size_t)rk_bytes_of(a->type, behind));
  }
  const rk_copy_loop loop = {.rows = end - begin,
                             .count = a->count,
                             .src_step = a->src_c,
                             .dst_step = a->dst_c,
                             .src = rk_at(a->src, a->type, begin * a->src_c + a->src_offset),
                             .dst = rk_to(a->dst, a->type, begin * a->dst_c + a->dst_offset),
                             .accumulate = a->accumulate};
  rk_loops_of(a->isa, a->type)->copy(&loop);
}

/* ---- Dropout (Srivastava et al. 2014) ---- */

void rk_dropout(const void *args, const rk_team *team) {
  const rk_dropout_args *a = args;
  enum { BLOCK = 1024 }; /* elements whose words are drawn at once: a divisor of rk_share_floats' pieces */
  const rk_loops *loops = rk_loops_of(rk_isa_best(), a->type);
  /* Small numbers of layers keep out of the way of the run's counter. */
  const uint64_t high = *a->counter ^ (a->stream << 48 | a->stream >> 16);
  const double kept = (1 - (double)a->rate) * 4294967296.0; /* of 2^32 words */
  rk_dropout_loop loop = {.limit = (uint32_t)((uint64_t)kept - 1), .scale = 1 / (1 - a->rate), .accumulate = a->accumulate};
  uint32_t words[BLOCK];
  int64_t begin, end;
  rk_share_floats(a->count, team, &begin, &end);
  for (int64_t i = begin; i < end; i += BLOCK) {
    loop.count = end - i < BLOCK ? end - i : BLOCK;
    loop.words = words, loop.src = rk_at(a->src, a->type, i), loop.dst = rk_to(a->dst, a->type, i);
    loops->philox(*a->key, (uint64_t)i / 4, high, (loop.count + 3) / 4, words);
    loops->dropout(&loop);
  }
}

/* ---- Sums over parts ---- */

void rk_sum_parts(const void *args, const rk_team *team) {
  const rk_sum_parts_args *a = args;
  int64_t begin, end;
  rk_share_floats(a->count, team, &begin, &end);
  for (int64_t first = begin; first < end; first += 1024) {
    int64_t count = end - first < 1024 ? end - first : 1024;
    rk_loops_of(a->isa, RK_F32)->scaled(count, 1, a->parts + first, 0, a->dst + first);
    for (int64_t part = 1; part < a->count_parts; part++)
      rk_loops_of(a->isa, RK_F32)->scaled(count, 1, a->parts + part * a->part_step + first, 1, a->dst + first);
  }
}
