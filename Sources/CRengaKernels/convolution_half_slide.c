/* convolution_half_slide.c: bands of a convolution of bf16 maps by filters of three rows: the copy of the map lies in planes of 32
 * channels, and tiles of pixels below each other share what they read of it. Not here: planning (convolution_half_plan.c), threads
 * (convolution_half.c), the products (x86/avx512/convolution_half.c).
 *
 * Against tiles beside each other on a copy of whole pixels: 9 instead of 12 loads of tiles for 12 products, every load from 16
 * neighbouring cache lines, and what a plane's taps read again is still in the nearest cache however many channels there are. */
#include "convolution_half_internal.h"
#include <string.h>

int rk_half_slides(const rk_conv_plan *plan, const rk_correlation *at) {
  return rk_half_kernels_of(plan->isa)->slide && at->taps_h == 3 && at->taps_w > 0 && at->stride_h == 1 && at->stride_w == 1 &&
         at->dilation_h == 1 && at->c % RK_HALF_STEP == 0;
}

/* One padded source row of one group in planes of 32 channels, plane_bytes apart. */
static void copy_row_in_planes(const half *half, const uint16_t *src, int64_t n, int64_t h, int64_t group, char *dst, int64_t plane_bytes) {
  const rk_correlation *at = &half->at;
  enum { STEP_BYTES = 2 * RK_HALF_STEP };
  int64_t first = 0, end = 0;
  if (h >= 0 && h < at->src_h) rk_half_pixels_inside(half, &first, &end);
  const uint16_t *pixels = src + ((n * at->src_h + h) * at->src_w + first + at->offset_w) * at->src_c + group * at->c;
  for (int64_t plane = 0; plane < half->steps; plane++, dst += plane_bytes) {
    memset(dst, 0, (size_t)(first * STEP_BYTES));
    if (first < end) half->kernels->plane(pixels + plane * RK_HALF_STEP, at->src_c, end - first, (uint16_t *)dst + first * RK_HALF_STEP);
    memset(dst + end * STEP_BYTES, 0, (size_t)((half->copy_w - end) * STEP_BYTES));
  }
}

/* One padded source row of pixels of 16 channels; whether one of its numbers is infinite or NaN. */
static int copy_row_of_pairs(const half *half, const uint16_t *src, int64_t n, int64_t h, uint16_t *dst) {
  enum { C = RK_HALF_LANES };
  const rk_correlation *at = &half->at;
  const int64_t width = 2 * half->copy_w, first = rk_min64(rk_max64(-at->offset_w, 0), width);
  const int64_t end = h < 0 || h >= at->src_h ? first : rk_max64(rk_min64(at->src_w - at->offset_w, width), first);
  memset(dst, 0, (size_t)(first * C) * sizeof *dst);
  memset(dst + end * C, 0, (size_t)((width - end) * C) * sizeof *dst);
  if (end == first) return 0;
  return half->kernels->copy(src + ((n * at->src_h + h) * at->src_w + first + at->offset_w) * C, (end - first) * C, dst + first * C);
}

/* The operands of the rows [0, tiles + 2) of a block whose pairs hold infinite numbers or NaNs, for the first or second outputs of pairs: a
 * plane for each tap, with zeros in place of the pixels that these outputs do not see. */
static rk_half_slide without_unseen(const half *half, rk_half_slide slide, int second, uint16_t *cut) {
  enum { ROW = RK_HALF_ROWS * RK_HALF_STEP, PLANE = (RK_HALF_TILES + 2) * ROW };
  for (int64_t tap = 0; tap < 2; tap++)
    for (int64_t i = 0; i < slide.tiles + 2; i++)
      for (int64_t x = 0; x < half->rows; x++) {
        uint16_t *to = cut + tap * PLANE + i * ROW + x * RK_HALF_STEP;
        memcpy(to, slide.src + i * slide.src_row + (x + tap) * 2 * RK_HALF_STEP, 2 * RK_HALF_STEP);
        if (tap != second) memset(to + (second ? 0 : RK_HALF_LANES), 0, RK_HALF_STEP);
      }
  slide.src = (const char *)cut;
  slide.src_row = 2 * ROW;
  slide.src_plane = 2 * PLANE;
  slide.planes = 2;
  slide.taps = 1;
  return slide;
}

typedef struct slide_block {
  const float *sums;
  int64_t y, x; /* within the band's rows; the first pixel of a row */
  int32_t tiles;
} slide_block;

/* What the sums of a block become. `finish` is that of the panel, at the band's first pixel of dst (pooled or not) and of add. */
static void finish_block(const half *half, const slide_block *block, rk_half_finish finish) {
  const rk_correlation *at = &half->at;
  const int64_t tile = (int64_t)half->rows * 2 * RK_HALF_LANES, pooled_row = at->out_w / 2 * at->dst_pixel;
  uint16_t *dst = finish.dst;
  const uint16_t *add = finish.add;
  finish.rows = rk_min64(half->rows, at->out_w - block->x);
  for (int32_t i = 0; i < block->tiles; i += half->pools ? 2 : 1) {
    const int64_t y = block->y + i, offset = y * at->dst_row + block->x * at->dst_pixel;
    finish.sums = block->sums + i * tile;
    finish.add = rk_half_add_at(&finish, add, offset);
    finish.dst = dst + (half->pools ? y / 2 * pooled_row + block->x / 2 * at->dst_pixel : offset);
    if (half->pools) half->kernels->finish_pooled(&finish, tile);
    else half->kernels->finish(&finish);
  }
}

/* The next panel's weights are asked for while this one's are multiplied: those of large layers come from memory. */
static void ask_ahead(const half *half, int64_t panel, int64_t block, int64_t blocks, rk_half_slide *slide) {
  enum { LINE = 64, PANEL_LINES = RK_HALF_PANEL * 2 / LINE };
  const int64_t taps = slide->planes * slide->taps, vectors = rk_div_up(half->at.k, RK_HALF_LANES);
  const int64_t lines = rk_div_up(3 * PANEL_LINES, blocks), left = (vectors - 2 * (panel + 1)) * half->lines * PANEL_LINES;
  const int64_t first = block * taps * lines;
  slide->ahead_lines = first + taps * lines <= rk_min64(left, half->lines * PANEL_LINES) ? (int32_t)lines : 0;
  slide->ahead = (const char *)(slide->panel + 2 * half->lines * RK_HALF_PANEL) + first * LINE;
}

/* A block's sums are finished while the next one's products are under way. */
void rk_half_slide_band(const half *half, half_run *run, int64_t n, int64_t y, int64_t rows, int64_t group) {
  const rk_correlation *at = &half->at;
  const int64_t row_bytes = half->copy_w * 2 * RK_HALF_STEP, plane_bytes = rk_half_rows_seen(at, rows) * row_bytes, group_k = group * at->k;
  const int64_t unit = n * at->out_h + y, columns = rk_div_up(at->out_w, half->rows);
  const int64_t blocks = rk_div_up(rows, RK_HALF_TILES) * columns;
  float sums[2][RK_HALF_TILES * RK_HALF_ROWS * 2 * RK_HALF_LANES] __attribute__((aligned(64)));
  uint16_t cut[2 * (RK_HALF_TILES + 2) * RK_HALF_ROWS * RK_HALF_STEP] __attribute__((aligned(64)));
  if (run->copied_unit != unit || run->copied_rows != rows || run->copied_group != group) {
    run->copied_wild = 0;
    for (int64_t i = 0; i < rk_half_rows_seen(at, rows); i++)
      if (half->paired)
        run->copied_wild |= copy_row_of_pairs(half, run->src, n, y + at->offset_h + i, (uint16_t *)(run->scratch + i * row_bytes));
      else copy_row_in_planes(half, run->src, n, y + at->offset_h + i, group, run->scratch + i * row_bytes, plane_bytes);
    run->copied_unit = unit, run->copied_rows = rows, run->copied_group = group;
  }
  const int64_t first = at->dst_first + n * at->dst_image + y * at->dst_row + group_k;
  const int64_t pooled_first = (n * (at->out_h / 2) + y / 2) * (at->out_w / 2) * at->dst_pixel + group_k;
  rk_half_slide slide = {.src_row = row_bytes,
                         .src_plane = plane_bytes,
                         .planes = half->steps,
                         .taps = at->taps_w,
                         .tap_step = at->dilation_w * 2 * RK_HALF_STEP};
  for (int64_t panel = run->panel_begin; panel < run->panel_end; panel++) {
    const int64_t k = panel * 2 * RK_HALF_LANES, lanes = rk_min64(2 * RK_HALF_LANES, at->k - k);
    rk_half_finish finish = {.dst_row = at->dst_pixel,
                             .add_row = at->dst_row,
                             .activation = run->activation,
                             .lanes = (int32_t)lanes,
                             .vectors = 2,
                             .paired = half->paired,
                             .stream = run->stream && lanes == 2 * RK_HALF_LANES,
                             .bias = run->bias ? run->bias + group_k + k : NULL,
                             .slope = rk_conv_slope(run->activation, run->slope, group_k + k),
                             .dst = run->dst + (half->pools ? pooled_first : first) + k};
    rk_half_set_add(half, run, group_k + k, first - group_k, &finish);
    const uint16_t *weights = (const uint16_t *)(run->packed + group * rk_half_group_floats(half) + panel * half->lines * RK_HALF_PANEL);
    slide_block before = {.tiles = 0};
    for (int64_t i = 0; i < blocks; i++) {
      const slide_block block = {.sums = sums[i % 2],
                                 .y = i / columns * RK_HALF_TILES,
                                 .x = i % columns * half->rows,
                                 .tiles = (int32_t)rk_min64(RK_HALF_TILES, rows - i / columns * RK_HALF_TILES)};
      slide.src = run->scratch + block.y * row_bytes + block.x * 2 * RK_HALF_STEP;
      slide.tiles = block.tiles;
      for (int64_t v = 0; v * RK_HALF_LANES < lanes; v++) {
        slide.panel = weights + v * half->lines * RK_HALF_PANEL;
        slide.sums = sums[i % 2] + v * RK_HALF_LANES;
        ask_ahead(half, panel, i, blocks, &slide);
        if (half->paired && run->copied_wild) {
          const rk_half_slide seen = without_unseen(half, slide, v > 0, cut);
          half->kernels->slide(&seen, half->rows);
          continue;
        }
        half->kernels->slide(&slide, half->rows);
      }
      finish_block(half, &before, finish);
      before = block;
    }
    finish_block(half, &before, finish);
  }
}
