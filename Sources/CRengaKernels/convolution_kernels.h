/* convolution_kernels.h: the micro-kernels of convolution, written once over the vector layer and compiled once per instruction set.
 * The includer has included its vector.h and defined RK_TILE_ROWS (most rows of a tile), RK_OUTER_ROWS_1 and RK_OUTER_ROWS_2 (most rows of
 * an outer product of one and two vectors), RK_GROUPED_W_1 and RK_GROUPED_W_2 (see grouped_w) and RK_KERNELS (the name of the table).
 * Not here: blocking, packing, threads.
 *
 * Every output is one chain of multiply-adds in the panel's order, whatever the tile's height: results do not depend on the tiling. */
#include "convolution_activation.h"
#include "convolution_internal.h"

/* Hides where a pointer or stride comes from: else clang keeps one pointer a row, which do not fit the integer registers. */
#define RK_HIDE(value) __asm__("" : "+r"(value))

/* Rows [0, split) start at src, the others at src2: seven fit base + {0, 1, 2, 3, 4, 5, 6} strides with three stride registers. */
#define RK_SPLIT(rows) ((rows) > 7 ? ((rows) + 1) / 2 : (rows))

RK_INLINE const float *tile_source(const char *src, int i, int64_t one, int64_t three, int64_t five) {
  const char *row = src + (i == 0 ? 0 : i == 1 ? one : i == 2 ? 2 * one : i == 3 ? three : i == 4 ? 4 * one : i == 5 ? five : 2 * three);
  return (const float *)row;
}

/* One line of the panel into all accumulators. */
RK_INLINE void tile_line(rk_vector (*sum)[RK_CONV_MOST_VECTORS], const char *src, const char *src2, int64_t one, int64_t three,
                         int64_t five, int line, const float *panel, const int rows, const int vectors) {
  const int split = RK_SPLIT(rows);
  rk_vector weight[RK_CONV_MOST_VECTORS];
  for (int v = 0; v < vectors; v++) weight[v] = rk_load(panel + (line * vectors + v) * RK_LANES);
#pragma clang loop unroll(full)
  for (int i = 0; i < rows; i++) {
    const float *row = i < split ? tile_source(src, i, one, three, five) : tile_source(src2, i - split, one, three, five);
    rk_vector value = rk_broadcast(row[line]);
    for (int v = 0; v < vectors; v++) sum[i][v] = rk_fma(value, weight[v], sum[i][v]);
  }
}

RK_INLINE void tile_products(const rk_conv_tile *tile, rk_vector (*sum)[RK_CONV_MOST_VECTORS], const int rows, const int vectors) {
  const int step = RK_LANES * vectors;
  const float *panel = tile->panel;
  const char *prefetch = (const char *)tile->prefetch;
  const int64_t ahead = tile->prefetch_step;
  int64_t one = tile->src_row * 4, three = 3 * one, five = 5 * one;
  RK_HIDE(one);
  RK_HIDE(three);
  RK_HIDE(five);
  for (int64_t outer = 0; outer < tile->outer; outer++)
    for (int64_t inner = 0; inner < tile->inner; inner++) {
      int64_t first = outer * tile->outer_step + inner * tile->inner_step, left = tile->run;
      const char *src = (const char *)(tile->src + first), *src2 = (const char *)(tile->src2 + first);
      for (; left >= 4; left -= 4, src += 16, src2 += 16, panel += 4 * step) {
        RK_HIDE(src);
        RK_HIDE(src2);
        /* Asked for by name: of 13 and 14 rows clang else keeps a loop, and with it a pointer a row. */
#pragma clang loop unroll(full)
        for (int line = 0; line < 4; line++) {
          __builtin_prefetch(prefetch, 0, 2);
          prefetch += ahead;
          tile_line(sum, src, src2, one, three, five, line, panel, rows, vectors);
        }
      }
      for (; left > 0; left--, src += 4, src2 += 4, panel += step) {
        RK_HIDE(src);
        RK_HIDE(src2);
        tile_line(sum, src, src2, one, three, five, 0, panel, rows, vectors);
      }
    }
}

RK_INLINE rk_vector tile_load(const float *src, int v, rk_mask last, const int vectors, const int masked) {
  return masked && v == vectors - 1 ? rk_load_first(src + v * RK_LANES, last) : rk_load(src + v * RK_LANES);
}

RK_INLINE const float *tile_add(const rk_conv_tile *tile, int i, const int split) {
  return i < split ? tile->add + i * tile->dst_row : tile->add2 + (i - split) * tile->dst_row;
}

RK_INLINE void tile_begin(const rk_conv_tile *tile, rk_vector (*sum)[RK_CONV_MOST_VECTORS], rk_mask last, const int rows, const int vectors,
                          const int masked) {
  const int split = RK_SPLIT(rows);
  if (tile->add && !tile->bias) { /* a sum that goes on: to the bit, also where it is -0 */
#pragma clang loop unroll(full)
    for (int i = 0; i < rows; i++)
      for (int v = 0; v < vectors; v++) sum[i][v] = tile_load(tile_add(tile, i, split), v, last, vectors, masked);
    return;
  }
  for (int v = 0; v < vectors; v++) {
    rk_vector bias = tile->bias ? tile_load(tile->bias, v, last, vectors, masked) : rk_zero();
    for (int i = 0; i < rows; i++) sum[i][v] = bias;
  }
  if (!tile->add) return;
#pragma clang loop unroll(full)
  for (int i = 0; i < rows; i++)
    for (int v = 0; v < vectors; v++) sum[i][v] = rk_add(sum[i][v], tile_load(tile_add(tile, i, split), v, last, vectors, masked));
}

RK_INLINE void tile_end(const rk_conv_tile *tile, rk_vector (*sum)[RK_CONV_MOST_VECTORS], rk_mask last, const int rows, const int vectors,
                        const int masked, const int stream) {
  const int split = RK_SPLIT(rows);
  if (tile->activation == RK_ACTIVATION_RELU) {
    for (int i = 0; i < rows; i++)
      for (int v = 0; v < vectors; v++) sum[i][v] = rk_relu(sum[i][v]);
  } else if (tile->activation == RK_ACTIVATION_PRELU) {
    for (int v = 0; v < vectors; v++) {
      rk_vector slope = tile_load(tile->slope, v, last, vectors, masked);
      for (int i = 0; i < rows; i++) sum[i][v] = rk_where_negative(sum[i][v], rk_mul(slope, sum[i][v]));
    }
  }
  for (int i = 0; i < rows; i++) {
    float *dst = i < split ? tile->dst + i * tile->dst_row : tile->dst2 + (i - split) * tile->dst_row;
    for (int v = 0; v < vectors; v++) {
      if (masked && v == vectors - 1) rk_store_first(dst + v * RK_LANES, last, sum[i][v]);
      else if (RK_STREAMS && stream) rk_stream(dst + v * RK_LANES, sum[i][v]);
      else rk_store(dst + v * RK_LANES, sum[i][v]);
    }
  }
}

static void activate(const rk_conv_tile *tile, int64_t rows) {
  const int64_t split = RK_SPLIT(rows);
  for (int64_t i = 0; i < rows; i++) {
    float *dst = i < split ? tile->dst + i * tile->dst_row : tile->dst2 + (i - split) * tile->dst_row;
    for (int64_t k = 0; k < tile->lanes; k += RK_LANES) {
      const rk_mask mask = rk_first(rk_min64(RK_LANES, tile->lanes - k));
      rk_store_first(dst + k, mask, rk_bounded(tile->activation, tile->slope, rk_load_first(dst + k, mask)));
    }
  }
}

RK_INLINE void tile_body(const rk_conv_tile *tile, const int rows, const int vectors) {
  rk_vector sum[RK_TILE_ROWS][RK_CONV_MOST_VECTORS];
  const rk_mask last = rk_first(tile->lanes - (vectors - 1) * RK_LANES);
  const int masked = tile->lanes < vectors * RK_LANES;
  if (masked) tile_begin(tile, sum, last, rows, vectors, 1);
  else tile_begin(tile, sum, last, rows, vectors, 0);
  tile_products(tile, sum, rows, vectors);
  if (masked) tile_end(tile, sum, last, rows, vectors, 1, 0);
  else if (RK_STREAMS && tile->stream) tile_end(tile, sum, last, rows, vectors, 0, 1);
  else tile_end(tile, sum, last, rows, vectors, 0, 0);
}

RK_INLINE void outer_products(const rk_conv_outer *outer, rk_vector (*sum)[RK_CONV_MOST_VECTORS], rk_mask last, const int rows,
                              const int vectors, const int masked) {
  for (int i = 0; i < rows; i++)
    for (int v = 0; v < vectors; v++)
      sum[i][v] = outer->begins ? rk_zero() : tile_load(outer->dweight + i * outer->dweight_row, v, last, vectors, masked);
  for (int64_t n = 0; n < outer->n; n++)
    for (int64_t h = 0; h < outer->h; h++) {
      const float *src = outer->src + n * outer->src_image + h * outer->src_row;
      const float *ddst = outer->ddst + n * outer->ddst_image + h * outer->ddst_row;
      for (int64_t w = 0; w < outer->w; w++, src += outer->src_pixel, ddst += outer->ddst_pixel) {
        rk_vector gradient[RK_CONV_MOST_VECTORS];
        for (int v = 0; v < vectors; v++) gradient[v] = tile_load(ddst, v, last, vectors, masked);
#pragma clang loop unroll(full)
        for (int i = 0; i < rows; i++) {
          rk_vector value = rk_broadcast(src[i]);
          for (int v = 0; v < vectors; v++) sum[i][v] = rk_fma(value, gradient[v], sum[i][v]);
        }
      }
    }
  for (int i = 0; i < rows; i++)
    for (int v = 0; v < vectors; v++) {
      float *dweight = outer->dweight + i * outer->dweight_row + v * RK_LANES;
      if (masked && v == vectors - 1) rk_store_first(dweight, last, sum[i][v]);
      else rk_store(dweight, sum[i][v]);
    }
}

RK_INLINE void outer_body(const rk_conv_outer *outer, const int rows, const int vectors) {
  rk_vector sum[RK_CONV_MOST_ROWS][RK_CONV_MOST_VECTORS];
  const rk_mask last = rk_first(outer->lanes - (vectors - 1) * RK_LANES);
  if (outer->lanes < vectors * RK_LANES) outer_products(outer, sum, last, rows, vectors, 1);
  else outer_products(outer, sum, last, rows, vectors, 0);
}

static void scaled(const float *src, int64_t src_row, const double *scale, int64_t rows, int64_t count, float *dst, int64_t dst_row) {
  typedef float floats __attribute__((vector_size(4 * RK_LANES), aligned(4), may_alias));
  typedef double doubles __attribute__((vector_size(8 * RK_LANES), aligned(8), may_alias));
  const int64_t whole = count / RK_LANES * RK_LANES;
  /* Rows are too far apart for the processor to foresee what comes: the panel after the next one of the same rows is asked for. */
  enum { AHEAD = 2 * RK_LANES * RK_CONV_MOST_VECTORS, LINE = 16 };
  for (int64_t row = 0; row < rows; row++, src += src_row, dst += dst_row) {
    for (int64_t i = 0; i < count; i += LINE) __builtin_prefetch(src + AHEAD + i, 0, 2);
    for (int64_t i = 0; i < whole; i += RK_LANES)
      *(floats *)(dst + i) = __builtin_convertvector(
          __builtin_convertvector(*(const floats *)(src + i), doubles) * *(const doubles *)(scale + i), floats);
    for (int64_t i = whole; i < count; i++) dst[i] = (float)((double)src[i] * scale[i]);
  }
}

static void column_sum(const float *src, int64_t rows, int64_t stride, int64_t count, float *dst) {
  for (int64_t i = 0; i < count; i += RK_LANES) {
    rk_mask mask = rk_first(rk_min64(RK_LANES, count - i));
    rk_vector sum = rk_zero();
    for (int64_t row = 0; row < rows; row++) sum = rk_add(sum, rk_load_first(src + row * stride + i, mask));
    rk_store_first(dst + i, mask, rk_add(rk_load_first(dst + i, mask), sum));
  }
}

/* ---- Depthwise: vectors of channels ---- */

/* Neighbouring pixels computed together, where all see the same columns of taps. */
#define RK_DEPTHWISE_PIXELS 4

RK_INLINE rk_vector lanes_of(const float *src, rk_mask mask, const int masked) { return masked ? rk_load_first(src, mask) : rk_load(src); }

/* Pixels [x, x + pixels) of one row, of one vector of channels from k, by taps [i0, i1) x [j0, j1). */
RK_INLINE void depthwise_pixels(const rk_conv_depthwise *depthwise, int64_t n, int64_t y, int64_t x, int64_t i0, int64_t i1, int64_t j0,
                                int64_t j1, int64_t k, rk_mask mask, const int masked, const int pixels) {
  const rk_correlation *at = &depthwise->at;
  rk_vector sum[RK_DEPTHWISE_PIXELS], bias = depthwise->bias ? lanes_of(depthwise->bias + k, mask, masked) : rk_zero();
  int64_t dst = at->dst_first + n * at->dst_image + y * at->dst_row + x * at->dst_pixel + k;
  for (int p = 0; p < pixels; p++)
    sum[p] = depthwise->add ? rk_add(bias, lanes_of(depthwise->add + dst + p * at->dst_pixel, mask, masked)) : bias;
  for (int64_t i = i0; i < i1; i++) {
    int64_t row = (n * at->src_h + y * at->stride_h + i * at->dilation_h + at->offset_h) * at->src_w;
    const float *weight = depthwise->weight + (at->tap_r + i * at->tap_r_step) * depthwise->weight_row + k;
    for (int64_t j = j0; j < j1; j++) {
      const float *src = depthwise->src + (row + x * at->stride_w + j * at->dilation_w + at->offset_w) * at->src_c + k;
      rk_vector factor = lanes_of(weight + (at->tap_s + j * at->tap_s_step) * depthwise->channels, mask, masked);
      for (int p = 0; p < pixels; p++) sum[p] = rk_fma(lanes_of(src + p * at->stride_w * at->src_c, mask, masked), factor, sum[p]);
    }
  }
  for (int p = 0; p < pixels; p++) {
    rk_vector value = sum[p];
    if (depthwise->activation == RK_ACTIVATION_RELU) value = rk_relu(value);
    if (depthwise->activation == RK_ACTIVATION_PRELU)
      value = rk_where_negative(value, rk_mul(value, lanes_of(depthwise->slope + k, mask, masked)));
    if (rk_conv_is_late(depthwise->activation)) value = rk_bounded(depthwise->activation, depthwise->slope, value);
    if (masked) rk_store_first(depthwise->dst + dst + p * at->dst_pixel, mask, value);
    else rk_store(depthwise->dst + dst + p * at->dst_pixel, value);
  }
}

/* Taps [begin, end) whose source index, tap * dilation + shift, lies in [0, size). */
RK_INLINE void seen_taps(int64_t shift, int64_t dilation, int64_t size, int64_t taps, int64_t *begin, int64_t *end) {
  *begin = 0;
  *end = taps;
  rk_conv_clip(shift, dilation, size, begin, end);
  if (*end < *begin) *end = *begin;
}

RK_INLINE void depthwise_channels(const rk_conv_depthwise *depthwise, int64_t n, int64_t y, int64_t k, rk_mask mask, const int masked) {
  const rk_correlation *at = &depthwise->at;
  int64_t i0, i1, inner = 0, inner_end = at->out_w;
  seen_taps(y * at->stride_h + at->offset_h, at->dilation_h, at->src_h, at->taps_h, &i0, &i1);
  rk_conv_clip(at->offset_w, at->stride_w, at->src_w, &inner, &inner_end);
  rk_conv_clip(at->offset_w + (at->taps_w - 1) * at->dilation_w, at->stride_w, at->src_w, &inner, &inner_end);
  for (int64_t x = 0; x < at->out_w;) {
    if (x >= inner && x + RK_DEPTHWISE_PIXELS <= inner_end && at->taps_w > 0) {
      depthwise_pixels(depthwise, n, y, x, i0, i1, 0, at->taps_w, k, mask, masked, RK_DEPTHWISE_PIXELS);
      x += RK_DEPTHWISE_PIXELS;
    } else {
      int64_t j0, j1;
      seen_taps(x * at->stride_w + at->offset_w, at->dilation_w, at->src_w, at->taps_w, &j0, &j1);
      depthwise_pixels(depthwise, n, y, x, i0, i1, j0, j1, k, mask, masked, 1);
      x++;
    }
  }
}

static void depthwise_row(const rk_conv_depthwise *depthwise, int64_t n, int64_t y) {
  int64_t whole = depthwise->channels / RK_LANES * RK_LANES;
  rk_mask tail = rk_first(depthwise->channels - whole);
  for (int64_t k = 0; k < whole; k += RK_LANES) depthwise_channels(depthwise, n, y, k, tail, 0);
  if (whole < depthwise->channels) depthwise_channels(depthwise, n, y, whole, tail, 1);
}

static void depthwise_weight_row(const rk_conv_depthwise *depthwise, int64_t n, int64_t y, const float *ddst, float *dweight) {
  const rk_correlation *at = &depthwise->at;
  int64_t channels = depthwise->channels, i0, i1;
  seen_taps(y * at->stride_h + at->offset_h, at->dilation_h, at->src_h, at->taps_h, &i0, &i1);
  for (int64_t i = i0; i < i1; i++)
    for (int64_t j = 0; j < at->taps_w; j++) {
      int64_t x0 = 0, x1 = at->out_w, shift = j * at->dilation_w + at->offset_w;
      rk_conv_clip(shift, at->stride_w, at->src_w, &x0, &x1);
      const float *row = depthwise->src + (n * at->src_h + y * at->stride_h + i * at->dilation_h + at->offset_h) * at->src_w * at->src_c;
      for (int64_t k = 0; k < channels; k += RK_LANES) {
        rk_mask mask = rk_first(rk_min64(RK_LANES, channels - k));
        float *sums = dweight + i * depthwise->weight_row + j * channels + k;
        rk_vector sum = rk_load_first(sums, mask);
        for (int64_t x = x0; x < x1; x++)
          sum = rk_fma(rk_load_first(row + (x * at->stride_w + shift) * at->src_c + k, mask), rk_load_first(ddst + x * channels + k, mask),
                       sum);
        rk_store_first(sums, mask, sum);
      }
    }
}

#if RK_LANES > 4
#include "convolution_grouped_kernels.h"
#endif
#include "convolution_stream_kernels.h"

/* ---- One function for each height and width ---- */

#define RK_TILE(rows, vectors)                                                                                                             \
  static void tile_##rows##x##vectors(const rk_conv_tile *tile) { tile_body(tile, rows, vectors); }
#define RK_OUTER(rows, vectors)                                                                                                            \
  static void outer_##rows##x##vectors(const rk_conv_outer *outer) { outer_body(outer, rows, vectors); }
#define RK_BOTH(macro, rows) macro(rows, 1) macro(rows, 2)

/* clang-format off */
RK_BOTH(RK_TILE, 1) RK_BOTH(RK_TILE, 2) RK_BOTH(RK_TILE, 3) RK_BOTH(RK_TILE, 4) RK_BOTH(RK_TILE, 5) RK_BOTH(RK_TILE, 6)
#if RK_TILE_ROWS == 14
RK_BOTH(RK_TILE, 7) RK_BOTH(RK_TILE, 8) RK_BOTH(RK_TILE, 9) RK_BOTH(RK_TILE, 10)
RK_BOTH(RK_TILE, 11) RK_BOTH(RK_TILE, 12) RK_BOTH(RK_TILE, 13) RK_BOTH(RK_TILE, 14)
#endif
RK_BOTH(RK_OUTER, 1) RK_BOTH(RK_OUTER, 2) RK_BOTH(RK_OUTER, 3) RK_BOTH(RK_OUTER, 4) RK_BOTH(RK_OUTER, 5) RK_BOTH(RK_OUTER, 6)
RK_OUTER(7, 1) RK_OUTER(8, 1)
#if RK_OUTER_ROWS_2 == 14
RK_OUTER(7, 2) RK_OUTER(8, 2)
RK_BOTH(RK_OUTER, 9) RK_BOTH(RK_OUTER, 10) RK_BOTH(RK_OUTER, 11) RK_BOTH(RK_OUTER, 12) RK_BOTH(RK_OUTER, 13) RK_BOTH(RK_OUTER, 14)
RK_OUTER(15, 1) RK_OUTER(16, 1)
#endif
    /* clang-format on */

    const rk_conv_kernels RK_KERNELS = {
        .lanes = RK_LANES,
        .tile_rows = RK_TILE_ROWS,
        .outer_rows = {RK_OUTER_ROWS_1, RK_OUTER_ROWS_2},
#if RK_TILE_ROWS == 14
        .tile = {{tile_1x1, tile_2x1, tile_3x1, tile_4x1, tile_5x1, tile_6x1, tile_7x1, tile_8x1, tile_9x1, tile_10x1, tile_11x1, tile_12x1,
                  tile_13x1, tile_14x1},
                 {tile_1x2, tile_2x2, tile_3x2, tile_4x2, tile_5x2, tile_6x2, tile_7x2, tile_8x2, tile_9x2, tile_10x2, tile_11x2, tile_12x2,
                  tile_13x2, tile_14x2}},
#else
        .tile = {{tile_1x1, tile_2x1, tile_3x1, tile_4x1, tile_5x1, tile_6x1},
                 {tile_1x2, tile_2x2, tile_3x2, tile_4x2, tile_5x2, tile_6x2}},
#endif
#if RK_OUTER_ROWS_2 == 14
        .outer = {{outer_1x1, outer_2x1, outer_3x1, outer_4x1, outer_5x1, outer_6x1, outer_7x1, outer_8x1, outer_9x1, outer_10x1,
                   outer_11x1, outer_12x1, outer_13x1, outer_14x1, outer_15x1, outer_16x1},
                  {outer_1x2, outer_2x2, outer_3x2, outer_4x2, outer_5x2, outer_6x2, outer_7x2, outer_8x2, outer_9x2, outer_10x2,
                   outer_11x2, outer_12x2, outer_13x2, outer_14x2}},
#else
        .outer = {{outer_1x1, outer_2x1, outer_3x1, outer_4x1, outer_5x1, outer_6x1, outer_7x1, outer_8x1},
                  {outer_1x2, outer_2x2, outer_3x2, outer_4x2, outer_5x2, outer_6x2}},
#endif
        .activate = activate,
        .stream_rows = RK_STREAM_ROWS,
        .stream = RK_STREAM_TABLE,
#ifdef RK_COMPACT
        .compact = compact_store,
#endif
        .scaled = scaled,
        .stream_fence = rk_stream_fence,
        .column_sum = column_sum,
#if RK_LANES > 4
        .grouped_w = {RK_GROUPED_W_1, RK_GROUPED_W_2},
        .grouped_rows = grouped_rows,
        .grouped_weight = grouped_weight,
#endif
        .depthwise_row = depthwise_row,
        .depthwise_weight_row = depthwise_weight_row,
};
