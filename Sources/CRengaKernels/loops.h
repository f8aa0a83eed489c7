/* loops.h: the inner loops of the operators, one table for each instruction set and element type. Private to the kernels.
 * Not here: who does which part (the operators' own files), and the code of the loops (loops_body.h).
 *
 * Pointers to void are maps, of the table's element type; whatever is float stays float in both tables.
 *
 * A map [rows,C] is walked as one flat array beside *periodic* arrays, which hold per-channel values repeated up to a period: a multiple
 * of C that full vectors divide. So every channel count, odd or small, runs on full vectors. */
#ifndef RK_LOOPS_H
#define RK_LOOPS_H
#include "element.h"
#include "rk_movement.h"
#include "rk_operators.h"
#include "rk_pointwise.h"
#include "rk_random.h"
#include "rk_training.h"

/* dst[i] = relu?((src[i] - center[j]) scale[j] + shift[j] + add[i]), j = i mod period. center and add may be NULL.
 * narrow not 0: add has rows of so many channels beside rows of `period`, whose others have nothing added. */
typedef struct rk_affine_loop {
  int64_t count, period;
  const void *src;
  const float *center, *scale, *shift;
  const void *add;
  void *dst;
  int32_t relu;
  int64_t narrow;
} rk_affine_loop;

/* dst[i] = (src[i] - center[j]) scale[j] of bytes. dst is float in every table. */
typedef struct rk_bytes_loop {
  int64_t count, period;
  const uint8_t *src;
  const float *center, *scale;
  float *dst;
} rk_bytes_loop;

/* sum[j] = sum of src[i] - center[j], square[j] = sum of its squares. center and square may both be NULL: the plain sum. */
typedef struct rk_moments_loop {
  int64_t count, period;
  const void *src;
  const float *center;
  float *sum, *square;
} rk_moments_loop;

/* With d[i] = ddst[i], masked by dst[i] > 0 where dst is not NULL, or by (src[i] - center[j]) mask_scale[j] + mask_shift[j] > 0 where
 * mask_scale is not NULL: sum[j] = sum of d, product[j] = sum of d (src - center[j]). masked[i] = d[i] where neither it nor dst is NULL; it may
 * be ddst. */
typedef struct rk_gradient_moments_loop {
  int64_t count, period;
  const void *src, *dst, *ddst;
  void *masked;
  const float *center, *mask_scale, *mask_shift;
  float *sum, *product;
} rk_gradient_moments_loop;

/* dsrc[i] (+)= scale[j] d[i] + slope[j] (src[i] - center[j]) + shift[j]; dadd[i] (+)= d[i]. dsrc or dadd may be NULL;
 * d as above. slope NULL: dsrc (+)= scale[j] d[i] alone. narrow: as above, of dadd. */
typedef struct rk_gradient_affine_loop {
  int64_t count, period, narrow;
  const void *src, *dst, *ddst;
  const float *center, *mask_scale, *mask_shift, *scale, *slope, *shift;
  void *dsrc, *dadd;
  int32_t accumulate_dsrc, accumulate_dadd;
} rk_gradient_affine_loop;

/* dst[i] = src[i] > 0 ? src[i] : slope[j] src[i]. */
typedef struct rk_prelu_loop {
  int64_t count, period;
  const void *src;
  const float *slope;
  void *dst;
} rk_prelu_loop;

/* dsrc[i] (+)= ddst[i] (src[i] > 0 ? 1 : slope[j]); dslope[j] = sum of ddst[i] src[i] where src[i] <= 0. Either may be NULL. */
typedef struct rk_prelu_gradient_loop {
  int64_t count, period;
  const void *src, *ddst;
  const float *slope;
  void *dsrc;
  float *dslope;
  int32_t accumulate;
} rk_prelu_gradient_loop;

/* The taps of one window: src + y step_y + x step_x, y < ny, x < nx, each `count` channels long. window_sum alone also takes `rest` more,
 * from y = ny. */
typedef struct rk_window {
  int64_t count, ny, nx, step_y, step_x, rest;
} rk_window;

/* `rows` rows of `count` elements, src_step and dst_step elements apart. */
typedef struct rk_copy_loop {
  int64_t rows, count, src_step, dst_step;
  const void *src;
  void *dst;
  int32_t accumulate;
} rk_copy_loop;

/* gradient[j] += ddst[j] times the derivative of a o b by operand `which`. An operand that is `one` is a single element. */
typedef struct rk_arithmetic_loop {
  int64_t count;
  rk_pairing pairing;
  const void *src[2];
  int32_t one[2];
  void *dst;
  const void *ddst;
  int32_t which;
  float *gradient;
} rk_arithmetic_loop;

/* The neighbours of one element of a resized map: src + y step_y + x step_x, each `count` channels long, with their weights. */
typedef struct rk_weighted_window {
  int64_t count, ny, nx, step_y, step_x;
  const float *weights_y, *weights_x;
} rk_weighted_window;

typedef struct rk_dropout_loop {
  int64_t count;
  const uint32_t *words;
  uint32_t limit;
  float scale;
  const void *src;
  void *dst;
  int32_t accumulate;
} rk_dropout_loop;

typedef struct rk_loops {
  void (*affine)(const rk_affine_loop *loop);
  void (*bytes)(const rk_bytes_loop *loop);
  void (*moments)(const rk_moments_loop *loop);
  void (*gradient_moments)(const rk_gradient_moments_loop *loop);
  void (*gradient_affine)(const rk_gradient_affine_loop *loop);
  void (*prelu)(const rk_prelu_loop *loop);
  void (*prelu_gradient)(const rk_prelu_gradient_loop *loop);
  /* folded[c] = sum over the repetitions of c in wide[period]. */
  void (*fold)(int64_t period, int64_t c, const float *wide, float *folded);
  /* The part [begin, end) of rk_sum and rk_relu_backward. */
  void (*sum)(const rk_sum_args *args, int64_t begin, int64_t end);
  void (*relu_backward)(const rk_relu_backward_args *args, int64_t begin, int64_t end);
  /* dst[c] = largest tap (NaN wins; -inf without taps); scale times the sum of the taps. */
  void (*window_max)(const rk_window *window, const void *src, void *dst);
  void (*window_sum)(const rk_window *window, const void *src, float scale, void *dst);
  /* The gradient of both, added to dsrc, which is laid out as src: only to the taps of the rows first_y <= y < last_y. */
  void (*window_max_gradient)(const rk_window *window, const void *src, const void *ddst, void *dsrc, int64_t first_y, int64_t last_y);
  void (*window_sum_gradient)(const rk_window *window, const void *ddst, float scale, void *dsrc, int64_t first_y, int64_t last_y);
  void (*copy)(const rk_copy_loop *loop);
  /* The part [begin, end) of rk_pointwise and its gradient. */
  void (*pointwise)(const rk_pointwise_args *args, int64_t begin, int64_t end);
  void (*pointwise_gradient)(const rk_pointwise_backward_args *args, int64_t begin, int64_t end);
  void (*arithmetic)(const rk_arithmetic_loop *loop);
  void (*arithmetic_gradient)(const rk_arithmetic_loop *loop);
  /* dst[c] = the weighted sum of the taps. */
  void (*weighted)(const rk_weighted_window *window, const void *src, void *dst);
  /* The row from element `at` on of rk_lrn and its gradient. */
  void (*lrn)(const rk_lrn_args *args, int64_t at, float *scratch);
  void (*lrn_gradient)(const rk_lrn_backward_args *args, int64_t at, float *scratch);
  /* rk_philox of the counters (first + i, high), i < count, one after another. */
  void (*philox)(uint64_t key, uint64_t first, uint64_t high, int64_t count, uint32_t *words);
  /* dst[i] (+)= words[i] <= limit ? src[i] scale : 0. */
  void (*dropout)(const rk_dropout_loop *loop);
  /* dst (+)= scale src, for `count` elements. */
  void (*scaled)(int64_t count, float scale, const void *src, int32_t accumulate, void *dst);
  /* Between the table's type and float. */
  void (*widen)(int64_t count, const void *src, float *dst);
  void (*narrow)(int64_t count, const float *src, void *dst);
  /* dst[c] = exp(src[c] - shift); returns the sum. dst may be NULL, or src where that is float. */
  float (*exponentials)(int64_t c, const void *src, float shift, float *dst);
  float (*maximum)(int64_t c, const void *src); /* NaN wins; -inf for none */
  float (*dot)(int64_t c, const float *a, const float *b);
  /* dst (+)= src (ddst - dot): the softmax's backward. */
  void (*softmax_gradient)(int64_t c, const float *dst, const float *ddst, float dot, int32_t accumulate, void *dsrc);
  /* dst[c] = dst[c] - first - second; dsrc (+)= ddst - exp(dst) times the sum of ddst: the logarithm's forward and backward. */
  void (*shifted)(int64_t c, float first, float second, float *dst);
  void (*log_softmax_gradient)(int64_t c, const float *dst, const float *ddst, int32_t accumulate, void *dsrc);
  void (*sgd)(const rk_sgd_args *args, const rk_parameter_range *range, int64_t begin, int64_t end);
  void (*adamw)(const rk_adamw_args *args, const rk_parameter_range *range, int64_t begin, int64_t end);
} rk_loops;

/* The table of `isa`, or of the nearest lower one that was compiled. The reference has no table: its twins stand in reference/. */
const rk_loops *rk_loops_of(rk_isa isa, rk_type type);
/* By rk_type. */
extern const rk_loops rk_loops_generic[2];
#if defined(__x86_64__)
extern const rk_loops rk_loops_avx2[2], rk_loops_avx512[2], rk_loops_avx512_bf16; /* the last for bf16 alone */
#endif

/* Longest periodic array. Channel counts that would need more have period C, and their last vector of a row is partial. */
enum { RK_MAX_PERIOD = 2048 };

/* The period for C channels: C itself where it is large, else at most RK_MAX_PERIOD. */
int64_t rk_period(int64_t c);

/* The same for the loops of batch norm, which walk columns: C itself wherever full vectors divide it. */
static inline int64_t rk_column_period(int64_t c) { return c % 16 == 0 ? c : rk_period(c); }

/* A periodic array of values[C]: `values` itself where the period is C, else `room`[RK_MAX_PERIOD], filled. */
const float *rk_periodic(int64_t c, const float *values, float *room);
/* The same for a column period; NULL of NULL. */
static inline const float *rk_columns(int64_t c, const float *values, float *room) {
  return values == NULL || rk_column_period(c) == c ? values : rk_periodic(c, values, room);
}

/* This thread's part of a flat array, cut at whole pages so that threads share no cache line and small arrays stay with one thread. */
static inline void rk_share_floats(int64_t count, const rk_team *team, int64_t *begin, int64_t *end) {
  enum { PIECE = 1024 };
  rk_share((count + PIECE - 1) / PIECE, team, begin, end);
  *begin *= PIECE, *end *= PIECE;
  if (*begin > count) *begin = count;
  if (*end > count) *end = count;
}

/* How a reduction over rows is cut into chunks: by the shape alone, so that the team's size never changes the result. */
typedef struct rk_chunks {
  int64_t rows, count; /* rows of a chunk (the last may have fewer); number of chunks */
} rk_chunks;
rk_chunks rk_chunks_of(int64_t rows, int64_t c);
/* Rows of chunk `chunk`: the last one takes what is left. */
static inline int64_t rk_chunk_rows(rk_chunks chunks, int64_t rows, int64_t chunk) {
  return chunk + 1 < chunks.count ? chunks.rows : rows - chunk * chunks.rows;
}

#endif
