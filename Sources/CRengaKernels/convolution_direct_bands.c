/* convolution_direct_bands.c: bands of the direct algorithm: lists of tiles, and the copies of their operands that some layouts need.
 * Not here: which layout and how large (convolution_direct_plan.c), what is done with a band (convolution_direct.c). */
#include "convolution_direct.h"
#include <string.h>

/* Cuts `pixels` operands at src, `step` floats apart, into tiles of nearly equal height. dst: offset of the first pixel. */
static void place_pixels(const rk_direct *direct, const float *src, int64_t step, int64_t pixels, int64_t dst, rk_direct_band *band) {
  int64_t tiles = rk_div_up(pixels, direct->kernels->tile_rows), first = 0;
  for (int64_t i = 0; i < tiles; i++) {
    int64_t rows = pixels / tiles + (i < pixels % tiles), half = (rows + 1) / 2, pixel = direct->at.dst_pixel;
    band->tiles[band->count++] = (rk_direct_place){.src = src + first * step,
                                                   .src2 = src + (first + half) * step,
                                                   .dst = dst + first * pixel,
                                                   .dst2 = dst + (first + half) * pixel,
                                                   .rows = (int32_t)rows};
    first += rows;
  }
}

/* One padded source row of one group: copy_w pixels. */
static void copy_row(const rk_direct *direct, const float *src, int64_t n, int64_t h, int64_t group, float *dst) {
  const rk_correlation *at = &direct->at;
  int64_t c = at->c, width = direct->copy_w;
  if (h < 0 || h >= at->src_h) {
    memset(dst, 0, (size_t)(width * c) * sizeof(float));
    return;
  }
  int64_t first = rk_min64(rk_max64(-at->offset_w, 0), width), end = rk_max64(rk_min64(at->src_w - at->offset_w, width), first);
  memset(dst, 0, (size_t)(first * c) * sizeof(float));
  memset(dst + end * c, 0, (size_t)((width - end) * c) * sizeof(float));
  if (end == first) return;
  const float *row = src + ((n * at->src_h + h) * at->src_w + first + at->offset_w) * at->src_c + group * c;
  if (c == at->src_c) memcpy(dst + first * c, row, (size_t)((end - first) * c) * sizeof(float));
  else
    for (int64_t x = first; x < end; x++, row += at->src_c) memcpy(dst + x * c, row, (size_t)c * sizeof(float));
}

/* Whether the operands of units [begin, end) have yet to be copied; they are noted as copied. */
static int must_copy(rk_direct_run *run, int64_t begin, int64_t end, int64_t group) {
  if (run->copied_unit == begin && run->copied_end == end && run->copied_group == group) return 0;
  run->copied_unit = begin, run->copied_end = end, run->copied_group = group;
  return 1;
}

static void copy_patch(const rk_direct *direct, const float *src, int64_t n, int64_t y, int64_t x, int64_t group, float *dst) {
  const rk_correlation *at = &direct->at;
  for (int64_t i = 0; i < at->taps_h; i++)
    for (int64_t j = 0; j < at->taps_w; j++, dst += at->c) {
      int64_t h = y * at->stride_h + i * at->dilation_h + at->offset_h, w = x * at->stride_w + j * at->dilation_w + at->offset_w;
      if (h < 0 || h >= at->src_h || w < 0 || w >= at->src_w) memset(dst, 0, (size_t)at->c * sizeof(float));
      else memcpy(dst, src + ((n * at->src_h + h) * at->src_w + w) * at->src_c + group * at->c, (size_t)at->c * sizeof(float));
    }
}

static void band_of_patches(const rk_direct *direct, rk_direct_run *run, int64_t begin, int64_t end, int64_t group, rk_direct_band *band) {
  const rk_correlation *at = &direct->at;
  int64_t contiguous = at->dst_row == at->out_w * at->dst_pixel && at->dst_image == at->out_h * at->dst_row;
  const int must = must_copy(run, begin, end, group);
  for (int64_t pixel = begin; pixel < (must ? end : begin); pixel++)
    copy_patch(direct, run->src, pixel / at->out_w / at->out_h, pixel / at->out_w % at->out_h, pixel % at->out_w, group,
               run->scratch + (pixel - begin) * direct->lines);
  if (contiguous) {
    place_pixels(direct, run->scratch, direct->lines, end - begin, at->dst_first + begin * at->dst_pixel, band);
    return;
  }
  for (int64_t pixel = begin; pixel < end;) { /* row by row */
    int64_t x = pixel % at->out_w, row = pixel / at->out_w, count = rk_min64(at->out_w - x, end - pixel);
    place_pixels(direct, run->scratch + (pixel - begin) * direct->lines, direct->lines, count,
                 at->dst_first + row / at->out_h * at->dst_image + row % at->out_h * at->dst_row + x * at->dst_pixel, band);
    pixel += count;
  }
}

void rk_direct_band_of_pixels(const rk_direct *direct, rk_direct_run *run, int64_t begin, int64_t end, int64_t group,
                              rk_direct_band *band) {
  const rk_correlation *at = &direct->at;
  band->count = 0;
  if (direct->layout == RK_DIRECT_PATCHES) {
    band_of_patches(direct, run, begin, end, group, band);
    return;
  }
  const float *src = run->src + begin * at->src_c + group * at->c;
  place_pixels(direct, src, at->src_c, end - begin, at->dst_first + begin * at->dst_pixel, band);
}

const float *rk_direct_source_rows(const rk_direct *direct, rk_direct_run *run, int64_t n, int64_t y, int64_t rows, int64_t group,
                                int64_t *pitch) {
  const rk_correlation *at = &direct->at;
  int64_t h = y * at->stride_h + at->offset_h;
  if (direct->layout == RK_DIRECT_VIEW) {
    *pitch = at->src_w * at->src_c;
    return run->src + (n * at->src_h + h) * *pitch + at->offset_w * at->src_c + group * at->c;
  }
  *pitch = direct->copy_w * at->c;
  int64_t unit = n * at->out_h + y, seen = must_copy(run, unit, unit + rows, group) ? rk_direct_rows_seen(at, rows) : 0;
  for (int64_t i = 0; i < seen; i++) copy_row(direct, run->src, n, h + i, group, run->scratch + i * *pitch);
  return run->scratch;
}

void rk_direct_band_of_rows(const rk_direct *direct, const float *src, int64_t pitch, int64_t rows, int64_t x, int64_t count, int64_t dst,
                         rk_direct_band *band) {
  const rk_correlation *at = &direct->at;
  int64_t pixel = (direct->layout == RK_DIRECT_VIEW ? at->src_c : at->c) * at->stride_w, step = pitch * at->stride_h;
  band->count = 0;
  src += x * pixel;
  dst += x * at->dst_pixel;
  for (int64_t i = 0; i < rows; i++, src += step, dst += at->dst_row) {
    if (direct->rows_per_tile == 2 && i + 1 < rows) {
      band->tiles[band->count++] =
          (rk_direct_place){.src = src, .src2 = src + step, .dst = dst, .dst2 = dst + at->dst_row, .rows = (int32_t)(2 * at->out_w)};
      i++, src += step, dst += at->dst_row;
    } else {
      place_pixels(direct, src, pixel, count, dst, band);
    }
  }
}
