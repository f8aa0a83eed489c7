/* rk_training.h: loss and optimiser steps, on flat blobs of parameters.
 * Not here: schedules, loops, files (RengaTraining). */
#ifndef RK_TRAINING_H
#define RK_TRAINING_H
#include "rk_runtime.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Softmax cross-entropy with label smoothing, mean over rows: target = (1 - smoothing) onehot + smoothing / C.
 * Also counts rows whose largest logit (the first of equals) is the label. A label outside [0, C) marks the row invalid: it adds nothing
 * to loss, gradient and counts, and `invalid` is raised by one. */
typedef struct rk_cross_entropy_args {
  rk_isa isa;
  int64_t rows, c;
  const float *logits;        /* [rows,C] */
  const int32_t *labels;      /* [rows] */
  float smoothing;            /* in [0, 1) */
  float *dlogits;             /* [rows,C] gradient of the mean loss, or NULL; may be logits */
  double *loss;               /* one value, overwritten: mean over valid rows, 0 without any */
  int64_t *correct, *invalid; /* one value each, overwritten */
  float *scratch;             /* rk_cross_entropy_scratch(rows) floats, aligned to 8 bytes */
} rk_cross_entropy_args;
size_t rk_cross_entropy_scratch(int64_t rows);
void rk_cross_entropy(const void *args, const rk_team *team);

/* A run of parameters that share their settings. */
typedef struct rk_parameter_range {
  int64_t begin, end; /* in floats, within the blob */
  float weight_decay; /* of this range */
  float rate_scale;   /* multiplies the learning rate; 0 freezes */
} rk_parameter_range;

/* SGD as PyTorch's: g += weight_decay p; v = momentum v + g (v = g at the first step); p -= rate (nesterov ? g + momentum v : v). */
typedef struct rk_sgd_args {
  rk_isa isa;
  const rk_parameter_range *ranges;
  int64_t range_count;
  const float *gradient;
  float *parameter, *velocity; /* velocity NULL: without momentum */
  const float *rate;           /* read when the step runs */
  const float *gradient_scale; /* NULL = 1; read when the step runs (clipping) */
  float momentum;
  int32_t nesterov;
} rk_sgd_args;
void rk_sgd(const void *args, const rk_team *team);

/* AdamW as PyTorch's: p *= 1 - rate weight_decay; m, v moments; p -= rate (m / (1 - beta1^t)) / (sqrt(v / (1 - beta2^t)) + epsilon). */
typedef struct rk_adamw_args {
  rk_isa isa;
  const rk_parameter_range *ranges;
  int64_t range_count;
  const float *gradient;
  float *parameter, *first, *second;
  const float *rate, *gradient_scale;
  const int64_t *step; /* t, from 1; read when the step runs */
  float beta1, beta2, epsilon;
} rk_adamw_args;
void rk_adamw(const void *args, const rk_team *team);

/* sum of squares of a blob in double, by fixed pieces: *result overwritten. scratch: rk_square_sum_scratch(count) doubles. */
typedef struct rk_square_sum_args {
  int64_t count;
  const float *src;
  double *result, *scratch;
} rk_square_sum_args;
size_t rk_square_sum_scratch(int64_t count);
void rk_square_sum(const void *args, const rk_team *team);

#ifdef __cplusplus
}
#endif
#endif
