/* x86/avx512/convolution_half.c: products of bf16 by AMX's tiles and by AVX512_BF16's vectors, with one format of operands and panels.
 * Both take denormal numbers for zeros. Not here: blocking (convolution_half.c). */
#if defined(__x86_64__)
#include "../../convolution_half.h"
#include <immintrin.h>
#include <string.h>
#pragma clang attribute push(__attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512bf16,avx2,fma,amx-tile,amx-bf16"))),          \
                             apply_to = function)
#include "vector.h"
#include "../../convolution_activation.h"

#define INLINE static inline __attribute__((always_inline))

/* ---- AMX: tiles 0 ... 3 are sums, 4 operands, 6 and 7 the panel, 5 operands or (amx_slide) the panel ---- */

static void amx_begin(int32_t rows, int slides) {
  struct {
    uint8_t palette, start_row, reserved[14];
    uint16_t bytes[16];
    uint8_t rows[16];
  } __attribute__((aligned(64))) config = {.palette = 1};
  for (int tile = 0; tile < 8; tile++) {
    config.bytes[tile] = 64;
    config.rows[tile] = (uint8_t)(tile < (slides ? 5 : 6) ? rows : RK_HALF_STEP / 2);
  }
  _tile_loadconfig(&config);
}

static void amx_end(void) { _tile_release(); }

/* After some 0.7 us without an f32 operation of 512 bits (or a tile's store) the next tile's store waits 0.26 us, as if a unit had to be
 * powered up: measured on Sapphire Rapids, a tenth to a fifth of the time of a sum of 33 steps and more. Any multiply-add on the way
 * prevents that and costs nothing beside tiles. */
INLINE void keep_awake(void) {
  __m512 any = _mm512_setzero_ps();
  __asm__ volatile("vfmadd231ps %0, %0, %0" : "+v"(any));
}

/* For each step: `offset` into the operands, `panel` of the step. */
#define EACH_STEP(block, vectors, work)                                                                                                    \
  do {                                                                                                                                     \
    const uint16_t *panel = (block)->panel;                                                                                                \
    for (int64_t outer = 0; outer < (block)->outer; outer++)                                                                               \
      for (int64_t inner = 0; inner < (block)->inner; inner++) {                                                                           \
        int64_t offset = outer * (block)->outer_step + inner * (block)->inner_step;                                                        \
        for (int64_t step = 0; step < (block)->steps; step++, offset += 64, panel += (vectors) * RK_HALF_PANEL) { work; }                  \
      }                                                                                                                                    \
  } while (0)

INLINE void amx_wide_two(const rk_half_block *b, int64_t row) {
  const char *first = b->src[0], *second = b->src[1];
  EACH_STEP(b, 2, {
    _tile_loadd(6, panel, 64);
    _tile_loadd(4, first + offset, row);
    _tile_dpbf16ps(0, 4, 6);
    _tile_loadd(7, panel + RK_HALF_PANEL, 64);
    _tile_dpbf16ps(1, 4, 7);
    _tile_loadd(5, second + offset, row);
    _tile_dpbf16ps(2, 5, 6);
    _tile_dpbf16ps(3, 5, 7);
    keep_awake();
  });
}

INLINE void amx_wide_one(const rk_half_block *b, int64_t row) {
  const char *first = b->src[0];
  EACH_STEP(b, 2, {
    _tile_loadd(4, first + offset, row);
    _tile_loadd(6, panel, 64);
    _tile_dpbf16ps(0, 4, 6);
    _tile_loadd(7, panel + RK_HALF_PANEL, 64);
    _tile_dpbf16ps(1, 4, 7);
    keep_awake();
  });
}

INLINE void amx_narrow(const rk_half_block *b, int64_t row) {
  /* Tiles that are not there repeat the first: their sums are not stored. */
  const char *src[RK_HALF_TILES];
  for (int i = 0; i < RK_HALF_TILES; i++) src[i] = b->src[i < b->tiles ? i : 0];
  EACH_STEP(b, 1, {
    _tile_loadd(6, panel, 64);
    _tile_loadd(4, src[0] + offset, row);
    _tile_dpbf16ps(0, 4, 6);
    _tile_loadd(5, src[1] + offset, row);
    _tile_dpbf16ps(1, 5, 6);
    _tile_loadd(4, src[2] + offset, row);
    _tile_dpbf16ps(2, 4, 6);
    _tile_loadd(5, src[3] + offset, row);
    _tile_dpbf16ps(3, 5, 6);
    keep_awake();
  });
}

static void amx_block(const rk_half_block *b, int32_t rows) {
  float *sums = b->sums;
  _tile_zero(0);
  _tile_zero(1);
  if (b->vectors == 2) {
    if (b->tiles == 2) {
      _tile_zero(2);
      _tile_zero(3);
      amx_wide_two(b, b->src_row);
      _tile_stored(2, sums + rows * 32, 128);
      _tile_stored(3, sums + rows * 32 + 16, 128);
    } else {
      amx_wide_one(b, b->src_row);
    }
    _tile_stored(0, sums, 128);
    _tile_stored(1, sums + 16, 128);
    return;
  }
  _tile_zero(2);
  _tile_zero(3);
  amx_narrow(b, b->src_row);
  _tile_stored(0, sums, 64);
  if (b->tiles > 1) _tile_stored(1, sums + rows * 16, 64);
  if (b->tiles > 2) _tile_stored(2, sums + rows * 32, 64);
  if (b->tiles > 3) _tile_stored(3, sums + rows * 48, 64);
}

/* Row i of the map is the top row of the filter for tile i, the middle one for tile i - 1 and the last for tile i - 2. */
INLINE void amx_slide_tap(const char *src, int64_t row, int64_t pixel, const uint16_t *panel, const int tiles) {
  _tile_loadd(5, panel, 64);
  _tile_loadd(4, src, pixel);
  _tile_dpbf16ps(0, 4, 5);
  _tile_loadd(6, panel + RK_HALF_PANEL, 64);
  _tile_loadd(4, src + row, pixel);
  if (tiles > 1) _tile_dpbf16ps(1, 4, 5);
  _tile_dpbf16ps(0, 4, 6);
  _tile_loadd(7, panel + 2 * RK_HALF_PANEL, 64);
  _tile_loadd(4, src + 2 * row, pixel);
  if (tiles > 2) _tile_dpbf16ps(2, 4, 5);
  if (tiles > 1) _tile_dpbf16ps(1, 4, 6);
  _tile_dpbf16ps(0, 4, 7);
  if (tiles == 1) return;
  _tile_loadd(4, src + 3 * row, pixel);
  if (tiles > 3) _tile_dpbf16ps(3, 4, 5);
  if (tiles > 2) _tile_dpbf16ps(2, 4, 6);
  _tile_dpbf16ps(1, 4, 7);
  if (tiles == 2) return;
  _tile_loadd(4, src + 4 * row, pixel);
  if (tiles > 3) _tile_dpbf16ps(3, 4, 6);
  _tile_dpbf16ps(2, 4, 7);
  if (tiles == 3) return;
  _tile_loadd(4, src + 5 * row, pixel);
  _tile_dpbf16ps(3, 4, 7);
}

INLINE void amx_slide_tiles(const rk_half_slide *s, const int64_t rows, const int tiles) {
  const uint16_t *panel = s->panel;
  const char *ahead = s->ahead;
  float *sums = s->sums;
  _tile_zero(0);
  if (tiles > 1) _tile_zero(1);
  if (tiles > 2) _tile_zero(2);
  if (tiles > 3) _tile_zero(3);
  for (int64_t plane = 0; plane < s->planes; plane++)
    for (int64_t tap = 0; tap < s->taps; tap++, panel += 3 * RK_HALF_PANEL) {
      amx_slide_tap(s->src + plane * s->src_plane + tap * s->tap_step, s->src_row, RK_HALF_STEP * 2, panel, tiles);
      for (int32_t i = 0; i < s->ahead_lines; i++, ahead += 64) _mm_prefetch(ahead, _MM_HINT_T1);
      keep_awake();
    }
  _tile_stored(0, sums, 128);
  if (tiles > 1) _tile_stored(1, sums + rows * 32, 128);
  if (tiles > 2) _tile_stored(2, sums + 2 * rows * 32, 128);
  if (tiles > 3) _tile_stored(3, sums + 3 * rows * 32, 128);
}

static void amx_slide(const rk_half_slide *s, int32_t rows) {
  if (s->tiles == 4) amx_slide_tiles(s, rows, 4);
  else if (s->tiles == 3) amx_slide_tiles(s, rows, 3);
  else if (s->tiles == 2) amx_slide_tiles(s, rows, 2);
  else amx_slide_tiles(s, rows, 1);
}

/* ---- AVX512_BF16 ---- */

enum { DOT_ROWS = 8 };

INLINE void dot_step(__m512 (*sum)[2], const char *src, int64_t src_row, const uint16_t *panel, const int rows, const int vectors) {
  for (int pair = 0; pair < RK_HALF_STEP / 2; pair++) {
    __m512bh weight[2];
    for (int v = 0; v < vectors; v++) weight[v] = (__m512bh)_mm512_loadu_si512(panel + v * RK_HALF_PANEL + pair * 32);
#pragma clang loop unroll(full)
    for (int i = 0; i < rows; i++) {
      int32_t operands;
      memcpy(&operands, src + i * src_row + pair * 4, sizeof operands);
      for (int v = 0; v < vectors; v++) sum[i][v] = _mm512_dpbf16_ps(sum[i][v], (__m512bh)_mm512_set1_epi32(operands), weight[v]);
    }
  }
}

INLINE void dot_rows(const rk_half_block *b, const char *src, float *sums, const int rows, const int vectors) {
  __m512 sum[DOT_ROWS][2];
  for (int i = 0; i < rows; i++)
    for (int v = 0; v < vectors; v++) sum[i][v] = _mm512_setzero_ps();
  EACH_STEP(b, vectors, dot_step(sum, src + offset, b->src_row, panel, rows, vectors));
  for (int i = 0; i < rows; i++)
    for (int v = 0; v < vectors; v++) _mm512_storeu_ps(sums + (i * vectors + v) * 16, sum[i][v]);
}

static void dot_block(const rk_half_block *b, int32_t rows) {
  for (int tile = 0; tile < b->tiles; tile++)
    for (int32_t row = 0; row < rows;) {
      const char *src = b->src[tile] + row * b->src_row;
      float *sums = b->sums + (tile * rows + row) * 16 * b->vectors;
      const int whole = rows - row >= DOT_ROWS;
      if (b->vectors == 2 && whole) dot_rows(b, src, sums, DOT_ROWS, 2);
      else if (b->vectors == 2) dot_rows(b, src, sums, 1, 2);
      else if (whole) dot_rows(b, src, sums, DOT_ROWS, 1);
      else dot_rows(b, src, sums, 1, 1);
      row += whole ? DOT_ROWS : 1;
    }
}

static void dot_begin(int32_t rows, int slides) { (void)rows, (void)slides; }
static void dot_end(void) {}

/* ---- What follows the products ---- */

INLINE __m512 widened(__m256i half) { return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(half), 16)); }

/* Bias, then the activation: `add` is joined between them. vmaxps gives its second operand where one is NaN. */
INLINE __m512 activated(const rk_half_finish *f, __m512 value, __m512 slope) {
  if (f->activation == RK_ACTIVATION_RELU) return _mm512_max_ps(_mm512_setzero_ps(), value);
  if (f->activation == RK_ACTIVATION_NONE) return value;
  if (rk_conv_is_late(f->activation)) return rk_bounded(f->activation, f->slope, value);
  return _mm512_mask_mul_ps(value, _mm512_cmp_ps_mask(value, _mm512_setzero_ps(), _CMP_LT_OQ), value, slope);
}

INLINE void finish_rows(const rk_half_finish *f, const int vectors, const int whole, const int stream) {
  const __mmask16 first = whole || f->lanes >= 16 ? 0xffff : (__mmask16)((1u << f->lanes) - 1);
  const int rest = f->lanes - 16;
  const __mmask16 second = whole || rest >= 16 ? 0xffff : (__mmask16)((1u << (rest > 0 ? rest : 0)) - 1);
  const __m512 zero = _mm512_setzero_ps();
  __m512 bias[2] = {zero, zero}, slope[2] = {zero, zero};
  for (int v = 0; v < vectors; v++) {
    if (f->bias) bias[v] = _mm512_maskz_loadu_ps(v ? second : first, f->bias + 16 * v);
    if (f->activation == RK_ACTIVATION_PRELU) slope[v] = _mm512_maskz_loadu_ps(v ? second : first, f->slope + 16 * v);
  }
  for (int64_t row = 0; row < f->rows; row++) {
    const float *sums = f->sums + row * 16 * vectors;
    const uint16_t *add = f->add + row * f->dst_row;
    uint16_t *dst = f->dst + row * f->dst_row;
    __m512 value[2];
    for (int v = 0; v < vectors; v++) {
      value[v] = _mm512_add_ps(_mm512_loadu_ps(sums + 16 * v), bias[v]);
      if (f->add) value[v] = _mm512_add_ps(value[v], widened(_mm256_maskz_loadu_epi16(v ? second : first, add + 16 * v)));
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

static void finish(const rk_half_finish *args) {
  rk_half_finish f = *args;
  if (f.vectors == 2) {
    if (f.lanes < 32) finish_rows(&f, 2, 0, 0);
    else if (f.stream) finish_rows(&f, 2, 1, 1);
    else finish_rows(&f, 2, 1, 0);
    return;
  }
  if (f.lanes == 16 && f.dst_row == 16) {
    const int64_t done = finish_pairs(&f);
    if (done == f.rows) return;
    f.rows -= done, f.sums += done * 16, f.dst += done * 16;
    if (f.add) f.add += done * 16;
  }
  finish_rows(&f, 1, 0, 0);
}

/* The larger; NaN where either is. */
INLINE __m512 larger(__m512 a, __m512 b) { return _mm512_mask_mov_ps(_mm512_max_ps(a, b), _mm512_cmp_ps_mask(a, a, _CMP_UNORD_Q), a); }

static void finish_pooled(const rk_half_finish *f, int64_t below) {
  const __m512 zero = _mm512_setzero_ps();
  for (int v = 0; 16 * v < f->lanes; v++) {
    const __mmask16 lanes = f->lanes - 16 * v >= 16 ? 0xffff : (__mmask16)((1u << (f->lanes - 16 * v)) - 1);
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

static void fence(void) { _mm_sfence(); }

/* ---- What goes before the products of backward-weight ---- */

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

INLINE void transpose_pixels(const rk_half_transpose *t, __mmask16 channels, const int pixels) {
  __m512i v[16];
#pragma clang loop unroll(full)
  for (int i = 0; i < 16; i++) {
    const __m256i none = _mm256_setzero_si256();
    const uint16_t *src = t->src + 2 * i * t->src_pixel;
    const int left = (pixels > 0 ? pixels : t->pixels) - 2 * i;
    v[i] = paired(left > 0 ? _mm256_maskz_loadu_epi16(channels, src) : none,
                  left > 1 ? _mm256_maskz_loadu_epi16(channels, src + t->src_pixel) : none);
  }
  exchange(v);
  const __mmask32 stored = t->pixels >= 32 ? ~(__mmask32)0 : ((__mmask32)1 << t->pixels) - 1;
#pragma clang loop unroll(full)
  for (int i = 0; i < 16; i++)
    if (i < t->channels) _mm512_mask_storeu_epi16(t->dst + i * t->dst_row, stored, v[i]);
}

static void transpose(const rk_half_transpose *t) {
  const __mmask16 channels = t->channels >= 16 ? 0xffff : (__mmask16)((1u << t->channels) - 1);
  if (t->pixels == 32) transpose_pixels(t, channels, 32);
  else if (t->pixels == 16) transpose_pixels(t, channels, 16);
  else if (t->pixels == 8) transpose_pixels(t, channels, 8);
  else transpose_pixels(t, channels, 0);
}

static void pairs(const rk_half_pairs *p) {
  const __mmask16 outputs = p->outputs >= 16 ? 0xffff : (__mmask16)((1u << p->outputs) - 1);
  const __m256i none = _mm256_setzero_si256();
  const uint16_t *src = p->src;
  for (int64_t at = p->first, end = at + p->pixels; at < end; src += p->src_pixel) {
    uint16_t *to = p->dst + at / RK_HALF_STEP * p->dst_step + at % RK_HALF_STEP / 2 * 2 * RK_HALF_LANES;
    const __m256i own = _mm256_maskz_loadu_epi16(outputs, src);
    if (at % 2 == 1) {
      _mm512_mask_storeu_epi16(to, 0xaaaaaaaau, paired(none, own));
      at++;
    } else if (at + 1 == end) {
      _mm512_mask_storeu_epi16(to, 0x55555555u, paired(own, none));
      at++;
    } else {
      src += p->src_pixel;
      _mm512_storeu_si512(to, paired(own, _mm256_maskz_loadu_epi16(outputs, src)));
      at += 2;
    }
  }
}

const rk_half_kernels rk_half_kernels_amx = {amx_begin, amx_end, amx_block, amx_slide, finish, finish_pooled, fence, transpose, pairs};
const rk_half_kernels rk_half_kernels_avx512_bf16 = {dot_begin, dot_end, dot_block, NULL, finish, NULL, fence, transpose, pairs};
#pragma clang attribute pop
#endif
