/* convolution_direct_plan.c: plans of the direct algorithm: where a correlation's operands are read, how large a thread's bands are.
 * Not here: what is multiplied (convolution_correlation.c), how a band is made (convolution_direct_bands.c). */
#include "convolution_direct.h"

/* Floats of operands that a band aims at: half of a 2 MB L2 where the weights go by in segments, else less. */
#define BAND_FLOATS (96 * 1024)
#define LARGE_BAND_FLOATS (256 * 1024)
/* A panel of more than WHOLE_LINES lines goes by in segments of SEGMENT_LINES, 32 KB of weights: each stays in the first-level cache while
 * all tiles of a band take it (1024 channels on 14x14: 1.3 times as fast as whole panels from L2). */
#define WHOLE_LINES 512
#define SEGMENT_LINES 256
/* Runs shorter than this would spend their time with loading and storing sums. */
#define LEAST_RUN 128

static int taps_stay_inside(int64_t out, int64_t taps, int64_t stride, int64_t dilation, int64_t offset, int64_t size) {
  return offset >= 0 && (out - 1) * stride + (taps - 1) * dilation + offset < size;
}

static int is_matrix(const rk_correlation *at) {
  return at->taps_h * at->taps_w == 1 && at->stride_h == 1 && at->stride_w == 1 && at->offset_h == 0 && at->offset_w == 0 &&
         at->out_h == at->src_h && at->out_w == at->src_w && at->dst_row == at->out_w * at->dst_pixel &&
         at->dst_image == at->out_h * at->dst_row;
}

static rk_direct_layout layout_of(const rk_correlation *at) {
  if (is_matrix(at)) return RK_DIRECT_MATRIX;
  if (at->out_w < 4) return RK_DIRECT_PATCHES;
  if (taps_stay_inside(at->out_h, at->taps_h, at->stride_h, at->dilation_h, at->offset_h, at->src_h) &&
      taps_stay_inside(at->out_w, at->taps_w, at->stride_w, at->dilation_w, at->offset_w, at->src_w))
    return RK_DIRECT_VIEW;
  return RK_DIRECT_ROWS;
}

void rk_direct_address(const rk_direct *direct, rk_conv_tile *tile) {
  const rk_correlation *at = &direct->at;
  tile->dst_row = at->dst_pixel;
  tile->outer = tile->inner = 1;
  tile->run = direct->lines;
  if (direct->layout == RK_DIRECT_PATCHES) {
    tile->src_row = direct->lines;
    return;
  }
  int64_t pixel = direct->layout == RK_DIRECT_ROWS ? at->c : at->src_c;
  int64_t width = direct->layout == RK_DIRECT_ROWS ? direct->copy_w : at->src_w;
  tile->src_row = pixel * at->stride_w;
  tile->outer = at->taps_h;
  tile->outer_step = at->dilation_h * width * pixel;
  tile->inner = at->taps_w;
  tile->inner_step = at->dilation_w * pixel;
  tile->run = at->c;
  if (at->dilation_w == 1 && pixel == at->c) tile->inner = 1, tile->run = at->taps_w * at->c;
}

int rk_direct_prepare(const rk_conv_plan *plan, int64_t phase, rk_direct *direct) {
  rk_conv_correlation(plan, phase, &direct->at);
  const rk_correlation *at = &direct->at;
  const rk_conv_kernels *kernels = direct->kernels = rk_conv_kernels_of(plan->isa);
  direct->layout = layout_of(at);
  direct->lines = at->taps_h * at->taps_w * at->c;
  direct->panels = rk_div_up(at->k, kernels->lanes * RK_CONV_MOST_VECTORS);
  direct->rows_per_tile = 1;
  direct->band_floats = 0;
  rk_conv_tile tile;
  rk_direct_address(direct, &tile);
  direct->segments = direct->lines > WHOLE_LINES && tile.run >= LEAST_RUN ? rk_div_up(tile.run, SEGMENT_LINES) : 0;
  const int64_t most_floats = direct->segments > 0 ? LARGE_BAND_FLOATS : BAND_FLOATS;
  direct->units = at->n * at->out_h * at->out_w;
  if (direct->lines == 0 || direct->units == 0) return 0;
  const int64_t matrix_pixels = (int64_t)kernels->tile_rows * (RK_DIRECT_MOST_TILES / 2);
  const int64_t most_pixels = direct->layout == RK_DIRECT_MATRIX ? matrix_pixels : RK_DIRECT_MOST_TILES;
  if (direct->layout == RK_DIRECT_MATRIX || direct->layout == RK_DIRECT_PATCHES) {
    direct->band_units = rk_min64(rk_max64(most_floats / direct->lines, kernels->tile_rows), most_pixels);
    if (direct->layout == RK_DIRECT_PATCHES) direct->band_floats = rk_min64(direct->band_units, direct->units) * direct->lines;
    return direct->band_floats > RK_CONV_MOST_FLOATS ? -1 : 0;
  }
  direct->units = at->n * at->out_h;
  direct->copy_w = (at->out_w - 1) * at->stride_w + (at->taps_w - 1) * at->dilation_w + 1;
  if (kernels->tile_rows >= 8 && 2 * at->out_w >= 8 && 2 * at->out_w <= kernels->tile_rows) direct->rows_per_tile = 2;
  int64_t row[] = {direct->copy_w, at->c}, row_floats = rk_conv_addressable(row, 2), halo = rk_direct_rows_seen(at, 1) - at->stride_h;
  int64_t tiles_per_row = rk_min64(rk_div_up(at->out_w, kernels->tile_rows), RK_DIRECT_MOST_TILES / 2);
  direct->band_w = tiles_per_row * kernels->tile_rows;
  int64_t rows = rk_min64((most_floats / rk_max64(row_floats, 1) - halo) / at->stride_h, RK_DIRECT_MOST_TILES / tiles_per_row);
  direct->band_units = rk_min64(rk_max64(rows, 2), at->out_h);
  if (row_floats == 0) return -1;
  int64_t factors[] = {rk_direct_rows_seen(at, direct->band_units), direct->copy_w, at->c};
  if (direct->layout == RK_DIRECT_ROWS) direct->band_floats = rk_conv_addressable(factors, 3);
  return direct->layout == RK_DIRECT_ROWS && direct->band_floats == 0 ? -1 : 0;
}

int rk_conv_direct_plan(rk_conv_plan *plan) {
  if (plan->isa == RK_ISA_REFERENCE) return -1;
  if (plan->pass == RK_CONV_BACKWARD_WEIGHT) return rk_conv_direct_backward_weight_plan(plan);
  const rk_conv_shape *shape = &plan->shape;
  if (plan->pass == RK_CONV_BACKWARD_DATA && (shape->stride_h > RK_CONV_MOST_STRIDE || shape->stride_w > RK_CONV_MOST_STRIDE)) return -1;
  int64_t packed = rk_conv_packed_floats(plan), most = 0;
  for (int64_t phase = 0; phase < rk_conv_phases(plan); phase++) {
    rk_direct direct;
    if (packed < 0 || rk_direct_prepare(plan, phase, &direct) != 0) return -1;
    most = rk_max64(most, direct.band_floats);
  }
  plan->block[0] = rk_div_up(most, 16) * 16;
  plan->packed_floats = (size_t)packed;
  plan->scratch_floats = (size_t)plan->block[0] * (size_t)plan->threads;
  return 0;
}
