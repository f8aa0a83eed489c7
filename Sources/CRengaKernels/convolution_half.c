/* convolution_half.c: forward and backward-data of bf16 maps as an implicit product of bf16 operands with packed bf16 panels, summed in
 * f32. Not here: what is multiplied (convolution_correlation.c), the products (x86/avx512/convolution_half.c), backward-weight.
 *
 * A filter row's taps of one pixel are one run of taps_w C numbers, cut into steps of 32; so neither odd channel counts nor small ones
 * waste more than the last step of a run. A thread works band by band: it copies padded source rows into its scratch (pixels of 1x1
 * filters are read in place), cuts the band into tiles of pixels, and takes panel after panel of outputs through all tiles. Where a filter
 * has three rows and channels come in whole steps, the copy is in planes of 32 channels, and tiles below each other share their operands
 * (rk_half_slide). No output's sum depends on bands or threads. */
#include "convolution_half_internal.h"
#include "element.h"
#include <string.h>

/* Most tiles of a band; bytes of operands that a band aims at: the rest of a 2 MB L2 is for the panels. */
#define MOST_TILES 512
#define BAND_BYTES (384 * 1024)
/* The same where the weights are more than all operands: then threads share the panels, and all operands had better be copied once. */
#define LARGE_BAND_BYTES (960 * 1024)
/* Bytes behind a band that the last rows of its last tile may read: zeros, so that zeros of the panel times them are zeros. */
#define SLACK_BYTES 64
/* Time of a tile of so few rows does not fall further: products wait for the sums of the step before. */
#define LEAST_ROWS 12

typedef struct tile_place {
  const char *src;
  int64_t first; /* the first pixel: within the band where flat, else its offset in dst */
  int32_t rows;
} tile_place;

typedef struct band {
  tile_place tiles[MOST_TILES];
  int64_t count, rows, dst; /* flat: rows of the band, where the first begins */
} band;

const rk_half_kernels *rk_half_kernels_of(rk_isa isa) {
#if defined(__x86_64__)
  extern const rk_half_kernels rk_half_kernels_amx, rk_half_kernels_avx512_bf16;
  if (isa == RK_ISA_AMX) return &rk_half_kernels_amx;
  if (isa == RK_ISA_AVX512_BF16) return &rk_half_kernels_avx512_bf16;
#endif
  (void)isa;
  return NULL;
}

/* ---- Planning ---- */

static int is_matrix(const rk_correlation *at) {
  return at->taps_h * at->taps_w == 1 && at->stride_h == 1 && at->stride_w == 1 && at->offset_h == 0 && at->offset_w == 0 &&
         at->out_h == at->src_h && at->out_w == at->src_w && at->dst_row == at->out_w * at->dst_pixel &&
         at->dst_image == at->out_h * at->dst_row;
}

/* Which tiles cover the rows in the least time. */
static void choose_tiles(half *half) {
  const rk_correlation *at = &half->at;
  const int64_t tiles = rk_div_up(at->out_w, RK_HALF_ROWS), rows = rk_div_up(at->out_w, tiles);
  half->rows = (int32_t)rows;
  half->flat = !half->in_place && !half->slides && at->stride_h == 1 && at->stride_w == 1 &&
               half->copy_w < tiles * rk_max64(rows, LEAST_ROWS);
  if (half->flat || half->in_place) half->rows = RK_HALF_ROWS;
}

/* In place, the last tiles of all pixels are copied, since they read on behind them: so many of them at most, and the bytes of one. */
#define COPIED_TILES 4
static int64_t copied_bytes(const rk_correlation *at) { return rk_div_up(RK_HALF_ROWS * at->src_c * 2 + SLACK_BYTES, 64) * 64; }

/* Whether the weights are more than all operands. */
static int is_heavy(const half *half) {
  const rk_correlation *at = &half->at;
  return half->lines * RK_HALF_STEP * at->k > 2 * at->n * at->src_h * at->src_w * at->c;
}

/* 0, or -1 where a size is not addressable. */
static int prepare(const rk_conv_plan *plan, int64_t phase, half *half) {
  rk_conv_correlation(plan, phase, &half->at);
  const rk_correlation *at = &half->at;
  half->kernels = rk_half_kernels_of(plan->isa);
  half->slides = rk_half_slides(plan, at);
  half->pools = 0;
  half->inner = at->dilation_w == 1 && !half->slides ? 1 : at->taps_w;
  half->run = half->inner == 1 ? at->taps_w * at->c : at->c;
  half->steps = rk_div_up(half->run, RK_HALF_STEP);
  half->lines = at->taps_h * at->taps_w == 0 ? 0 : at->taps_h * half->inner * half->steps;
  half->panels = rk_div_up(at->k, 2 * RK_HALF_LANES);
  half->in_place = is_matrix(at);
  half->units = half->in_place ? at->n * at->out_h * at->out_w : at->n * at->out_h;
  half->copy_w = (at->out_w - 1) * at->stride_w + (at->taps_w - 1) * at->dilation_w + 1;
  half->band_bytes = 0;
  choose_tiles(half);
  if (half->lines == 0 || half->units == 0) return 0;
  const int64_t row[] = {half->copy_w, at->c, 2}, row_bytes = rk_conv_addressable(row, 3);
  const int64_t most_bytes = is_heavy(half) ? LARGE_BAND_BYTES : BAND_BYTES;
  if (row_bytes == 0) return -1;
  if (half->in_place) {
    half->band_units = rk_min64(rk_max64(BAND_BYTES / (2 * at->c) / 64, 1), MOST_TILES / 4) * 64;
    half->band_bytes = COPIED_TILES * copied_bytes(at);
    return 0;
  }
  const int64_t halo = rk_half_rows_seen(at, 1) - at->stride_h, tiles = rk_div_up(half->flat ? half->copy_w : at->out_w, half->rows);
  if (tiles > MOST_TILES / 2) return -1;
  half->band_units = rk_min64(rk_max64((most_bytes / row_bytes - halo) / at->stride_h, 2), rk_min64(MOST_TILES / tiles, at->out_h));
  if (half->slides && half->band_units < at->out_h) half->band_units = rk_max64(half->band_units / RK_HALF_TILES, 1) * RK_HALF_TILES;
  const int64_t band[] = {rk_half_rows_seen(at, half->band_units), row_bytes};
  half->band_bytes = rk_conv_addressable(band, 2);
  if (half->band_bytes == 0) return -1;
  /* A last tile that is not whole reads on for the rows that it lacks. */
  half->band_bytes += RK_HALF_ROWS * 2 * at->c * at->stride_w + SLACK_BYTES;
  return 0;
}

int rk_half_plan(rk_conv_plan *plan) {
  const rk_conv_shape *shape = &plan->shape;
  if (plan->type != RK_BF16 || !rk_half_kernels_of(plan->isa)) return -1;
  if (plan->pass == RK_CONV_BACKWARD_WEIGHT) return rk_half_backward_weight_plan(plan);
  if (plan->pass == RK_CONV_BACKWARD_DATA && (shape->stride_h > RK_CONV_MOST_STRIDE || shape->stride_w > RK_CONV_MOST_STRIDE)) return -1;
  int64_t most = 0, packed = 0;
  for (int64_t phase = 0; phase < rk_conv_phases(plan); phase++) {
    half half;
    if (prepare(plan, phase, &half) != 0) return -1;
    const int64_t sizes[] = {rk_max64(half.lines, 1), rk_div_up(half.at.k, RK_HALF_LANES) * RK_HALF_PANEL, half.at.groups};
    if (rk_conv_addressable(sizes, 3) == 0) return -1;
    packed += half.at.groups * rk_half_group_floats(&half);
    most = rk_max64(most, half.band_bytes);
    plan->pools = plan->pass == RK_CONV_FORWARD && half.slides;
  }
  plan->block[0] = rk_div_up(most, 64) * 16;
  plan->packed_floats = (size_t)packed;
  plan->scratch_floats = (size_t)plan->block[0] * (size_t)plan->threads;
  return 0;
}

/* Few channels a group leave most of every step empty. */
int rk_half_prefers(const rk_conv_plan *plan) {
  return plan->shape.groups == 1 || (plan->shape.c / plan->shape.groups >= 8 && plan->shape.k / plan->shape.groups >= 8);
}

/* ---- Packing ---- */

/* One step of one vector of outputs: [16 pairs][16 outputs][2] from operands [q, q + 32) of tap row i, run j. */
static void pack_step(const rk_conv_pack_args *args, const half *half, int64_t group, int64_t k0, int64_t i, int64_t j, int64_t q0,
                      uint16_t *packed) {
  const rk_conv_shape *shape = &args->plan->shape;
  const rk_correlation *at = &half->at;
  const int forward = args->plan->pass == RK_CONV_FORWARD;
  const int64_t group_c = shape->c / shape->groups, outputs = rk_min64(RK_HALF_LANES, at->k - k0);
  const int64_t output_step = forward ? 1 : shape->k, r = at->tap_r + i * at->tap_r_step;
  const double *scale = args->scale ? args->scale + group * at->k + k0 : NULL;
  memset(packed, 0, RK_HALF_PANEL * sizeof *packed);
  for (int64_t q = q0; q < rk_min64(q0 + RK_HALF_STEP, half->run); q++) {
    const int64_t tap = half->inner > 1 ? j : q / at->c, s = at->tap_s + tap * at->tap_s_step;
    const int64_t first = forward ? (q % at->c) * shape->k + group * at->k + k0 : k0 * shape->k + group * at->c + q % at->c;
    const float *weight = args->weight + (r * shape->s + s) * group_c * shape->k + first;
    uint16_t *to = packed + (q - q0) / 2 * 2 * RK_HALF_LANES + (q - q0) % 2;
    if (scale)
      for (int64_t k = 0; k < outputs; k++) to[2 * k] = rk_bf16_rounded((float)((double)weight[k] * scale[k]));
    else
      for (int64_t k = 0; k < outputs; k++) to[2 * k] = rk_bf16_rounded(weight[k * output_step]);
  }
}

void rk_half_pack(const rk_conv_pack_args *args, const rk_team *team) {
  int64_t packed_first = 0;
  for (int64_t phase = 0; phase < rk_conv_phases(args->plan); phase++) {
    half half;
    if (prepare(args->plan, phase, &half) != 0) return;
    const int64_t vectors = rk_div_up(half.at.k, RK_HALF_LANES);
    int64_t begin, end;
    rk_share(half.at.groups * vectors * half.lines, team, &begin, &end);
    for (int64_t item = begin; item < end; item++) {
      const int64_t line = item % half.lines, vector = item / half.lines % vectors, group = item / half.lines / vectors;
      const int64_t panel = vector / 2, width = rk_min64(2, vectors - 2 * panel);
      const int64_t at = half.slides ? vector * half.lines + line : 2 * panel * half.lines + line * width + vector % 2;
      float *packed = args->packed + packed_first + group * rk_half_group_floats(&half) + at * (RK_HALF_PANEL / 2);
      const int64_t taps = half.at.taps_h, inner = half.inner, steps = half.steps;
      if (half.slides)
        pack_step(args, &half, group, vector * RK_HALF_LANES, line % taps, line / taps % inner, line / taps / inner * RK_HALF_STEP,
                  (uint16_t *)packed);
      else
        pack_step(args, &half, group, vector * RK_HALF_LANES, line / steps / inner, line / steps % inner, line % steps * RK_HALF_STEP,
                  (uint16_t *)packed);
    }
    packed_first += half.at.groups * rk_half_group_floats(&half);
  }
}

/* ---- Bands ---- */

/* One padded source row of one group: copy_w pixels. */
static void copy_row(const half *half, const uint16_t *src, int64_t n, int64_t h, int64_t group, uint16_t *dst) {
  const rk_correlation *at = &half->at;
  const int64_t c = at->c, width = half->copy_w;
  if (h < 0 || h >= at->src_h) {
    memset(dst, 0, (size_t)(width * c) * sizeof *dst);
    return;
  }
  const int64_t first = rk_min64(rk_max64(-at->offset_w, 0), width), end = rk_max64(rk_min64(at->src_w - at->offset_w, width), first);
  memset(dst, 0, (size_t)(first * c) * sizeof *dst);
  memset(dst + end * c, 0, (size_t)((width - end) * c) * sizeof *dst);
  if (end == first) return;
  const uint16_t *row = src + ((n * at->src_h + h) * at->src_w + first + at->offset_w) * at->src_c + group * c;
  if (c == at->src_c) memcpy(dst + first * c, row, (size_t)((end - first) * c) * sizeof *dst);
  else
    for (int64_t x = first; x < end; x++, row += at->src_c) memcpy(dst + x * c, row, (size_t)c * sizeof *dst);
}

/* Output rows [y, y + rows) of image n: copies their operands, places their tiles. */
static void band_of_rows(const half *half, half_run *run, int64_t n, int64_t y, int64_t rows, int64_t group, band *band) {
  const rk_correlation *at = &half->at;
  const int64_t row_bytes = half->copy_w * at->c * 2, seen = rk_half_rows_seen(at, rows), pixel = 2 * at->c * at->stride_w;
  const int64_t first = y * at->stride_h + at->offset_h, unit = n * at->out_h + y;
  if (run->copied_unit != unit || run->copied_rows != rows || run->copied_group != group) {
    for (int64_t i = 0; i < seen; i++) copy_row(half, run->src, n, first + i, group, (uint16_t *)(run->scratch + i * row_bytes));
    memset(run->scratch + seen * row_bytes, 0, SLACK_BYTES);
    run->copied_unit = unit, run->copied_rows = rows, run->copied_group = group;
  }
  band->count = 0;
  band->rows = rows;
  band->dst = at->dst_first + n * at->dst_image + y * at->dst_row;
  if (half->flat) {
    const int64_t pixels = (rows - 1) * half->copy_w + at->out_w;
    for (int64_t f = 0; f < pixels; f += RK_HALF_ROWS)
      band->tiles[band->count++] = (tile_place){run->scratch + f * pixel, f, (int32_t)rk_min64(RK_HALF_ROWS, pixels - f)};
    return;
  }
  for (int64_t i = 0; i < rows; i++)
    for (int64_t x = 0; x < at->out_w; x += half->rows)
      band->tiles[band->count++] = (tile_place){run->scratch + i * at->stride_h * row_bytes + x * pixel,
                                                band->dst + i * at->dst_row + x * at->dst_pixel,
                                                (int32_t)rk_min64(half->rows, at->out_w - x)};
}

/* Pixels [begin, end) of a matrix. */
static void band_of_pixels(const half *half, const half_run *run, int64_t begin, int64_t end, int64_t group, band *band) {
  const rk_correlation *at = &half->at;
  char *copy = run->scratch;
  band->count = 0;
  for (int64_t pixel = begin; pixel < end; pixel += RK_HALF_ROWS) {
    const int64_t rows = rk_min64(RK_HALF_ROWS, end - pixel);
    const uint16_t *src = run->src + pixel * at->src_c + group * at->c;
    if ((pixel + RK_HALF_ROWS) * at->src_c + RK_HALF_STEP > half->units * at->src_c) {
      memset(copy, 0, (size_t)copied_bytes(at));
      memcpy(copy, src, (size_t)((rows - 1) * at->src_c + at->c) * sizeof *src);
      src = (const uint16_t *)copy;
      copy += copied_bytes(at);
    }
    band->tiles[band->count++] = (tile_place){(const char *)src, at->dst_first + pixel * at->dst_pixel, (int32_t)rows};
  }
}

/* ---- Running ---- */

/* The rows of one tile that are pixels: all of them in one go, or, where flat, a part for each output row. */
static void finish_tile(const half *half, const tile_place *place, const band *band, rk_half_finish finish) {
  const rk_correlation *at = &half->at;
  const float *sums = finish.sums;
  const uint16_t *add = finish.add;
  uint16_t *dst = finish.dst;
  finish.rows = place->rows;
  if (!half->flat) {
    finish.dst = dst + place->first;
    if (add) finish.add = add + place->first;
    half->kernels->finish(&finish);
    return;
  }
  for (int64_t done = 0; done < place->rows;) {
    const int64_t pixel = place->first + done, y = pixel / half->copy_w, x = pixel % half->copy_w;
    const int64_t left = rk_min64(place->rows - done, half->copy_w - x), offset = band->dst + y * at->dst_row + x * at->dst_pixel;
    finish.rows = rk_min64(left, at->out_w - x);
    finish.sums = sums + done * RK_HALF_LANES * finish.vectors;
    finish.dst = dst + offset;
    if (add) finish.add = add + offset;
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
    finish.add = run->add ? run->add + group_k + k : NULL;
    const int64_t at_once = RK_HALF_TILES / block.vectors;
    int64_t before = 0; /* tiles whose sums are finished while the next block's products are under way */
    for (int64_t i = 0; i < band->count; i += at_once) {
      block.tiles = (int32_t)rk_min64(at_once, band->count - i);
      block.sums = sums[i / at_once % 2];
      for (int32_t tile = 0; tile < block.tiles; tile++) block.src[tile] = band->tiles[i + tile].src;
      half->kernels->block(&block, half->rows);
      finish_tiles(half, band, before, i, sums[(i / at_once + 1) % 2], finish);
      before = i;
    }
    finish_tiles(half, band, before, band->count, block.sums, finish);
  }
}

static void run_units(const half *half, half_run *run, band *band) {
  const rk_correlation *at = &half->at;
  for (int64_t unit = run->unit_begin; unit < run->unit_end;) {
    const int64_t left = run->unit_end - unit, count = rk_min64(half->band_units, left);
    const int64_t of_image = rk_min64(left, at->out_h - unit % at->out_h);
    int64_t rows = rk_min64(count, of_image);
    if (of_image > rows && of_image < 2 * rows) rows = (of_image + 1) / 2;
    if (half->slides && rows < of_image) rows = rk_min64(rk_div_up(rows, RK_HALF_TILES) * RK_HALF_TILES, of_image);
    for (int64_t group = 0; group < at->groups; group++) {
      if (half->slides) {
        rk_half_slide_band(half, run, unit / at->out_h, unit % at->out_h, rows, group);
        continue;
      }
      if (half->in_place) band_of_pixels(half, run, unit, unit + count, group, band);
      else band_of_rows(half, run, unit / at->out_h, unit % at->out_h, rows, group, band);
      run_band(half, run, group, band);
    }
    unit += half->in_place ? count : rows;
  }
}

/* A phase that no tap reaches: dst = add, or zero. */
static void run_empty(const half *half, const half_run *run, const rk_team *team) {
  const rk_correlation *at = &half->at;
  const int64_t count = at->groups * at->k;
  int64_t begin, end;
  if (run->add == run->dst) return;
  rk_share(at->n * at->out_h, team, &begin, &end);
  for (int64_t row = begin; row < end; row++)
    for (int64_t x = 0; x < at->out_w; x++) {
      const int64_t dst = at->dst_first + row / at->out_h * at->dst_image + row % at->out_h * at->dst_row + x * at->dst_pixel;
      if (run->add) memcpy(run->dst + dst, run->add + dst, (size_t)count * sizeof *run->dst);
      else memset(run->dst + dst, 0, (size_t)count * sizeof *run->dst);
    }
}

/* Pieces of a thread's own share, at most: as many as others can take over from a slow one. */
#define OWN_PIECES 8

/* How the work is cut into pieces that threads take: `own` parts of each thread's share of the units; 0: each piece is a panel. */
typedef struct pieces {
  int64_t count, own;
} pieces;

/* The least units that make a piece: whole blocks of tiles; a band, since those beside each other copy the same rows. */
static int64_t grain(const half *half) {
  return half->in_place ? 2 * RK_HALF_ROWS : half->at.taps_h > 1 ? rk_max64(half->band_units, 4) : 4;
}

/* Pieces are pixels or rows; or panels, where the weights are more than all operands, so that each is read by one thread only. */
static pieces cut(const half *half, const rk_team *team) {
  const int64_t uneven = half->panels % team->nth != 0 && half->panels < 6 * team->nth;
  const int64_t units = half->units / (half->in_place ? 2 * RK_HALF_ROWS : 1);
  if (team->nth > 1 && half->panels <= RK_MOST_PIECES && ((is_heavy(half) && !uneven) || (units < team->nth && half->panels > units)))
    return (pieces){.count = half->panels};
  const int64_t most = rk_div_up(rk_div_up(half->units, team->nth), grain(half));
  const int64_t own = team->nth == 1 || team->barrier == NULL ? 1 : rk_min64(most, OWN_PIECES);
  return (pieces){.count = own * team->nth, .own = own};
}

/* Narrows a run to one piece. */
static void select_piece(const half *half, const rk_team *team, pieces pieces, int64_t piece, half_run *run) {
  run->unit_begin = run->panel_begin = 0;
  run->unit_end = half->units;
  run->panel_end = half->panels;
  if (pieces.own == 0) {
    run->panel_begin = piece;
    run->panel_end = piece + 1;
    return;
  }
  /* Pixels keep together by whole blocks of tiles, rows by as many tiles as slide together, or in twos where there are few. */
  const int64_t block = half->in_place ? 2 * RK_HALF_ROWS : !half->slides ? 1 : half->units < 16 * team->nth ? 2 : RK_HALF_TILES;
  int64_t begin, end, first, last;
  rk_share(rk_div_up(half->units, block), &(rk_team){.tid = (int32_t)(piece / pieces.own), .nth = team->nth}, &begin, &end);
  rk_share(end - begin, &(rk_team){.tid = (int32_t)(piece % pieces.own), .nth = (int32_t)pieces.own}, &first, &last);
  run->unit_begin = rk_min64((begin + first) * block, half->units);
  run->unit_end = rk_min64((begin + last) * block, half->units);
}

/* Bytes of results that are in no cache any more when the next layer reads them. */
#define STREAMED_BYTES (INT64_C(3) << 20)

static int streams(const half *half, const half_run *run) {
  const rk_correlation *at = &half->at;
  const int64_t bytes = at->n * at->out_h * at->out_w * at->groups * at->k * 2;
  const int64_t offsets = at->dst_first | at->dst_image | at->dst_row | at->dst_pixel | at->k;
  return bytes > STREAMED_BYTES && offsets % 32 == 0 && run->add != run->dst && (uintptr_t)run->dst % 64 == 0;
}

static void run_half(const rk_conv_plan *plan, half_run *run, const rk_team *whole) {
  if (whole->tid >= plan->threads) return;
  const int64_t phases = rk_conv_phases(plan);
  /* Where there are several phases, without a barrier between them, threads keep to their shares. */
  const rk_team team = {
      .tid = whole->tid, .nth = whole->nth < plan->threads ? whole->nth : plan->threads, .barrier = phases == 1 ? whole->barrier : NULL};
  run->scratch += plan->block[0] * team.tid * (int64_t)sizeof(float);
  for (int64_t phase = 0; phase < phases; phase++) {
    half half;
    band band;
    if (prepare(plan, phase, &half) != 0) continue;
    if (run->pool) {
      half.pools = 1;
      half.rows += half.rows % 2;
      half.at.out_h -= half.at.out_h % 2;
      half.units = half.at.n * half.at.out_h;
    }
    if (half.units == 0) continue;
    if (half.lines == 0) {
      run_empty(&half, run, &team);
      continue;
    }
    const pieces pieces = cut(&half, &team);
    run->copied_unit = -1;
    run->stream = !half.pools && streams(&half, run);
    half.kernels->begin(half.rows, half.slides);
    for (int64_t piece = -1; rk_take(&team, pieces.count, &piece);) {
      select_piece(&half, &team, pieces, piece, run);
      run_units(&half, run, &band);
    }
    half.kernels->end();
    if (run->stream) half.kernels->stream_fence();
    run->packed += half.at.groups * rk_half_group_floats(&half);
  }
}

void rk_half_forward(const rk_conv_forward_args *args, const rk_team *team) {
  half_run run = {.src = args->src,
                  .add = args->add,
                  .packed = args->packed,
                  .bias = args->bias,
                  .slope = args->slope,
                  .activation = args->activation,
                  .pool = args->pool,
                  .dst = args->dst,
                  .scratch = (char *)args->scratch};
  run_half(args->plan, &run, team);
}

void rk_half_backward_data(const rk_conv_backward_data_args *args, const rk_team *team) {
  half_run run = {.src = args->ddst,
                  .add = args->add,
                  .packed = args->packed,
                  .activation = RK_ACTIVATION_NONE,
                  .dst = args->dsrc,
                  .scratch = (char *)args->scratch};
  run_half(args->plan, &run, team);
}
