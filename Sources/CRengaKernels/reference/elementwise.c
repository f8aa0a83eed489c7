/* elementwise.c (reference): the twins of the elementwise operators and softmax. */
#include "reference.h"
#include <math.h>

void rk_reference_sum(const rk_sum_args *a) {
  for (int64_t i = 0; i < a->count; i++) {
    double total = 0;
    for (int32_t k = 0; k < a->terms; k++) total += (double)a->src[k][i];
    total *= (double)a->scale;
    a->dst[i] = a->relu && total < 0 ? 0 : (float)total;
  }
}

void rk_reference_relu_backward(const rk_relu_backward_args *a) {
  for (int64_t i = 0; i < a->count; i++) {
    double d = a->dst[i] > 0 ? (double)a->ddst[i] * (double)a->scale : 0;
    a->dsrc[i] = (float)(d + (a->accumulate ? (double)a->dsrc[i] : 0));
  }
}

void rk_reference_prelu(const rk_prelu_args *a) {
  for (int64_t i = 0; i < a->rows * a->c; i++) a->dst[i] = a->src[i] > 0 ? a->src[i] : a->slope[i % a->c] * a->src[i];
}

void rk_reference_prelu_backward(const rk_prelu_backward_args *a) {
  for (int64_t c = 0; c < a->c; c++) {
    double dslope = 0;
    for (int64_t i = c; i < a->rows * a->c; i += a->c) {
      double x = (double)a->src[i], d = (double)a->ddst[i];
      if (!(x > 0)) dslope += x * d;
      if (a->dsrc != NULL) a->dsrc[i] = (float)((x > 0 ? d : (double)a->slope[c] * d) + (a->accumulate ? (double)a->dsrc[i] : 0));
    }
    if (a->dslope != NULL) a->dslope[c] = (float)dslope;
  }
}

void rk_reference_channel_copy(const rk_channel_copy_args *a) {
  for (int64_t row = 0; row < a->rows; row++)
    for (int64_t c = 0; c < a->dst_c; c++) {
      float *dst = a->dst + row * a->dst_c + c;
      int64_t i = c - a->dst_offset;
      float value = i >= 0 && i < a->count ? a->src[row * a->src_c + a->src_offset + i] : 0;
      if (a->accumulate) *dst += value;
      else if (a->zero_rest || (i >= 0 && i < a->count)) *dst = value;
    }
}

void rk_reference_softmax(const rk_softmax_args *a) {
  for (int64_t row = 0; row < a->rows; row++) {
    const float *src = a->src + row * a->c;
    float *dst = a->dst + row * a->c;
    double largest = -INFINITY, total = 0;
    for (int64_t c = 0; c < a->c; c++) largest = (double)src[c] > largest || isnan(src[c]) ? (double)src[c] : largest;
    for (int64_t c = 0; c < a->c; c++) total += exp((double)src[c] - largest);
    for (int64_t c = 0; c < a->c; c++) dst[c] = (float)(exp((double)src[c] - largest) / total);
  }
}

void rk_reference_softmax_backward(const rk_softmax_backward_args *a) {
  for (int64_t row = 0; row < a->rows; row++) {
    const float *dst = a->dst + row * a->c, *ddst = a->ddst + row * a->c;
    float *dsrc = a->dsrc + row * a->c;
    double dot = 0;
    for (int64_t c = 0; c < a->c; c++) dot += (double)dst[c] * (double)ddst[c];
    for (int64_t c = 0; c < a->c; c++) dsrc[c] = (float)((double)dst[c] * ((double)ddst[c] - dot) + (a->accumulate ? (double)dsrc[c] : 0));
  }
}
