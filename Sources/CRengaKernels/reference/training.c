/* training.c (reference): the twins of the loss and of the optimisers, in double between reading and writing. */
#include "reference.h"
#include <math.h>

static void cross_entropy_row(const rk_cross_entropy_args *a, int64_t row, double valid) {
  const float *logits = a->logits + row * a->c;
  double largest = -INFINITY, total = 0, loss = 0;
  int64_t best = -1;
  for (int64_t i = 0; i < a->c; i++) {
    if (!((double)logits[i] > largest || isnan(logits[i]))) continue;
    largest = (double)logits[i];
    best = i;
  }
  for (int64_t i = 0; i < a->c; i++) total += exp((double)logits[i] - largest);
  for (int64_t i = 0; i < a->c; i++) {
    double smoothing = (double)a->smoothing, logarithm = (double)logits[i] - largest - log(total);
    double target = smoothing / (double)a->c + (i == a->labels[row] ? 1 - smoothing : 0);
    if (target != 0) loss -= target * logarithm;
    if (a->dlogits != NULL) a->dlogits[row * a->c + i] = (float)((exp(logarithm) - target) / valid);
  }
  *a->loss += loss / valid;
  *a->correct += best == a->labels[row] && !isnan(largest);
}

void rk_reference_cross_entropy(const rk_cross_entropy_args *a) {
  int64_t valid = 0;
  for (int64_t row = 0; row < a->rows; row++) valid += a->labels[row] >= 0 && a->labels[row] < a->c;
  *a->loss = 0, *a->correct = 0, *a->invalid = a->rows - valid;
  for (int64_t row = 0; row < a->rows; row++) {
    if (a->labels[row] >= 0 && a->labels[row] < a->c) cross_entropy_row(a, row, (double)valid);
    else
      for (int64_t i = 0; i < a->c && a->dlogits != NULL; i++) a->dlogits[row * a->c + i] = 0;
  }
}

void rk_reference_sgd(const rk_sgd_args *a) {
  for (int64_t k = 0; k < a->range_count; k++) {
    const rk_parameter_range *range = &a->ranges[k];
    double rate = (double)*a->rate * (double)range->rate_scale, momentum = (double)a->momentum;
    if (range->rate_scale == 0) continue;
    for (int64_t i = range->begin; i < range->end; i++) {
      double g = (double)a->gradient[i] * (a->gradient_scale == NULL ? 1 : (double)*a->gradient_scale);
      g += (double)range->weight_decay * (double)a->parameter[i];
      if (a->velocity != NULL) {
        double v = momentum * (double)a->velocity[i] + g;
        a->velocity[i] = (float)v;
        g = a->nesterov ? g + momentum * v : v;
      }
      a->parameter[i] = (float)((double)a->parameter[i] - rate * g);
    }
  }
}

static void adamw_at(const rk_adamw_args *a, double rate, double weight_decay, int64_t i) {
  double beta1 = (double)a->beta1, beta2 = (double)a->beta2, t = (double)*a->step;
  double g = (double)a->gradient[i] * (a->gradient_scale == NULL ? 1 : (double)*a->gradient_scale);
  double m = beta1 * (double)a->first[i] + (1 - beta1) * g, v = beta2 * (double)a->second[i] + (1 - beta2) * g * g;
  double p = (double)a->parameter[i] * (1 - rate * weight_decay);
  a->first[i] = (float)m;
  a->second[i] = (float)v;
  a->parameter[i] = (float)(p - rate * (m / (1 - pow(beta1, t))) / (sqrt(v / (1 - pow(beta2, t))) + (double)a->epsilon));
}

void rk_reference_adamw(const rk_adamw_args *a) {
  for (int64_t k = 0; k < a->range_count; k++) {
    const rk_parameter_range *range = &a->ranges[k];
    if (range->rate_scale == 0) continue;
    double rate = (double)*a->rate * (double)range->rate_scale;
    for (int64_t i = range->begin; i < range->end; i++) adamw_at(a, rate, (double)range->weight_decay, i);
  }
}
