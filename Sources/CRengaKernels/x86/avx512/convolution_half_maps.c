/* x86/avx512/convolution_half_maps.c: what goes before the products of bf16 (copies, operands of backward-weight) and what follows them
 * (bias, addition, activation, pooling, rounding), for AMX and AVX512_BF16. Not here: the products (convolution_half.c). */
#if defined(__x86_64__)
#include "convolution_half_maps.h"
#include <immintrin.h>
#pragma clang attribute push(__attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512bf16,avx2,fma"))), apply_to = function)
#include "vector.h"
#include "../../convolution_activation.h"

#define INLINE static inline __attribute__((always_inline))

/* ---- What follows the products ---- */

INLINE __m512 widened(__m256i half) { return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(half), 16)); }

/* Bias, then the activation: `add` is joined between them. vmaxps gives its second operand where one is NaN. */
INLINE __m512 activated(const rk_half_finish *f, __m512 value, __m512 slope) {
  if (f->activation == RK_ACTIVATION_RELU) return _mm512_max_ps(_mm512_setzero_ps(), value);
  if (f->activation == RK_ACTIVATION_NONE) return value;
  if (rk_conv_is_late(f->activation)) return rk_bounded(f->activation, f->slope, value);
  return _mm512_mask_mul_ps(value, _mm512_cmp_ps_mask(value, _mm512_setzero_ps(), _CMP_LT_OQ), value, slope);
}

INLINE __mmask16 lanes_of(int64_t count) { return count >= 16 ? 0xffff : (__mmask16)((1u << (count > 0 ? count : 0)) - 1); }

INLINE void finish_rows(const rk_half_finish *f, const int vectors, const int whole, const int stream) {
  const __mmask16 first = whole ? 0xffff : lanes_of(f->lanes), second = whole ? 0xffff : lanes_of(f->lanes - 16);
  const __mmask16 add_first = whole ? 0xffff : lanes_of(f->add_lanes), add_second = whole ? 0xffff : lanes_of(f->add_lanes - 16);
  const __m512 zero = _mm512_setzero_ps();
  __m512 bias[2] = {zero, zero}, slope[2] = {zero, zero};
  for (int v = 0; v < vectors; v++) {
    const int output = f->paired ? 0 : 16 * v;
    if (f->bias) bias[v] = _mm512_maskz_loadu_ps(v ? second : first, f->bias + output);
    if (f->activation == RK_ACTIVATION_PRELU) slope[v] = _mm512_maskz_loadu_ps(v ? second : first, f->slope + output);
  }
  for (int64_t row = 0; row < f->rows; row++) {
    const float *sums = f->sums + row * 16 * vectors;
    const uint16_t *add = f->add + row * f->add_pixel;
    uint16_t *dst = f->dst + row * f->dst_row;
    __m512 value[2];
    for (int v = 0; v < vectors; v++) {
      value[v] = _mm512_add_ps(_mm512_loadu_ps(sums + 16 * v), bias[v]);
      if (f->add) value[v] = _mm512_add_ps(value[v], widened(_mm256_maskz_loadu_epi16(v ? add_second : add_first, add + 16 * v)));
      value[v] = activated(f, value[v], slope[v]);
    }
    if (whole && vectors == 2) {
      const __m512i both = (__m512i)_mm512_cvtne2ps_pbh(value[1], value[0]);
      if (stream) _mm512_stream_si512((__m512i *)dst, both);
      else _mm512_storeu_si512(dst, both);
    } else {
      _mm256_mask_storeu_epi16(dst, first, (__m256i)_mm512_cvtneps_pbh(value[0]));
      if (vectors == 2) _mm256_mask_storeu_epi16(dst + 16, second, (__m256i)_mm512_cvtneps_pbh(value[1]));
    }
  }
}

/* Sixteen outputs a pixel: two pixels are one vector. An odd row is left to finish_rows. */
static int64_t finish_pairs(const rk_half_finish *f) {
  const __m512 zero = _mm512_setzero_ps(), bias = f->bias ? _mm512_loadu_ps(f->bias) : zero;
  const __m512 slope = f->activation == RK_ACTIVATION_PRELU ? _mm512_loadu_ps(f->slope) : zero;
  int64_t row = 0;
  for (; row + 2 <= f->rows; row += 2) {
    __m512 low = _mm512_add_ps(_mm512_loadu_ps(f->sums + row * 16), bias);
    __m512 high = _mm512_add_ps(_mm512_loadu_ps(f->sums + row * 16 + 16), bias);
    if (f->add) {
      const __m512i add = _mm512_loadu_si512(f->add + row * 16);
      low = _mm512_add_ps(low, widened(_mm512_castsi512_si256(add)));
      high = _mm512_add_ps(high, widened(_mm512_extracti64x4_epi64(add, 1)));
    }
    low = activated(f, low, slope);
    high = activated(f, high, slope);
    _mm512_storeu_si512(f->dst + row * 16, (__m512i)_mm512_cvtne2ps_pbh(high, low));
  }
  return row;
}

void rk_half_finish_rows(const rk_half_finish *args) {
  rk_half_finish f = *args;
  if (f.vectors == 2) {
    if (f.lanes < 32 || (f.add && f.add_lanes < 32)) finish_rows(&f, 2, 0, 0);
    else if (f.stream) finish_rows(&f, 2, 1, 1);
    else finish_rows(&f, 2, 1, 0);
    return;
  }
  if (f.lanes == 16 && f.dst_row == 16 && (!f.add || f.add_pixel == 16)) {
    const int64_t done = finish_pairs(&f);
    if (done == f.rows) return;
    f.rows -= done, f.sums += done * 16, f.dst += done * 16;
    if (f.add) f.add += done * 16;
  }
  finish_rows(&f, 1, 0, 0);
}

/* The larger; NaN where either is. */
INLINE __m512 larger(__m512 a, __m512 b) { return _mm512_mask_mov_ps(_mm512_max_ps(a, b), _mm512_cmp_ps_mask(a, a, _CMP_UNORD_Q), a); }

void rk_half_finish_pooled(const rk_half_finish *f, int64_t below) {
  const __m512 zero = _mm512_setzero_ps();
  for (int v = 0; 16 * v < f->lanes; v++) {
    const __mmask16 lanes = lanes_of(f->lanes - 16 * v);
    const __m512 bias = f->bias ? _mm512_maskz_loadu_ps(lanes, f->bias + 16 * v) : zero;
    const __m512 slope = f->activation == RK_ACTIVATION_PRELU ? _mm512_maskz_loadu_ps(lanes, f->slope + 16 * v) : zero;
    for (int64_t pixel = 0; 2 * pixel + 1 < f->rows; pixel++) {
      __m512 most = zero;
      for (int i = 0; i < 4; i++) {
        const int64_t column = 2 * pixel + i % 2, row = i / 2;
        __m512 value = _mm512_add_ps(_mm512_loadu_ps(f->sums + row * below + column * 32 + 16 * v), bias);
        if (f->add) {
          const uint16_t *add = f->add + row * f->add_row + column * f->dst_row + 16 * v;
          value = _mm512_add_ps(value, widened(_mm256_maskz_loadu_epi16(lanes, add)));
        }
        value = activated(f, value, slope);
        most = i == 0 ? value : larger(value, most);
      }
      _mm256_mask_storeu_epi16(f->dst + pixel * f->dst_row + 16 * v, lanes, (__m256i)_mm512_cvtneps_pbh(most));
    }
  }
}

void rk_half_fence(void) { _mm_sfence(); }

/* ---- What goes before the products ---- */

/* Twice a number of bf16 has no sign, and is not below these bits where all of its exponent's are set. */
enum { WILD = 0xff00 };

INLINE __m512i larger_of_doubled(__m512i most, __m512i v) { return _mm512_max_epu16(most, _mm512_add_epi16(v, v)); }
INLINE int is_wild(__m512i most) { return _mm512_cmpge_epu16_mask(most, _mm512_set1_epi16((int16_t)WILD)) != 0; }
INLINE __mmask32 mask_of(int64_t count) { return count >= 32 ? ~(__mmask32)0 : ((__mmask32)1 << count) - 1; }

void rk_half_plane(const uint16_t *src, int64_t src_pixel, int64_t pixels, uint16_t *dst) {
  for (int64_t i = 0; i < pixels; i++) _mm512_storeu_si512(dst + i * RK_HALF_STEP, _mm512_loadu_si512(src + i * src_pixel));
}

int rk_half_copy(const uint16_t *src, int64_t count, uint16_t *dst) {
  __m512i most = _mm512_setzero_si512();
  int64_t i = 0;
  for (; i + 32 <= count; i += 32) {
    const __m512i v = _mm512_loadu_si512(src + i);
    _mm512_storeu_si512(dst + i, v);
    most = larger_of_doubled(most, v);
  }
  if (i < count) {
    const __m512i v = _mm512_maskz_loadu_epi16(mask_of(count - i), src + i);
    _mm512_mask_storeu_epi16(dst + i, mask_of(count - i), v);
    most = larger_of_doubled(most, v);
  }
  return is_wild(most);
}

int rk_half_wild(const uint16_t *src, int64_t row, int64_t rows, int64_t count) {
  __m512i most = _mm512_setzero_si512();
  for (int64_t i = 0; i < rows; i++)
    for (int64_t j = 0; j < count; j += 32)
      most = larger_of_doubled(most, _mm512_maskz_loadu_epi16(mask_of(count - j), src + i * row + j));
  return is_wild(most);
}


/* The numbers of two pixels side by side: [channel][2]. */
INLINE __m512i paired(__m256i even, __m256i odd) {
  return _mm512_or_si512(_mm512_cvtepu16_epi32(even), _mm512_slli_epi32(_mm512_cvtepu16_epi32(odd), 16));
}

/* Rows and columns of 16 x 16 words exchanged. */
INLINE void exchange(__m512i *v) {
  __m512i t[16];
  for (int i = 0; i < 16; i += 2) {
    t[i] = _mm512_unpacklo_epi32(v[i], v[i + 1]);
    t[i + 1] = _mm512_unpackhi_epi32(v[i], v[i + 1]);
  }
  for (int i = 0; i < 16; i += 4)
    for (int j = 0; j < 2; j++) {
      v[i + 2 * j] = _mm512_unpacklo_epi64(t[i + j], t[i + j + 2]);
      v[i + 2 * j + 1] = _mm512_unpackhi_epi64(t[i + j], t[i + j + 2]);
    }
  /* v[4 q + i]: columns i, i + 4, i + 8, i + 12 of rows 4 q ... 4 q + 3. */
  for (int i = 0; i < 4; i++) {
    const __m512i low = _mm512_shuffle_i32x4(v[i], v[4 + i], 0x88), high = _mm512_shuffle_i32x4(v[i], v[4 + i], 0xdd);
    const __m512i low2 = _mm512_shuffle_i32x4(v[8 + i], v[12 + i], 0x88), high2 = _mm512_shuffle_i32x4(v[8 + i], v[12 + i], 0xdd);
    t[i] = _mm512_shuffle_i32x4(low, low2, 0x88);
    t[8 + i] = _mm512_shuffle_i32x4(low, low2, 0xdd);
    t[4 + i] = _mm512_shuffle_i32x4(high, high2, 0x88);
    t[12 + i] = _mm512_shuffle_i32x4(high, high2, 0xdd);
  }
  for (int i = 0; i < 16; i++) v[i] = t[i];
}

INLINE int transpose_pixels(const rk_half_transpose *t, __mmask16 channels, const int pixels) {
  __m512i v[16], most = _mm512_setzero_si512();
#pragma clang loop unroll(full)
  for (int i = 0; i < 16; i++) {
    const __m256i none = _mm256_setzero_si256();
    const uint16_t *src = t->src + 2 * i * t->src_pixel;
    const int left = (pixels > 0 ? pixels : t->pixels) - 2 * i;
    v[i] = paired(left > 0 ? _mm256_maskz_loadu_epi16(channels, src) : none,
                  left > 1 ? _mm256_maskz_loadu_epi16(channels, src + t->src_pixel) : none);
    most = larger_of_doubled(most, v[i]);
  }
  exchange(v);
  const __mmask32 stored = t->pixels >= 32 ? ~(__mmask32)0 : ((__mmask32)1 << t->pixels) - 1;
#pragma clang loop unroll(full)
  for (int i = 0; i < 16; i++)
    if (i < t->channels) _mm512_mask_storeu_epi16(t->dst + i * t->dst_row, stored, v[i]);
  return is_wild(most);
}

int rk_half_transpose_pixels(const rk_half_transpose *t) {
  const __mmask16 channels = t->channels >= 16 ? 0xffff : (__mmask16)((1u << t->channels) - 1);
  if (t->pixels == 32) return transpose_pixels(t, channels, 32);
  if (t->pixels == 16) return transpose_pixels(t, channels, 16);
  if (t->pixels == 8) return transpose_pixels(t, channels, 8);
  return transpose_pixels(t, channels, 0);
}

int rk_half_pair_pixels(const rk_half_pairs *p) {
  const __mmask16 outputs = p->outputs >= 16 ? 0xffff : (__mmask16)((1u << p->outputs) - 1);
  const __m256i none = _mm256_setzero_si256();
  const uint16_t *src = p->src;
  __m512i most = _mm512_setzero_si512();
  for (int64_t at = p->first, end = at + p->pixels; at < end; src += p->src_pixel) {
    uint16_t *to = p->dst + at / RK_HALF_STEP * p->dst_step + at % RK_HALF_STEP / 2 * 2 * RK_HALF_LANES;
    const __m256i own = _mm256_maskz_loadu_epi16(outputs, src);
    __m512i both;
    if (at % 2 == 1) {
      _mm512_mask_storeu_epi16(to, 0xaaaaaaaau, both = paired(none, own));
      at++;
    } else if (at + 1 == end) {
      _mm512_mask_storeu_epi16(to, 0x55555555u, both = paired(own, none));
      at++;
    } else {
      src += p->src_pixel;
      _mm512_storeu_si512(to, both = paired(own, _mm256_maskz_loadu_epi16(outputs, src)));
      at += 2;
    }
    most = larger_of_doubled(most, both);
  }
  return is_wild(most);
}
#pragma clang attribute pop
#endif
