/* convolution_half.c: forward and backward-data of bf16 maps as an implicit product of bf16 operands with packed bf16 panels, summed in
 * f32: how a run's work is cut into pieces and bands that threads take.
 * Not here: what is multiplied (convolution_correlation.c), sizes and packing (convolution_half_plan.c), a band (convolution_half_band.c,
 * convolution_half_slide.c), the products (x86/avx512/convolution_half.c), backward-weight. No output's sum depends on bands or threads. */
#include "convolution_half_internal.h"
#include <string.h>

static void run_units(const half *half, half_run *run) {
  const rk_correlation *at = &half->at;
  for (int64_t unit = run->unit_begin; unit < run->unit_end;) {
    const int64_t left = run->unit_end - unit, count = rk_min64(half->band_units, left);
    const int64_t of_image = rk_min64(left, at->out_h - unit % at->out_h);
    int64_t rows = rk_min64(count, of_image);
    if (of_image > rows && of_image < 2 * rows) rows = (of_image + 1) / 2;
    if (half->slides && rows < of_image) rows = rk_min64(rk_div_up(rows, RK_HALF_TILES) * RK_HALF_TILES, of_image);
    for (int64_t group = 0; group < at->groups; group++) {
      if (half->slides) rk_half_slide_band(half, run, unit / at->out_h, unit % at->out_h, rows, group);
      else if (half->in_place) rk_half_band_of_pixels(half, run, unit, unit + count, group);
      else rk_half_band_of_rows(half, run, unit / at->out_h, unit % at->out_h, rows, group);
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
  const int by_panels = (rk_half_is_heavy(half) && !uneven) || (units < team->nth && half->panels > units);
  if (team->nth > 1 && half->panels <= RK_MOST_PIECES && by_panels) return (pieces){.count = half->panels};
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
    if (rk_half_prepare(plan, phase, &half) != 0) continue;
    if (run->pool) {
      half.pools = 1;
      half.rows += half.rows % 2;
      half.at.out_h -= half.at.out_h % 2;
      half.units = half.at.n * half.at.out_h;
    }
    if (half.lines == 0) run_empty(&half, run, &team);
    if (half.lines == 0 || half.units == 0) {
      run->packed += half.at.groups * rk_half_group_floats(&half);
      continue;
    }
    const pieces pieces = cut(&half, &team);
    run->copied_unit = -1;
    run->stream = !half.pools && streams(&half, run);
    half.kernels->begin(half.rows, half.slides);
    for (int64_t piece = -1; rk_take(&team, pieces.count, &piece);) {
      select_piece(&half, &team, pieces, piece, run);
      run_units(&half, run);
    }
    half.kernels->end();
    if (run->stream) half.kernels->stream_fence();
    run->packed += half.at.groups * rk_half_group_floats(&half);
  }
}

void rk_half_forward(const rk_conv_forward_args *args, const rk_team *team) {
  half_run run = {.src = args->src,
                  .add = args->add,
                  .add_c = args->add_c,
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
