/* rk_operators.h: every operator but convolution, forward and backward, as steps of a program.
 * Not here: convolution (rk_convolution.h), loss and optimisers (rk_training.h), images and data (rk_image.h).
 *
 * Maps are [N,H,W,C] with C fastest; `rows` = N H W counts pixels. `isa` picks the kernel table (the reference twin included).
 * `type` is the element type of all maps of a step (f32 where it is left 0); the arithmetic is in f32 either way.
 * `accumulate` non-zero adds to the destination gradient instead of overwriting it. Unless said otherwise, in-place (src == dst) is fine,
 * any other overlap is not. All results are the same bits for any team size; those of two sets differ by rounding.
 * A ReLU lets NaN through. */
#ifndef RK_OPERATORS_H
#define RK_OPERATORS_H
#include "rk_convolution.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- Batch normalisation over rows, per channel ---- */

/* Training forward: mean and variance of src over rows; y = gamma (src - mean) rstd + beta; dst = activation(y + add).
 * running = (1 - momentum) running + momentum statistic, the variance unbiased (rows / (rows - 1)) there, biased in rstd; as PyTorch. */
typedef struct rk_batch_norm_train_args {
  rk_isa isa;
  rk_type type;
  int64_t rows, c;
  const void *src;
  const float *gamma, *beta;         /* [C]; NULL = 1, 0 */
  const void *add;                   /* [rows,C] or NULL: a residual joined before the activation */
  float *mean, *rstd;                /* [C], written: kept for backward */
  float *scale_shift;                /* [2,C], written where not NULL: rk_scale_shift makes dst again from src by center = mean and these */
  float *running_mean, *running_var; /* [C], updated in place; NULL = leave */
  float epsilon, momentum;
  int32_t relu;
  void *dst;
  float *scratch; /* rk_batch_norm_scratch(rows, c) floats */
  int64_t add_c;  /* channels of add, of which there may be fewer than C: nothing is added to the others; 0 = C */
} rk_batch_norm_train_args;
/* Also of the backward passes of batch norm and PReLU. About 3/16 of the map's floats at most, and no less than 3 C. */
size_t rk_batch_norm_scratch(int64_t rows, int64_t c);
void rk_batch_norm_train(const void *args, const rk_team *team);

/* dst = relu?((src - center) scale + shift + add): inference batch norm that could not be folded, frozen statistics, and the bits of
 * rk_batch_norm_train again. */
typedef struct rk_scale_shift_args {
  rk_isa isa;
  rk_type type;
  int64_t rows, c;
  const void *src, *add;      /* add [rows,C] or NULL */
  const float *scale, *shift; /* [C] */
  const float *center;        /* [C]; NULL = 0 */
  int32_t relu;
  void *dst;
  int64_t add_c; /* as in rk_batch_norm_train */
} rk_scale_shift_args;
void rk_scale_shift(const void *args, const rk_team *team);

/* scale = gamma rstd, shift = beta - mean scale, rstd = 1 / sqrt(var + epsilon) (rstd written where not NULL). */
typedef struct rk_batch_norm_prepare_args {
  int64_t c;
  const float *gamma, *beta, *mean, *var; /* gamma, beta may be NULL */
  float epsilon;
  float *scale, *shift, *rstd;
} rk_batch_norm_prepare_args;
void rk_batch_norm_prepare(const void *args, const rk_team *team);

/* Backward of both. relu non-zero: ddst is first masked by dst > 0.
 * frozen_stats non-zero: mean and rstd are constants (dsrc = gamma rstd ddst). dadd: the masked ddst, for the residual branch. */
typedef struct rk_batch_norm_backward_args {
  rk_isa isa;
  rk_type type;
  int64_t rows, c;
  const void *src, *dst, *ddst; /* dst is read only with relu */
  const float *gamma, *mean, *rstd;
  int32_t relu, frozen_stats;
  int32_t accumulate_dsrc, accumulate_dadd;
  void *dsrc;            /* [rows,C], NULL = not wanted; may be ddst */
  void *dadd;            /* [rows,C], NULL = not wanted; may be ddst if dsrc is not */
  float *dgamma, *dbeta; /* [C], overwritten; NULL = not wanted */
  float *scratch;        /* rk_batch_norm_scratch(rows, c) floats */
  int64_t dadd_c;        /* channels of dadd, the first ones; 0 = C; fewer: it may not be ddst */
} rk_batch_norm_backward_args;
void rk_batch_norm_backward(const void *args, const rk_team *team);

/* The same in parts, for bands: a batch's rows are `rows`, of which each part but the last has part_rows, one behind the other; sums of a
 * part lie part_step floats behind those of the part before. No ReLU, sum or running statistics of their own but those named.
 * No reference twin: the passes above, which are made of them, have one. */

/* Moments of one part. */
typedef struct rk_batch_norm_moments_args {
  rk_isa isa;
  rk_type type;
  int64_t rows, c; /* rows of this part */
  const void *src;
  float *moments; /* rk_batch_norm_moments_floats(rows, c) */
} rk_batch_norm_moments_args;
size_t rk_batch_norm_moments_floats(int64_t rows, int64_t c);
void rk_batch_norm_moments(const void *args, const rk_team *team);

/* Statistics of the whole batch from all parts' moments, as rk_batch_norm_train; y = (src - mean) scale + shift. */
typedef struct rk_batch_norm_finish_args {
  int64_t rows, part_rows, part_step, c;
  const float *moments, *gamma, *beta; /* gamma, beta may be NULL */
  float *mean, *rstd, *scale, *shift;  /* [C], written */
  float *running_mean, *running_var;   /* [C], updated; NULL = leave */
  float epsilon, momentum;
} rk_batch_norm_finish_args;
void rk_batch_norm_finish(const void *args, const rk_team *team);

/* Sums of one part's gradients. The ReLU's mask: dst > 0, or (src - mean) mask_scale + mask_shift > 0, or none. What the mask dst leaves of
 * ddst goes to `masked`, which may be ddst; NULL: nowhere. */
typedef struct rk_batch_norm_gradients_args {
  rk_isa isa;
  rk_type type;
  int64_t rows, c;
  const void *src, *dst, *ddst; /* dst NULL = not the mask */
  const float *mean, *mask_scale, *mask_shift;
  void *masked;
  float *gradients; /* rk_batch_norm_gradients_floats(rows, c) */
} rk_batch_norm_gradients_args;
size_t rk_batch_norm_gradients_floats(int64_t rows, int64_t c);
void rk_batch_norm_gradients(const void *args, const rk_team *team);

/* dgamma, dbeta, and dsrc = scale d + slope (src - mean) + shift, from all parts' sums. */
typedef struct rk_batch_norm_gradients_finish_args {
  int64_t rows, part_rows, part_step, c;
  const float *gradients; /* NULL = only scale is wanted */
  const float *gamma, *rstd;
  float *dgamma, *dbeta;         /* [C], overwritten; NULL = not wanted */
  float *scale, *slope, *shift; /* [C], written */
} rk_batch_norm_gradients_finish_args;
void rk_batch_norm_gradients_finish(const void *args, const rk_team *team);

/* dsrc and dadd of one part, as rk_batch_norm_backward; the mask as above. slope NULL: frozen statistics, dsrc = scale d. */
typedef struct rk_batch_norm_gradients_apply_args {
  rk_isa isa;
  rk_type type;
  int64_t rows, c;
  const void *src, *dst, *ddst;
  const float *mean, *mask_scale, *mask_shift, *scale, *slope, *shift;
  int32_t accumulate_dsrc, accumulate_dadd;
  void *dsrc, *dadd;
  int64_t dadd_c; /* as in rk_batch_norm_backward */
} rk_batch_norm_gradients_apply_args;
void rk_batch_norm_gradients_apply(const void *args, const rk_team *team);

/* dst = the sum of all parts, in order: what each chunk of a band left in its own place. */
typedef struct rk_sum_parts_args {
  rk_isa isa;
  int64_t count, count_parts, part_step; /* floats of dst; parts; floats from one to the next */
  const float *parts;
  float *dst;
} rk_sum_parts_args;
void rk_sum_parts(const void *args, const rk_team *team);

/* ---- Pooling ---- */
typedef struct rk_pool_shape {
  int64_t n, h, w, c, r, s;
  int64_t stride_h, stride_w;
  int64_t pad_top, pad_left, pad_bottom, pad_right; /* window positions past the padded edge (ceil mode) count as outside */
  int64_t dilation_h, dilation_w;
  int64_t oh, ow;
} rk_pool_shape;
typedef struct rk_pool_args {
  rk_isa isa;
  rk_type type;
  rk_pool_shape shape;
  int32_t count_include_pad; /* average only: divisor counts zero padding, but not the positions that ceil mode adds past it (as PyTorch) */
  const void *src;
  void *dst;
} rk_pool_args;
void rk_max_pool(const void *args, const rk_team *team);     /* NaN in a window gives NaN; a window without a pixel -inf */
void rk_average_pool(const void *args, const rk_team *team); /* a window without a pixel gives 0 */
typedef struct rk_pool_backward_args {
  rk_isa isa;
  rk_type type;
  rk_pool_shape shape;
  int32_t count_include_pad, accumulate;
  const void *src, *ddst; /* src is read by max pooling only: the first maximum in row order gets the gradient */
  void *dsrc;
} rk_pool_backward_args;
void rk_max_pool_backward(const void *args, const rk_team *team);
void rk_average_pool_backward(const void *args, const rk_team *team);

typedef struct rk_global_average_args {
  rk_isa isa;
  rk_type type;
  int64_t n, pixels, c; /* pixels = H W */
  const void *src;      /* [N,H,W,C] */
  void *dst;            /* [N,C] */
} rk_global_average_args;
void rk_global_average(const void *args, const rk_team *team);
typedef struct rk_global_average_backward_args {
  rk_isa isa;
  rk_type type;
  int64_t n, pixels, c;
  const void *ddst; /* [N,C] */
  int32_t accumulate;
  void *dsrc; /* [N,H,W,C] */
} rk_global_average_backward_args;
void rk_global_average_backward(const void *args, const rk_team *team);

/* ---- Elementwise ---- */
#define RK_MAX_SUM 8
/* dst = relu?(scale (src[0] + … + src[terms - 1])): add, mean of K, copy, scaled copy, gradient accumulation (dst may be a src). */
typedef struct rk_sum_args {
  rk_isa isa;
  rk_type type;
  int64_t count;
  int32_t terms; /* 1 … RK_MAX_SUM */
  const void *src[RK_MAX_SUM];
  float scale;
  int32_t relu;
  void *dst;
} rk_sum_args;
void rk_sum(const void *args, const rk_team *team);

/* dst (+)= scale src; dst may be src. */
typedef struct rk_scaled_args {
  rk_isa isa;
  rk_type type;
  int64_t count;
  float scale;
  int32_t accumulate;
  const void *src;
  void *dst;
} rk_scaled_args;
void rk_scaled(const void *args, const rk_team *team);

/* dst = src in another type: to bf16 by rounding to the nearest, ties to even. src and dst must not overlap unless the types are equal. */
typedef struct rk_convert_args {
  rk_isa isa;
  rk_type src_type, dst_type;
  int64_t count;
  const void *src;
  void *dst;
} rk_convert_args;
void rk_convert(const void *args, const rk_team *team);

typedef struct rk_relu_backward_args {
  rk_isa isa;
  rk_type type;
  int64_t count;
  const void *dst, *ddst; /* mask: dst > 0 */
  float scale;            /* of the gradient: 1, or 1/K behind a mean */
  int32_t accumulate;
  void *dsrc;
} rk_relu_backward_args;
void rk_relu_backward(const void *args, const rk_team *team);

typedef struct rk_prelu_args {
  rk_isa isa;
  rk_type type;
  int64_t rows, c;
  const void *src;
  const float *slope; /* [C] */
  void *dst;
} rk_prelu_args;
void rk_prelu(const void *args, const rk_team *team);
typedef struct rk_prelu_backward_args {
  rk_isa isa;
  rk_type type;
  int64_t rows, c;
  const void *src, *ddst;
  const float *slope;
  int32_t accumulate;
  void *dsrc;     /* NULL = not wanted */
  float *dslope;  /* [C], overwritten; NULL = not wanted */
  float *scratch; /* rk_batch_norm_scratch(rows, c) floats */
} rk_prelu_backward_args;
void rk_prelu_backward(const void *args, const rk_team *team);

/* dst[row, dst_offset + i] (+)= src[row, src_offset + i] for i < count: concat, channel slice, zero-pad and their backward passes.
 * zero_rest non-zero: all other channels of dst become 0 (only without accumulate). */
typedef struct rk_channel_copy_args {
  rk_isa isa;
  rk_type type;
  int64_t rows, count, src_c, src_offset, dst_c, dst_offset;
  const void *src;
  int32_t accumulate, zero_rest;
  void *dst;
} rk_channel_copy_args;
void rk_channel_copy(const void *args, const rk_team *team);

/* Inverted dropout from the counter-based stream (key, counter): element i is kept with probability 1 - rate and scaled by 1 / (1 - rate).
 * The same (key, counter) gives the same mask: backward is the same step on the gradient. */
typedef struct rk_dropout_args {
  rk_type type;
  int64_t count;
  float rate;                    /* in [0, 1) */
  const uint64_t *key, *counter; /* read when the step runs: the trainer advances them */
  uint64_t stream;               /* tells this layer from others: 0, 1, …
                                  * Element i is decided by word i % 4 of rk_philox(key, i / 4, counter ^ stream rotated left by 48). */
  const void *src;
  int32_t accumulate;
  void *dst;
} rk_dropout_args;
void rk_dropout(const void *args, const rk_team *team);

/* Stochastic depth with gates for each sample: dst = relu?(g src + add), where g is gates[2 n] for the channels below `split` of sample n and
 * gates[2 n + 1] for the others. A gate is open where it is not 0; what lies behind a closed one is not read. Backward is the same step on
 * the gradient. */
typedef struct rk_gate_args {
  rk_isa isa;
  rk_type type;
  int64_t n, pixels, c, split; /* pixels = H W; split in 0 ... c */
  const float *gates;          /* [N,2], 0 or 1; read when the step runs */
  const void *src, *add;       /* [N,H,W,C]; add NULL = 0 */
  int32_t relu;
  void *dst;
} rk_gate_args;
void rk_gate(const void *args, const rk_team *team);

/* Sets bytes to 0. */
typedef struct rk_clear_args {
  int64_t bytes;
  void *dst;
} rk_clear_args;
void rk_clear(const void *args, const rk_team *team);

/* Softmax over C of maps [rows,C,inner], shifted by the maximum, or its logarithm: in f32. A NaN makes all of its C numbers NaN. */
typedef struct rk_softmax_args {
  rk_isa isa;
  rk_type type; /* of src */
  int64_t rows, c;
  const void *src;
  float *dst;    /* may be src where that is f32 */
  int32_t log;   /* 1: dst is the logarithm */
  int64_t inner; /* at least 1; 1: the C numbers touch */
} rk_softmax_args;
void rk_softmax(const void *args, const rk_team *team);
typedef struct rk_softmax_backward_args {
  rk_isa isa;
  rk_type type; /* of dsrc */
  int64_t rows, c;
  const float *dst, *ddst;
  int32_t accumulate;
  void *dsrc;
  int32_t log;   /* 1: dst is the logarithm */
  int64_t inner; /* at least 1; 1: the C numbers touch */
} rk_softmax_backward_args;
void rk_softmax_backward(const void *args, const rk_team *team);

#ifdef __cplusplus
}
#endif
#endif
