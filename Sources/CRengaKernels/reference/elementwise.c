/* elementwise.c (reference): the twins of the elementwise operators and softmax. */
#include "reference.h"
#include <math.h>

void rk_reference_sum(const rk_sum_args *a) {
  for (int64_t i = 0; i < a->count; i++) {
    double total = 0;
    for (int32_t k = 0; k < a->terms; k++) total += (double)rk_get(a->src[k], a->type, i);
    total *= (double)a->scale;
    rk_put(a->dst, a->type, i, a->relu && total < 0 ? 0 : (float)total);
  }
}

void rk_reference_scaled(const rk_scaled_args *a) {
  for (int64_t i = 0; i < a->count; i++) {
    double before = a->accumulate ? (double)rk_get(a->dst, a->type, i) : 0;
    rk_put(a->dst, a->type, i, (float)((double)a->scale * (double)rk_get(a->src, a->type, i) + before));
  }
}

void rk_reference_convert(const rk_convert_args *a) {
  for (int64_t i = 0; i < a->count; i++) rk_put(a->dst, a->dst_type, i, rk_get(a->src, a->src_type, i));
}

void rk_reference_relu_backward(const rk_relu_backward_args *a) {
  for (int64_t i = 0; i < a->count; i++) {
    double d = rk_get(a->dst, a->type, i) > 0 ? (double)rk_get(a->ddst, a->type, i) * (double)a->scale : 0;
    rk_put(a->dsrc, a->type, i, (float)(d + (a->accumulate ? (double)rk_get(a->dsrc, a->type, i) : 0)));
  }
}

void rk_reference_prelu(const rk_prelu_args *a) {
  for (int64_t i = 0; i < a->rows * a->c; i++) {
    float x = rk_get(a->src, a->type, i);
    rk_put(a->dst, a->type, i, x > 0 ? x : a->slope[i % a->c] * x);
  }
}

void rk_reference_prelu_backward(const rk_prelu_backward_args *a) {
  for (int64_t c = 0; c < a->c; c++) {
    double dslope = 0;
    for (int64_t i = c; i < a->rows * a->c; i += a->c) {
      double x = (double)rk_get(a->src, a->type, i), d = (double)rk_get(a->ddst, a->type, i);
      if (!(x > 0)) dslope += x * d;
      if (a->dsrc == NULL) continue;
      double before = a->accumulate ? (double)rk_get(a->dsrc, a->type, i) : 0;
      rk_put(a->dsrc, a->type, i, (float)((x > 0 ? d : (double)a->slope[c] * d) + before));
    }
    if (a->dslope != NULL) a->dslope[c] = (float)dslope;
  }
}

void rk_reference_channel_copy(const rk_channel_copy_args *a) {
  for (int64_t row = 0; row < a->rows; row++)
    for (int64_t c = 0; c < a->dst_c; c++) {
      int64_t at = row * a->dst_c + c, i = c - a->dst_offset;
      float value = i >= 0 && i < a->count ? rk_get(a->src, a->type, row * a->src_c + a->src_offset + i) : 0;
      if (a->accumulate) rk_put(a->dst, a->type, at, rk_get(a->dst, a->type, at) + value);
      else if (a->zero_rest || (i >= 0 && i < a->count)) rk_put(a->dst, a->type, at, value);
    }
}

void rk_reference_softmax(const rk_softmax_args *a) {
  for (int64_t line = 0; line < a->rows * a->inner; line++) {
    const int64_t first = line / a->inner * a->c * a->inner + line % a->inner;
    double largest = -INFINITY, total = 0;
    for (int64_t c = 0; c < a->c; c++) {
      double x = (double)rk_get(a->src, a->type, first + c * a->inner);
      largest = x > largest || isnan(x) ? x : largest;
    }
    for (int64_t c = 0; c < a->c; c++) total += exp((double)rk_get(a->src, a->type, first + c * a->inner) - largest);
    for (int64_t c = 0; c < a->c; c++) {
      double x = (double)rk_get(a->src, a->type, first + c * a->inner) - largest;
      a->dst[first + c * a->inner] = (float)(a->log ? x - log(total) : exp(x) / total);
    }
  }
}

void rk_reference_softmax_backward(const rk_softmax_backward_args *a) {
  for (int64_t line = 0; line < a->rows * a->inner; line++) {
    const int64_t first = line / a->inner * a->c * a->inner + line % a->inner;
    double dot = 0;
    for (int64_t c = 0; c < a->c; c++) {
      const int64_t at = first + c * a->inner;
      dot += (a->log ? 1 : (double)a->dst[at]) * (double)a->ddst[at];
    }
    for (int64_t c = 0; c < a->c; c++) {
      const int64_t at = first + c * a->inner;
      const double y = (double)a->dst[at], dy = (double)a->ddst[at];
      const double before = a->accumulate ? (double)rk_get(a->dsrc, a->type, at) : 0;
      rk_put(a->dsrc, a->type, at, (float)((a->log ? dy - exp(y) * dot : y * (dy - dot)) + before));
    }
  }
}
