/* batch_norm.c (reference): the twins of batch normalisation. */
#include "reference.h"
#include <math.h>

static double value_or(const float *values, int64_t i, double otherwise) { return values == NULL ? otherwise : (double)values[i]; }

void rk_reference_batch_norm_train(const rk_batch_norm_train_args *a) {
  if (a->rows <= 0) return;
  float *scale = a->scale_shift != NULL ? a->scale_shift : a->scratch, *shift = scale + a->c;
  for (int64_t i = 0; i < a->c; i++) {
    double rows = (double)a->rows, mean = 0, deviation = 0, momentum = (double)a->momentum;
    for (int64_t row = 0; row < a->rows; row++) mean += (double)rk_get(a->src, a->type, row * a->c + i) / rows;
    for (int64_t row = 0; row < a->rows; row++) deviation += pow((double)rk_get(a->src, a->type, row * a->c + i) - mean, 2);
    double rstd = 1 / sqrt(deviation / rows + (double)a->epsilon), unbiased = deviation / (a->rows > 1 ? rows - 1 : 1);
    a->mean[i] = (float)mean;
    a->rstd[i] = (float)rstd;
    scale[i] = (float)(value_or(a->gamma, i, 1) * rstd);
    shift[i] = (float)(value_or(a->beta, i, 0) - (mean - (double)a->mean[i]) * value_or(a->gamma, i, 1) * rstd);
    if (a->running_mean != NULL) a->running_mean[i] = (float)((1 - momentum) * (double)a->running_mean[i] + momentum * mean);
    if (a->running_var != NULL) a->running_var[i] = (float)((1 - momentum) * (double)a->running_var[i] + momentum * unbiased);
  }
  rk_scale_shift_args affine = {.type = a->type, .rows = a->rows, .c = a->c, .src = a->src, .add = a->add, .dst = a->dst};
  affine.center = a->mean, affine.scale = scale, affine.shift = shift, affine.relu = a->relu, affine.add_c = a->add_c;
  rk_reference_scale_shift(&affine);
}

void rk_reference_scale_shift(const rk_scale_shift_args *a) {
  const int64_t add_c = a->add_c != 0 ? a->add_c : a->c;
  for (int64_t at = 0; at < a->rows * a->c; at++) {
    int64_t i = at % a->c;
    double centred = (double)rk_get(a->src, a->type, at) - value_or(a->center, i, 0);
    double y = centred * (double)a->scale[i] + (double)a->shift[i];
    if (a->add != NULL && i < add_c) y += (double)rk_get(a->add, a->type, at / a->c * add_c + i);
    rk_put(a->dst, a->type, at, a->relu && y < 0 ? 0 : (float)y);
  }
}

static double masked(const rk_batch_norm_backward_args *a, int64_t at) {
  return a->relu && !(rk_get(a->dst, a->type, at) > 0) ? 0 : (double)rk_get(a->ddst, a->type, at);
}

static void channel_backward(const rk_batch_norm_backward_args *a, int64_t i) {
  double mean = (double)a->mean[i], rstd = (double)a->rstd[i], rows = (double)a->rows, dbeta = 0, dgamma = 0;
  for (int64_t row = 0; row < a->rows; row++) {
    int64_t at = row * a->c + i;
    dbeta += masked(a, at);
    dgamma += masked(a, at) * ((double)rk_get(a->src, a->type, at) - mean) * rstd;
  }
  for (int64_t row = 0; row < a->rows; row++) {
    int64_t at = row * a->c + i;
    double d = masked(a, at), normal = ((double)rk_get(a->src, a->type, at) - mean) * rstd;
    double dsrc = value_or(a->gamma, i, 1) * rstd * (a->frozen_stats ? d : d - dbeta / rows - normal * dgamma / rows);
    const int64_t dadd_c = a->dadd_c != 0 ? a->dadd_c : a->c, add_at = row * dadd_c + i;
    if (a->dadd != NULL && i < dadd_c)
      rk_put(a->dadd, a->type, add_at, (float)(d + (a->accumulate_dadd ? (double)rk_get(a->dadd, a->type, add_at) : 0)));
    if (a->dsrc != NULL) rk_put(a->dsrc, a->type, at, (float)(dsrc + (a->accumulate_dsrc ? (double)rk_get(a->dsrc, a->type, at) : 0)));
  }
  if (a->dbeta != NULL) a->dbeta[i] = (float)dbeta;
  if (a->dgamma != NULL) a->dgamma[i] = (float)dgamma;
}

void rk_reference_batch_norm_backward(const rk_batch_norm_backward_args *a) {
  for (int64_t i = 0; i < a->c; i++) channel_backward(a, i);
}
