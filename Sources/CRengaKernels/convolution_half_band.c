/* convolution_half_band.c: one band of a convolution of bf16 maps: padded source rows are copied into the thread's scratch (pixels of 1x1
 * filters are read in place), the band is cut into tiles of pixels, and panel after panel of outputs goes through all tiles.
 * Not here: which bands there are (convolution_half.c), bands of filters that slide (convolution_half_slide.c), the products. */
#include "convolution_half_internal.h"
#include <string.h>

typedef struct tile_place {
  const char *src;
  int64_t first; /* the first pixel: within the band where flat, else its offset in dst */
  int32_t rows;
  int wild; /* what lies behind the ends of its runs may be infinite or NaN: zeros of the panel times that were NaN */
} tile_place;

typedef struct band {
  tile_place tiles[RK_HALF_MOST_TILES];
  int64_t count, rows, dst; /* flat: rows of the band, where the first begins */
} band;

/* ---- Operands ---- */

/* One padded source row of one group: copy_w pixels. Where there is a tail: whether one of their numbers is infinite or NaN. */
static int copy_row(const half *half, const uint16_t *src, int64_t n, int64_t h, int64_t group, uint16_t *dst) {
  const rk_correlation *at = &half->at;
  const int64_t c = at->c, width = half->copy_w;
  if (h < 0 || h >= at->src_h) {
    memset(dst, 0, (size_t)(width * c) * sizeof *dst);
    return 0;
  }
  int64_t first, end;
  rk_half_pixels_inside(half, &first, &end);
  memset(dst, 0, (size_t)(first * c) * sizeof *dst);
  memset(dst + end * c, 0, (size_t)((width - end) * c) * sizeof *dst);
  if (end == first) return 0;
  const uint16_t *row = src + ((n * at->src_h + h) * at->src_w + first + at->offset_w) * at->src_c + group * c;
  const int64_t count = c == at->src_c ? (end - first) * c : c;
  int wild = 0;
  for (int64_t done = first * c; done < end * c; done += count, row += at->src_c)
    if (half->tail) wild |= half->kernels->copy(row, count, dst + done);
    else memcpy(dst + done, row, (size_t)count * sizeof *dst);
  return wild;
}

/* Output rows [y, y + rows) of image n: copies their operands, places their tiles. */
static void place_rows(const half *half, half_run *run, int64_t n, int64_t y, int64_t rows, int64_t group, band *band) {
  const rk_correlation *at = &half->at;
  const int64_t row_bytes = half->copy_w * at->c * 2, seen = rk_half_rows_seen(at, rows), pixel = 2 * at->c * at->stride_w;
  const int64_t first = y * at->stride_h + at->offset_h, unit = n * at->out_h + y;
  if (run->copied_unit != unit || run->copied_rows != rows || run->copied_group != group) {
    run->copied_wild = 0;
    for (int64_t i = 0; i < seen; i++)
      run->copied_wild |= copy_row(half, run->src, n, first + i, group, (uint16_t *)(run->scratch + i * row_bytes));
    memset(run->scratch + seen * row_bytes, 0, RK_HALF_SLACK_BYTES);
    run->copied_unit = unit, run->copied_rows = rows, run->copied_group = group;
  }
  band->count = 0;
  band->rows = rows;
  band->dst = at->dst_first + n * at->dst_image + y * at->dst_row;
  if (half->flat) {
    const int64_t pixels = (rows - 1) * half->copy_w + at->out_w;
    for (int64_t f = 0; f < pixels; f += RK_HALF_ROWS)
      band->tiles[band->count++] =
          (tile_place){run->scratch + f * pixel, f, (int32_t)rk_min64(RK_HALF_ROWS, pixels - f), run->copied_wild};
    return;
  }
  for (int64_t i = 0; i < rows; i++)
    for (int64_t x = 0; x < at->out_w; x += half->rows)
      band->tiles[band->count++] = (tile_place){run->scratch + i * at->stride_h * row_bytes + x * pixel,
                                                band->dst + i * at->dst_row + x * at->dst_pixel,
                                                (int32_t)rk_min64(half->rows, at->out_w - x), run->copied_wild};
}

/* Pixels [begin, end) of a matrix. */
static void place_pixels(const half *half, const half_run *run, int64_t begin, int64_t end, int64_t group, band *band) {
  const rk_correlation *at = &half->at;
  char *copy = run->scratch;
  band->count = 0;
  for (int64_t pixel = begin; pixel < end; pixel += RK_HALF_ROWS) {
    const int64_t rows = rk_min64(RK_HALF_ROWS, end - pixel);
    const uint16_t *src = run->src + pixel * at->src_c + group * at->c;
    if ((pixel + RK_HALF_ROWS) * at->src_c + RK_HALF_STEP > half->units * at->src_c) {
      memset(copy, 0, (size_t)rk_half_copied_bytes(at));
      memcpy(copy, src, (size_t)((rows - 1) * at->src_c + at->c) * sizeof *src);
      src = (const uint16_t *)copy;
      copy += rk_half_copied_bytes(at);
    }
    const int wild = half->tail && half->kernels->wild(src + at->c, at->src_c, rows, RK_HALF_STEP - half->tail);
    band->tiles[band->count++] = (tile_place){(const char *)src, at->dst_first + pixel * at->dst_pixel, (int32_t)rows, wild};
  }
}

/* ---- Products ---- */

void rk_half_set_add(const half *half, const half_run *run, int64_t k, int64_t offset, rk_half_finish *finish) {
  finish->add_pixel = run->add_c > 0 ? run->add_c : half->at.dst_pixel;
  finish->add_lanes = (int32_t)(run->add_c > 0 ? rk_min64(finish->lanes, run->add_c - k) : finish->lanes);
  finish->add = run->add && finish->add_lanes > 0 ? rk_half_add_at(finish, run->add + k, offset) : NULL;
}

/* The rows of one tile that are pixels: all of them in one go, or, where flat, a part for each output row. */
static void finish_tile(const half *half, const tile_place *place, const band *band, rk_half_finish finish) {
  const rk_correlation *at = &half->at;
  const float *sums = finish.sums;
  const uint16_t *add = finish.add;
  uint16_t *dst = finish.dst;
  finish.rows = place->rows;
  if (!half->flat) {
    finish.dst = dst + place->first;
    finish.add = rk_half_add_at(&finish, add, place->first);
    half->kernels->finish(&finish);
    return;
  }
  for (int64_t done = 0; done < place->rows;) {
    const int64_t pixel = place->first + done, y = pixel / half->copy_w, x = pixel % half->copy_w;
    const int64_t left = rk_min64(place->rows - done, half->copy_w - x), offset = band->dst + y * at->dst_row + x * at->dst_pixel;
    finish.rows = rk_min64(left, at->out_w - x);
    finish.sums = sums + done * RK_HALF_LANES * finish.vectors;
    finish.dst = dst + offset;
    finish.add = rk_half_add_at(&finish, add, offset);
    if (finish.rows > 0) half->kernels->finish(&finish);
    done += left;
  }
}

/* Tiles [begin, end) of a band, whose sums are there. */
static void finish_tiles(const half *half, const band *band, int64_t begin, int64_t end, const float *sums, rk_half_finish finish) {
  for (int64_t i = begin; i < end; i++) {
    finish.sums = sums + (i - begin) * half->rows * RK_HALF_LANES * finish.vectors;
    finish_tile(half, &band->tiles[i], band, finish);
  }
}

/* All tiles of a band by the panels of this thread's share. */
static void run_band(const half *half, const half_run *run, int64_t group, const band *band) {
  const rk_correlation *at = &half->at;
  const int64_t pixel = half->in_place ? at->src_c : at->c, group_k = group * at->k;
  float sums[2][RK_HALF_TILES * RK_HALF_ROWS * RK_HALF_LANES] __attribute__((aligned(64)));
  rk_half_block block = {.src_row = 2 * pixel * at->stride_w,
                         .outer = at->taps_h,
                         .outer_step = at->dilation_h * half->copy_w * at->c * 2,
                         .inner = half->inner,
                         .inner_step = at->dilation_w * at->c * 2,
                         .steps = half->steps};
  const float *packed = run->packed + group * rk_half_group_floats(half);
  for (int64_t panel = run->panel_begin; panel < run->panel_end; panel++) {
    const int64_t k = panel * 2 * RK_HALF_LANES, lanes = rk_min64(2 * RK_HALF_LANES, at->k - k);
    block.vectors = lanes > RK_HALF_LANES ? 2 : 1;
    block.panel = (const uint16_t *)(packed + 2 * panel * half->lines * (RK_HALF_PANEL / 2));
    rk_half_finish finish = {.dst_row = at->dst_pixel,
                             .activation = run->activation,
                             .lanes = (int32_t)lanes,
                             .vectors = block.vectors,
                             .stream = run->stream && lanes == 2 * RK_HALF_LANES};
    finish.bias = run->bias ? run->bias + group_k + k : NULL;
    finish.slope = rk_conv_slope(run->activation, run->slope, group_k + k);
    finish.dst = run->dst + group_k + k;
    rk_half_set_add(half, run, group_k + k, 0, &finish);
    const int64_t at_once = RK_HALF_TILES / block.vectors;
    int64_t before = 0; /* tiles whose sums are finished while the next block's products are under way */
    for (int64_t i = 0; i < band->count; i += at_once) {
      block.tiles = (int32_t)rk_min64(at_once, band->count - i);
      block.sums = sums[i / at_once % 2];
      block.tail = 0;
      for (int32_t tile = 0; tile < block.tiles; tile++) {
        block.src[tile] = band->tiles[i + tile].src;
        if (band->tiles[i + tile].wild) block.tail = half->tail;
      }
      half->kernels->block(&block, half->rows);
      finish_tiles(half, band, before, i, sums[(i / at_once + 1) % 2], finish);
      before = i;
    }
    finish_tiles(half, band, before, band->count, block.sums, finish);
  }
}

void rk_half_band_of_rows(const half *half, half_run *run, int64_t n, int64_t y, int64_t rows, int64_t group) {
  band band;
  place_rows(half, run, n, y, rows, group, &band);
  run_band(half, run, group, &band);
}

void rk_half_band_of_pixels(const half *half, const half_run *run, int64_t begin, int64_t end, int64_t group) {
  band band;
  place_pixels(half, run, begin, end, group, &band);
  run_band(half, run, group, &band);
}
