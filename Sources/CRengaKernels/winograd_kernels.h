/* winograd_kernels.h: Winograd's transforms, written once over the vector layer and compiled once per instruction set.
 * The includer has included its vector.h and defined RK_WINOGRAD (the name of the table). Parts of it: winograd_rows.h (a row of tiles at a
 * time), winograd_outputs.h, winograd_gradients.h, winograd_products.h. Not here: who calls them (winograd.c). */
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

#include "winograd_outputs.h"

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

#include "winograd_gradients.h"

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
