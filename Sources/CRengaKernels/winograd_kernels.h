/* winograd_kernels.h: Winograd's transforms, written once over the vector layer and compiled once per instruction set.
 * The includer has included its vector.h and defined RK_WINOGRAD (the name of the table). Not here: the products between them
 * (winograd_products.h, winograd.c). */
#include "convolution_activation.h"
#include "winograd_internal.h"
#ifdef RK_PRODUCT_ROWS_1
#include "winograd_products.h"
#endif

#define RK_A 0.625f
#define RK_B 1.5f
/* The values behind the polynomial's factors (x^2 - a^2)(x^2 - b^2). */
#define RK_A2 (RK_A * RK_A)
#define RK_B2 (RK_B * RK_B)

/* ---- One-dimensional transforms: `from` and `to` are `step` vectors apart ---- */

RK_INLINE void source_line(const rk_vector *d, rk_vector *t, int step, const int m) {
  if (m == 2) {
    t[0] = rk_sub(d[0], d[2]);
    t[step] = rk_add(d[1], d[2]);
    t[2 * step] = rk_sub(d[2], d[1]);
    t[3 * step] = rk_sub(d[1], d[3]);
    return;
  }
  const rk_vector a = rk_broadcast(RK_A), b = rk_broadcast(RK_B), a2 = rk_broadcast(RK_A2), b2 = rk_broadcast(RK_B2);
  const rk_vector sum = rk_broadcast(RK_A2 + RK_B2), product = rk_broadcast(RK_A2 * RK_B2);
  rk_vector even_a = rk_fnma(b2, d[2], d[4]), odd_a = rk_fnma(b2, d[1], d[3]);
  rk_vector even_b = rk_fnma(a2, d[2], d[4]), odd_b = rk_fnma(a2, d[1], d[3]);
  t[0] = rk_fma(product, d[0], rk_fnma(sum, d[2], d[4]));
  t[step] = rk_fma(a, odd_a, even_a);
  t[2 * step] = rk_fnma(a, odd_a, even_a);
  t[3 * step] = rk_fma(b, odd_b, even_b);
  t[4 * step] = rk_fnma(b, odd_b, even_b);
  t[5 * step] = rk_fma(product, d[1], rk_fnma(sum, d[3], d[5]));
}

RK_INLINE void output_line(const rk_vector *d, rk_vector *t, int step, const int m) {
  if (m == 2) {
    t[0] = rk_add(d[0], rk_add(d[1], d[2]));
    t[step] = rk_sub(rk_sub(d[1], d[2]), d[3]);
    return;
  }
  const rk_vector a = rk_broadcast(RK_A), b = rk_broadcast(RK_B), a2 = rk_broadcast(RK_A2), b2 = rk_broadcast(RK_B2);
  const rk_vector a3 = rk_broadcast(RK_A2 * RK_A), b3 = rk_broadcast(RK_B2 * RK_B);
  rk_vector sum_a = rk_add(d[1], d[2]), difference_a = rk_sub(d[1], d[2]), sum_b = rk_add(d[3], d[4]), difference_b = rk_sub(d[3], d[4]);
  t[0] = rk_add(d[0], rk_add(sum_a, sum_b));
  t[step] = rk_fma(a, difference_a, rk_mul(b, difference_b));
  t[2 * step] = rk_fma(a2, sum_a, rk_mul(b2, sum_b));
  t[3 * step] = rk_fma(a3, difference_a, rk_fma(b3, difference_b, d[5]));
}

/* G. Its rows 1 ... are 1 / N (1, p, p^2) of the points p, N the product of p's distances from the other points. */
#define RK_N0 (1 / (RK_A2 * RK_B2))
#define RK_NA (1 / (2 * RK_A2 * (RK_A2 - RK_B2)))
#define RK_NB (1 / (2 * RK_B2 * (RK_B2 - RK_A2)))
RK_INLINE void weight_line(const rk_vector *g, rk_vector *t, int step, const int m) {
  if (m == 2) {
    rk_vector half = rk_broadcast(0.5f), outer = rk_mul(half, rk_add(g[0], g[2])), middle = rk_mul(half, g[1]);
    t[0] = g[0];
    t[step] = rk_add(outer, middle);
    t[2 * step] = rk_sub(outer, middle);
    t[3 * step] = g[2];
    return;
  }
  rk_vector even_a = rk_fma(rk_broadcast(RK_NA * RK_A2), g[2], rk_mul(rk_broadcast(RK_NA), g[0])),
            odd_a = rk_mul(rk_broadcast(RK_NA * RK_A), g[1]);
  rk_vector even_b = rk_fma(rk_broadcast(RK_NB * RK_B2), g[2], rk_mul(rk_broadcast(RK_NB), g[0])),
            odd_b = rk_mul(rk_broadcast(RK_NB * RK_B), g[1]);
  t[0] = rk_mul(rk_broadcast(RK_N0), g[0]);
  t[step] = rk_add(even_a, odd_a);
  t[2 * step] = rk_sub(even_a, odd_a);
  t[3 * step] = rk_add(even_b, odd_b);
  t[4 * step] = rk_sub(even_b, odd_b);
  t[5 * step] = g[2];
}

/* A, m = 4: the transpose of output_line. */
RK_INLINE void gradient_line(const rk_vector *y, rk_vector *t) {
  const rk_vector a = rk_broadcast(RK_A), b = rk_broadcast(RK_B), a2 = rk_broadcast(RK_A2), b2 = rk_broadcast(RK_B2);
  rk_vector even_a = rk_fma(a2, y[2], y[0]), odd_a = rk_fma(a2, y[3], y[1]);
  rk_vector even_b = rk_fma(b2, y[2], y[0]), odd_b = rk_fma(b2, y[3], y[1]);
  t[0] = y[0];
  t[1] = rk_fma(a, odd_a, even_a);
  t[2] = rk_fnma(a, odd_a, even_a);
  t[3] = rk_fma(b, odd_b, even_b);
  t[4] = rk_fnma(b, odd_b, even_b);
  t[5] = y[3];
}

/* G^T, m = 4: the transpose of weight_line. */
RK_INLINE void weight_gradient_line(const rk_vector *t, rk_vector *g, int step) {
  rk_vector sum_a = rk_add(t[1], t[2]), difference_a = rk_sub(t[1], t[2]), sum_b = rk_add(t[3], t[4]), difference_b = rk_sub(t[3], t[4]);
  g[0] = rk_fma(rk_broadcast(RK_N0), t[0], rk_fma(rk_broadcast(RK_NA), sum_a, rk_mul(rk_broadcast(RK_NB), sum_b)));
  g[step] = rk_fma(rk_broadcast(RK_NA * RK_A), difference_a, rk_mul(rk_broadcast(RK_NB * RK_B), difference_b));
  g[2 * step] = rk_fma(rk_broadcast(RK_NA * RK_A2), sum_a, rk_fma(rk_broadcast(RK_NB * RK_B2), sum_b, t[5]));
}

/* ---- Tiles ---- */

/* Where a tile lies: its image, and its first output row and column. */
typedef struct tile_position {
  int64_t n, y, x;
} tile_position;

RK_INLINE tile_position position_of(const rk_winograd *winograd, int64_t tile, const int m) {
  int64_t row = tile / winograd->tiles_w;
  return (tile_position){row / winograd->tiles_h, row % winograd->tiles_h * m, tile % winograd->tiles_w * m};
}

/* The pixels of a tile: row i begins at row[i], its pixels are step[i] floats apart (a row outside the map is a line of zeros, again and
 * again), and its columns [first, end) are inside the map. */
typedef struct tile_pixels {
  const float *row[6];
  int64_t step[6];
  int first, end;
} tile_pixels;

RK_INLINE tile_pixels pixels_of(const float *src, const float *zeros, int64_t h, int64_t w, int64_t pixel, int64_t y, int64_t x,
                                const int size) {
  tile_pixels pixels = {.first = (int)rk_min64(rk_max64(-x, 0), size), .end = (int)rk_max64(rk_min64(w - x, size), 0)};
  for (int i = 0; i < size; i++) {
    const int inside = y + i >= 0 && y + i < h;
    pixels.row[i] = inside ? src + ((y + i) * w + x) * pixel : zeros;
    pixels.step[i] = inside ? pixel : 0;
  }
  return pixels;
}

RK_INLINE rk_vector load_lanes(const float *src, rk_mask mask, const int masked) {
  return masked ? rk_load_first(src, mask) : rk_load(src);
}

/* One vector of rows `from`, from + by, ... of column j: `count` of them. `whole`: all columns are inside. */
RK_INLINE void load_column(const tile_pixels *pixels, int64_t c, rk_mask mask, int j, rk_vector *d, const int from, const int by,
                           const int count, const int masked, const int whole) {
  const int inside = whole || (j >= pixels->first && j < pixels->end);
  for (int i = 0; i < count; i++) {
    const int row = from + i * by;
    d[i] = inside ? load_lanes(pixels->row[row] + j * pixels->step[row] + c, mask, masked) : rk_zero();
  }
}

/* The rows of a transform by m = 4 come in pairs that differ by a sign, made one pair after another: all at once would not fit the
 * registers, while rows loaded a second time come from L1. */
RK_INLINE void store_line(const rk_vector *t, float *line, int64_t plane, const int count) {
  for (int j = 0; j < count; j++) rk_store(line + j * plane, t[j]);
}

RK_INLINE void source_vector_2(const tile_pixels *pixels, int64_t c, rk_mask mask, float *line, int64_t plane, const int masked,
                               const int whole) {
  rk_vector half[16];
  for (int j = 0; j < 4; j++) {
    rk_vector d[4];
    load_column(pixels, c, mask, j, d, 0, 1, 4, masked, whole);
    source_line(d, half + j, 4, 2);
  }
  for (int i = 0; i < 4; i++) {
    rk_vector t[4];
    source_line(half + i * 4, t, 1, 2);
    store_line(t, line + i * 4 * plane + c, plane, 4);
  }
}

/* Rows `row` and row + 1, those of +-point; `other`: the other point's square. */
RK_INLINE void source_pair(const tile_pixels *pixels, int64_t c, rk_mask mask, float *line, int64_t plane, float point, float other,
                           const int row, const int masked, const int whole) {
  const rk_vector p = rk_broadcast(point), q = rk_broadcast(other);
  rk_vector plus[6], minus[6], t[6];
  for (int j = 0; j < 6; j++) {
    rk_vector d[4];
    load_column(pixels, c, mask, j, d, 1, 1, 4, masked, whole);
    const rk_vector odd = rk_fnma(q, d[0], d[2]), even = rk_fnma(q, d[1], d[3]);
    plus[j] = rk_fma(p, odd, even);
    minus[j] = rk_fnma(p, odd, even);
  }
  source_line(plus, t, 1, 4);
  store_line(t, line + row * 6 * plane + c, plane, 6);
  source_line(minus, t, 1, 4);
  store_line(t, line + (row + 1) * 6 * plane + c, plane, 6);
}

/* Row 0 from rows 0, 2, 4; row 5 from 1, 3, 5. */
RK_INLINE void source_end(const tile_pixels *pixels, int64_t c, rk_mask mask, float *line, int64_t plane, const int from, const int masked,
                          const int whole) {
  const rk_vector sum = rk_broadcast(RK_A2 + RK_B2), product = rk_broadcast(RK_A2 * RK_B2);
  rk_vector half[6], t[6];
  for (int j = 0; j < 6; j++) {
    rk_vector d[3];
    load_column(pixels, c, mask, j, d, from, 2, 3, masked, whole);
    half[j] = rk_fma(product, d[0], rk_fnma(sum, d[1], d[2]));
  }
  source_line(half, t, 1, 4);
  store_line(t, line + from * 5 * 6 * plane + c, plane, 6);
}

RK_INLINE void source_vector(const tile_pixels *pixels, int64_t c, rk_mask mask, float *line, int64_t plane, const int m, const int masked,
                             const int whole) {
  if (m == 2) {
    source_vector_2(pixels, c, mask, line, plane, masked, whole);
    return;
  }
  source_end(pixels, c, mask, line, plane, 0, masked, whole);
  source_pair(pixels, c, mask, line, plane, RK_A, RK_B2, 1, masked, whole);
  source_pair(pixels, c, mask, line, plane, RK_B, RK_A2, 3, masked, whole);
  source_end(pixels, c, mask, line, plane, 1, masked, whole);
}

RK_INLINE void source_lines(const tile_pixels *pixels, int64_t count, float *line, int64_t plane, const int m, const int whole) {
  const int64_t end = count / RK_LANES * RK_LANES;
  const rk_mask tail = rk_first(count - end);
  for (int64_t c = 0; c < end; c += RK_LANES) source_vector(pixels, c, tail, line, plane, m, 0, whole);
  if (end < count) source_vector(pixels, end, tail, line, plane, m, 1, whole);
}

/* Asks for the source rows that the tile below this one will add to its own: they are too far apart for the processor to foresee. */
RK_INLINE void prefetch_below(const rk_correlation *at, const float *src, tile_position position, const int m) {
  uintptr_t row = (uintptr_t)src, pixel = (uintptr_t)at->src_c * sizeof(float), pitch = (uintptr_t)at->src_w * pixel;
  row += (uintptr_t)(position.n * at->src_h + position.y + at->offset_h + m + 2) * pitch + (uintptr_t)position.x * pixel;
  for (int i = 0; i < m; i++, row += pitch)
    for (uintptr_t byte = 0; byte < (uintptr_t)m * pixel; byte += 64) __builtin_prefetch((const void *)(row + byte));
}

#ifdef RK_PRODUCT_ROWS_1
#include "winograd_rows.h"
#endif

RK_INLINE void source_tiles(const rk_winograd *winograd, const float *src, const float *zeros, int64_t begin, int64_t end, float *lines,
                            int64_t plane, const int m) {
  const rk_correlation *at = &winograd->at;
  for (int64_t tile = begin; tile < end; tile++, lines += winograd->c_line) {
    tile_position position = position_of(winograd, tile, m);
    const tile_pixels pixels = pixels_of(src + position.n * at->src_h * at->src_w * at->src_c, zeros, at->src_h, at->src_w, at->src_c,
                                         position.y + at->offset_h, position.x + at->offset_w, m + 2);
    prefetch_below(at, src, position, m);
    if (pixels.first == 0 && pixels.end == m + 2) source_lines(&pixels, at->c, lines, plane, m, 1);
    else source_lines(&pixels, at->c, lines, plane, m, 0);
  }
}

RK_INLINE rk_vector finish(const rk_winograd_output *output, rk_vector value, int64_t offset, int64_t k, rk_mask mask, const int masked) {
  if (output->add) {
    rk_vector added = load_lanes(output->add + offset, mask, masked);
    if (output->second) added = rk_mul(rk_add(added, load_lanes(output->second + offset, mask, masked)), rk_broadcast(0.5f));
    value = rk_add(value, added);
  }
  if (output->activation == RK_ACTIVATION_RELU) return rk_relu(value);
  if (output->activation == RK_ACTIVATION_PRELU)
    return rk_where_negative(value, rk_mul(value, load_lanes(output->slope + k, mask, masked)));
  if (rk_conv_is_late(output->activation)) return rk_bounded(output->activation, output->slope, value);
  return value;
}

RK_INLINE void keep(const rk_winograd_output *output, int64_t offset, rk_vector value, rk_mask mask, const int masked) {
  if (masked) rk_store_first(output->dst + offset, mask, value);
  else if (RK_STREAMS && output->stream) rk_stream(output->dst + offset, value);
  else rk_store(output->dst + offset, value);
}

/* Where a tile's outputs go: the offset of its first pixel, before pooling and after. */
typedef struct tile_target {
  int64_t rows, columns, dst, pooled;
} tile_target;

/* One row of a tile's outputs, of one vector of outputs k. `plain`: the sums themselves, all columns of them. */
RK_INLINE void output_row(const rk_winograd *winograd, const rk_winograd_output *output, const rk_vector *t, tile_target target, int i,
                          int64_t k, rk_vector bias, rk_mask mask, const int m, const int masked, const int plain) {
  for (int j = 0; j < m; j++) {
    if (!plain && j >= target.columns) break;
    const int64_t offset = target.dst + i * winograd->at.dst_row + j * winograd->at.dst_pixel + k;
    if (plain) rk_store(output->dst + offset, t[j]);
    else keep(output, offset, finish(output, rk_add(t[j], bias), offset, k, mask, masked), mask, masked);
  }
}

/* Rows 0 and 2, or 1 and 3, of a tile by m = 4: what they share is the sums, or the differences, of what belongs to +-point. */
RK_INLINE void output_rows_4(const rk_winograd *winograd, const rk_winograd_output *output, const float *line, tile_target target, int64_t k,
                             rk_vector bias, rk_mask mask, const int odd, const int masked, const int plain) {
  const rk_vector low_a = rk_broadcast(odd ? RK_A : 1), low_b = rk_broadcast(odd ? RK_B : 1);
  const rk_vector high_a = rk_broadcast(odd ? RK_A2 * RK_A : RK_A2), high_b = rk_broadcast(odd ? RK_B2 * RK_B : RK_B2);
  rk_vector low[6], high[6], t[4];
  for (int j = 0; j < 6; j++) {
    rk_vector d[6];
    for (int i = 0; i < 6; i++)
      if (i != (odd ? 0 : 5)) d[i] = rk_load(line + (i * 6 + j) * output->plane);
    const rk_vector a = odd ? rk_sub(d[1], d[2]) : rk_add(d[1], d[2]), b = odd ? rk_sub(d[3], d[4]) : rk_add(d[3], d[4]);
    low[j] = odd ? rk_fma(low_a, a, rk_mul(low_b, b)) : rk_add(d[0], rk_add(a, b));
    high[j] = odd ? rk_fma(high_a, a, rk_fma(high_b, b, d[5])) : rk_fma(high_a, a, rk_mul(high_b, b));
  }
  if (plain || odd < target.rows) {
    output_line(low, t, 1, 4);
    output_row(winograd, output, t, target, odd, k, bias, mask, 4, masked, plain);
  }
  if (plain || odd + 2 < target.rows) {
    output_line(high, t, 1, 4);
    output_row(winograd, output, t, target, odd + 2, k, bias, mask, 4, masked, plain);
  }
}

/* rows x columns of one tile's m x m outputs, of one vector of outputs k; pooled: the largest of each 2x2 of them. */
RK_INLINE void output_vector(const rk_winograd *winograd, const rk_winograd_output *output, const float *line, tile_target target, int64_t k,
                             rk_mask mask, const int m, const int masked, const int pool) {
  const int a = m + 2;
  const rk_correlation *at = &winograd->at;
  rk_vector half[RK_WINOGRAD_MOST_POSITIONS], above[4], bias = output->bias ? load_lanes(output->bias + k, mask, masked) : rk_zero();
  if (m == 4 && !pool) {
    output_rows_4(winograd, output, line, target, k, bias, mask, 0, masked, 0);
    output_rows_4(winograd, output, line, target, k, bias, mask, 1, masked, 0);
    return;
  }
  for (int j = 0; j < a; j++) {
    rk_vector d[6];
    for (int i = 0; i < a; i++) d[i] = rk_load(line + (i * a + j) * output->plane);
    output_line(d, half + j, a, m);
  }
  for (int i = 0; i < m; i++) {
    rk_vector t[4];
    if (i >= target.rows) break;
    output_line(half + i * a, t, 1, m);
    if (!pool) {
      output_row(winograd, output, t, target, i, k, bias, mask, m, masked, 0);
      continue;
    }
    for (int j = 0; j < m; j++) {
      if (j >= target.columns) break;
      const int64_t offset = target.dst + i * at->dst_row + j * at->dst_pixel + k;
      t[j] = finish(output, rk_add(t[j], bias), offset, k, mask, masked);
      if (i % 2 == 0) above[j] = t[j];
      else t[j] = rk_larger(t[j], above[j]);
      if (i % 2 == 1 && j % 2 == 1)
        keep(output, target.pooled + ((i / 2) * (at->out_w / 2) + j / 2) * at->dst_pixel + k, rk_larger(t[j], t[j - 1]), mask, masked);
    }
  }
}

RK_INLINE void output_tiles(const rk_winograd *winograd, const rk_winograd_output *output, int64_t begin, int64_t end, const int m,
                            const int pool) {
  const rk_correlation *at = &winograd->at;
  int64_t whole = winograd->at.k / RK_LANES * RK_LANES;
  rk_mask tail = rk_first(winograd->at.k - whole);
  const float *line = output->products;
  const int plain = !output->bias && !output->add && output->activation == RK_ACTIVATION_NONE && !output->stream;
  for (int64_t tile = begin; tile < end; tile++, line += winograd->k_line) {
    tile_position position = position_of(winograd, tile, m);
    const tile_target target = {
        .rows = rk_min64(m, at->out_h - position.y),
        .columns = rk_min64(m, at->out_w - position.x),
        .dst = at->dst_first + position.n * at->dst_image + position.y * at->dst_row + position.x * at->dst_pixel,
        .pooled = ((position.n * (at->out_h / 2) + position.y / 2) * (at->out_w / 2) + position.x / 2) * at->dst_pixel,
    };
    if (m == 4 && !pool && plain && target.rows == 4 && target.columns == 4) {
      for (int64_t k = 0; k < whole; k += RK_LANES) {
        output_rows_4(winograd, output, line + k, target, k, rk_zero(), tail, 0, 0, 1);
        output_rows_4(winograd, output, line + k, target, k, rk_zero(), tail, 1, 0, 1);
      }
    } else {
      for (int64_t k = 0; k < whole; k += RK_LANES) output_vector(winograd, output, line + k, target, k, tail, m, 0, pool);
    }
    if (whole < winograd->at.k) output_vector(winograd, output, line + whole, target, whole, tail, m, 1, pool);
  }
  if (output->stream) rk_stream_fence();
}

RK_INLINE void weight_vectors(const float *weight, int64_t tap_step, int64_t count, int64_t lanes, float *panel, int64_t plane,
                              const int m) {
  const int a = m + 2;
  for (int64_t k = 0; k < lanes; k += RK_LANES) {
    rk_mask mask = rk_first(rk_min64(RK_LANES, count - k));
    rk_vector half[18];
    for (int j = 0; j < 3; j++) {
      rk_vector g[3];
      for (int i = 0; i < 3; i++) g[i] = rk_load_first(weight + (i * 3 + j) * tap_step + k, mask);
      weight_line(g, half + j, 3, m);
    }
    for (int i = 0; i < a; i++) {
      rk_vector t[6];
      weight_line(half + i * 3, t, 1, m);
      for (int j = 0; j < a; j++) rk_store(panel + (i * a + j) * plane + k, t[j]);
    }
  }
}

/* ---- Backward-weight, m = 4 ---- */

/* Rows `row` and row + 1, those of +-point. */
RK_INLINE void gradient_pair(const tile_pixels *pixels, int64_t k, rk_mask mask, float *line, int64_t plane, float point, const int row,
                             const int masked, const int whole) {
  const rk_vector p = rk_broadcast(point), p2 = rk_broadcast(point * point);
  rk_vector plus[4], minus[4], t[6];
  for (int j = 0; j < 4; j++) {
    rk_vector y[4];
    load_column(pixels, k, mask, j, y, 0, 1, 4, masked, whole);
    const rk_vector even = rk_fma(p2, y[2], y[0]), odd = rk_fma(p2, y[3], y[1]);
    plus[j] = rk_fma(p, odd, even);
    minus[j] = rk_fnma(p, odd, even);
  }
  gradient_line(plus, t);
  store_line(t, line + row * 6 * plane + k, plane, 6);
  gradient_line(minus, t);
  store_line(t, line + (row + 1) * 6 * plane + k, plane, 6);
}

/* Row 0 from row 0, row 5 from row 3. */
RK_INLINE void gradient_end(const tile_pixels *pixels, int64_t k, rk_mask mask, float *line, int64_t plane, const int end, const int masked,
                            const int whole) {
  rk_vector y[4], t[6];
  for (int j = 0; j < 4; j++) load_column(pixels, k, mask, j, y + j, end * 3, 1, 1, masked, whole);
  gradient_line(y, t);
  store_line(t, line + end * 5 * 6 * plane + k, plane, 6);
}

RK_INLINE void gradient_vector(const tile_pixels *pixels, int64_t k, rk_mask mask, float *line, int64_t plane, const int masked,
                               const int whole) {
  gradient_end(pixels, k, mask, line, plane, 0, masked, whole);
  gradient_pair(pixels, k, mask, line, plane, RK_A, 1, masked, whole);
  gradient_pair(pixels, k, mask, line, plane, RK_B, 3, masked, whole);
  gradient_end(pixels, k, mask, line, plane, 1, masked, whole);
}

RK_INLINE void gradient_lines(const tile_pixels *pixels, int64_t count, float *line, int64_t plane, const int whole) {
  const int64_t end = count / RK_LANES * RK_LANES;
  const rk_mask tail = rk_first(count - end);
  for (int64_t k = 0; k < end; k += RK_LANES) gradient_vector(pixels, k, tail, line, plane, 0, whole);
  if (end < count) gradient_vector(pixels, end, tail, line, plane, 1, whole);
}

static void gradient_tiles(const rk_winograd *winograd, const float *ddst, const float *zeros, int64_t begin, int64_t end, float *lines,
                           int64_t plane) {
  const rk_correlation *at = &winograd->at;
  for (int64_t tile = begin; tile < end; tile++, lines += winograd->k_line) {
    tile_position position = position_of(winograd, tile, 4);
    const tile_pixels pixels =
        pixels_of(ddst + position.n * at->dst_image, zeros, at->out_h, at->out_w, at->dst_pixel, position.y, position.x, 4);
    if (pixels.end == 4) gradient_lines(&pixels, at->k, lines, plane, 1);
    else gradient_lines(&pixels, at->k, lines, plane, 0);
  }
}

static void weight_gradient(const rk_winograd *winograd, const float *sums, int64_t pieces, int64_t piece_step, int64_t c, float *dweight) {
  int64_t k_count = winograd->at.k, c_count = winograd->at.c, plane = rk_winograd_plane(c_count, winograd->k_line);
  for (int64_t k = 0; k < k_count; k += RK_LANES) {
    rk_mask mask = rk_first(rk_min64(RK_LANES, k_count - k));
    rk_vector half[18];
    for (int j = 0; j < 6; j++) {
      rk_vector t[6];
      for (int i = 0; i < 6; i++) {
        const float *sum = sums + (i * 6 + j) * plane + c * winograd->k_line + k;
        t[i] = rk_load(sum);
        for (int64_t piece = 1; piece < pieces; piece++) t[i] = rk_add(t[i], rk_load(sum + piece * piece_step));
      }
      weight_gradient_line(t, half + j, 6);
    }
    for (int i = 0; i < 3; i++) {
      rk_vector g[3];
      weight_gradient_line(half + i * 6, g, 1);
      for (int j = 0; j < 3; j++) rk_store_first(dweight + ((i * 3 + j) * c_count + c) * k_count + k, mask, g[j]);
    }
  }
}

/* ---- The table ---- */

static void source_2(const rk_winograd *winograd, const float *src, const float *zeros, int64_t begin, int64_t end, float *lines,
                     int64_t plane) {
  source_tiles(winograd, src, zeros, begin, end, lines, plane, 2);
}
static void source_4(const rk_winograd *winograd, const float *src, const float *zeros, int64_t begin, int64_t end, float *lines,
                     int64_t plane) {
#ifdef RK_PRODUCT_ROWS_1
  if (winograd->at.c == RK_LANES && winograd->at.src_c == RK_LANES) {
    source_rows(winograd, src, zeros, begin, end, lines, plane);
    return;
  }
#endif
  source_tiles(winograd, src, zeros, begin, end, lines, plane, 4);
}
static void output_2(const rk_winograd *winograd, const rk_winograd_output *output, int64_t begin, int64_t end) {
  if (output->pool) output_tiles(winograd, output, begin, end, 2, 1);
  else output_tiles(winograd, output, begin, end, 2, 0);
}
static void output_4(const rk_winograd *winograd, const rk_winograd_output *output, int64_t begin, int64_t end) {
  if (output->pool) output_tiles(winograd, output, begin, end, 4, 1);
  else output_tiles(winograd, output, begin, end, 4, 0);
}
static void weight_2(const float *weight, int64_t tap_step, int64_t count, int64_t lanes, float *panel, int64_t plane) {
  weight_vectors(weight, tap_step, count, lanes, panel, plane, 2);
}
static void weight_4(const float *weight, int64_t tap_step, int64_t count, int64_t lanes, float *panel, int64_t plane) {
  weight_vectors(weight, tap_step, count, lanes, panel, plane, 4);
}

const rk_winograd_transforms RK_WINOGRAD = {
    .source = {source_2, source_4},
    .output = {output_2, output_4},
    .weight = {weight_2, weight_4},
    .gradient = gradient_tiles,
    .weight_gradient = weight_gradient,
#ifdef RK_PRODUCT_ROWS_1
    .products = {products_1, products_2},
    .product_rows = {RK_PRODUCT_ROWS_1, RK_PRODUCT_ROWS_2},
#endif
};
