/* x86/avx512/convolution_half.c: products of bf16 by AMX's tiles and by AVX512_BF16's vectors, with one format of operands and panels.
 * Both take denormal numbers for zeros. Not here: blocking (convolution_half.c), what goes before and follows (convolution_half_maps.c). */
#if defined(__x86_64__)
#include "convolution_half_maps.h"
#include <immintrin.h>
#include <string.h>
#pragma clang attribute push(__attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512bf16,avx2,fma,amx-tile,amx-bf16"))),          \
                             apply_to = function)

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

/* The operands of a run's last step, with zeros behind its end. */
INLINE void cut_tail(const rk_half_block *b, const char *src, int64_t rows, uint16_t *cut) {
  const __mmask32 tail = ((__mmask32)1 << b->tail) - 1;
  for (int64_t i = 0; i < rows; i++) _mm512_store_si512(cut + i * RK_HALF_STEP, _mm512_maskz_loadu_epi16(tail, src + i * b->src_row));
}

/* Tile by tile, with the sums of the ways above: only for maps with infinite numbers or NaNs. */
static void amx_cut(const rk_half_block *b, int32_t rows) {
  uint16_t cut[RK_HALF_ROWS * RK_HALF_STEP] __attribute__((aligned(64)));
  for (int tile = 0; tile < b->tiles; tile++) {
    float *sums = b->sums + tile * rows * 16 * b->vectors;
    _tile_zero(0);
    _tile_zero(1);
    EACH_STEP(b, b->vectors, {
      const int last = step + 1 == b->steps;
      if (last) cut_tail(b, b->src[tile] + offset, rows, cut);
      _tile_loadd(4, last ? (const char *)cut : b->src[tile] + offset, last ? 2 * RK_HALF_STEP : b->src_row);
      _tile_loadd(6, panel, 64);
      _tile_dpbf16ps(0, 4, 6);
      if (b->vectors == 2) {
        _tile_loadd(7, panel + RK_HALF_PANEL, 64);
        _tile_dpbf16ps(1, 4, 7);
      }
    });
    _tile_stored(0, sums, 64 * b->vectors);
    if (b->vectors == 2) _tile_stored(1, sums + 16, 128);
  }
}

static void amx_block(const rk_half_block *b, int32_t rows) {
  float *sums = b->sums;
  if (b->tail) {
    amx_cut(b, rows);
    return;
  }
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

static void dot_cut(const rk_half_block *b, int32_t rows) {
  uint16_t cut[RK_HALF_STEP] __attribute__((aligned(64)));
  for (int64_t row = 0; row < b->tiles * rows; row++) {
    const char *src = b->src[row / rows] + row % rows * b->src_row;
    __m512 sum[1][2] = {{_mm512_setzero_ps(), _mm512_setzero_ps()}};
    EACH_STEP(b, b->vectors, {
      const int last = step + 1 == b->steps;
      if (last) cut_tail(b, src + offset, 1, cut);
      dot_step(sum, last ? (const char *)cut : src + offset, 0, panel, 1, b->vectors);
    });
    for (int v = 0; v < b->vectors; v++) _mm512_storeu_ps(b->sums + (row * b->vectors + v) * 16, sum[0][v]);
  }
}

static void dot_block(const rk_half_block *b, int32_t rows) {
  if (b->tail) {
    dot_cut(b, rows);
    return;
  }
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

const rk_half_kernels rk_half_kernels_amx = {
    .begin = amx_begin,
    .end = amx_end,
    .block = amx_block,
    .slide = amx_slide,
    .finish = rk_half_finish_rows,
    .finish_pooled = rk_half_finish_pooled,
    .stream_fence = rk_half_fence,
    .plane = rk_half_plane,
    .copy = rk_half_copy,
    .wild = rk_half_wild,
    .transpose = rk_half_transpose_pixels,
    .pairs = rk_half_pair_pixels,
};
const rk_half_kernels rk_half_kernels_avx512_bf16 = {
    .begin = dot_begin,
    .end = dot_end,
    .block = dot_block,
    .slide = NULL,
    .finish = rk_half_finish_rows,
    .finish_pooled = NULL,
    .stream_fence = rk_half_fence,
    .plane = rk_half_plane,
    .copy = rk_half_copy,
    .wild = rk_half_wild,
    .transpose = rk_half_transpose_pixels,
    .pairs = rk_half_pair_pixels,
};
#pragma clang attribute pop
#endif
