/* convolution_direct.c: the direct algorithm of forward and backward-data: an implicit matrix product of pixels and packed weight panels.
 * Not here: what is multiplied (convolution_correlation.c), plans (convolution_direct_plan.c), how bands are made
 * (convolution_direct_bands.c) and the tiles (convolution_kernels.h).
 *
 * A thread works band by band. A band is a list of tiles whose operands lie in the source itself where no tap leaves the map, else in a
 * copy that the thread has just made in its scratch: rows with their zero padding, or, for narrow maps, one run of operands per pixel.
 * Then panel by panel (each stays in L2) all tiles of the band are computed. Neither bands nor threads change any output's bits. */
#include "convolution_direct.h"
#include <string.h>

/* ---- Bands by panels ---- */

/* All tiles of a band by `lines` lines of a panel, whose operands lie `offset` floats behind a tile's first. next: weights that follow. */
static void run_tiles(const rk_direct *direct, const rk_direct_run *run, const rk_direct_band *band, rk_conv_tile *tile, int64_t offset,
                      int64_t lines, const float *add, int64_t k, const float *next) {
  const int64_t vectors = rk_div_up(tile->lanes, direct->kernels->lanes), floats = lines * vectors * direct->kernels->lanes;
  for (int64_t i = 0; i < band->count; i++) {
    const rk_direct_place *place = &band->tiles[i];
    rk_conv_prefetch(tile, next, floats, lines, i, band->count);
    tile->src = place->src + offset;
    tile->src2 = place->rows > 7 ? place->src2 + offset : tile->src;
    tile->dst = run->dst + place->dst + k;
    tile->add = add ? add + place->dst + k : NULL;
    if (place->rows > 7) {
      tile->dst2 = run->dst + place->dst2 + k;
      tile->add2 = add ? add + place->dst2 + k : NULL;
    }
    direct->kernels->tile[vectors - 1][place->rows - 1](tile);
    if (rk_conv_is_late(tile->activation)) direct->kernels->activate(tile, place->rows);
  }
}

/* All tiles of a band by the panels of this thread's share. Where a panel goes by in segments, dst holds the sums between them. */
static void run_band(const rk_direct *direct, const rk_direct_run *run, int64_t group, const rk_direct_band *band) {
  const rk_correlation *at = &direct->at;
  int64_t vector = direct->kernels->lanes, wide = vector * RK_CONV_MOST_VECTORS, group_k = group * at->k;
  const float *packed = run->packed + at->packed_first + group * direct->lines * rk_div_up(at->k, vector) * vector;
  rk_conv_tile whole = {.activation = RK_ACTIVATION_NONE};
  rk_direct_address(direct, &whole);
  const int64_t segments = band->count > 1 ? direct->segments : 0, last = segments * whole.outer * whole.inner - 1;
  for (int64_t panel = run->panel_begin; panel < run->panel_end; panel++) {
    const int64_t k = group_k + panel * wide;
    rk_conv_tile tile = whole;
    tile.lanes = (int32_t)rk_min64(wide, at->k - panel * wide);
    const int64_t line_floats = rk_div_up(tile.lanes, vector) * vector;
    const float *end = panel + 1 < direct->panels ? NULL : packed + panel * wide * direct->lines + direct->lines * line_floats;
    tile.panel = packed + panel * wide * direct->lines;
    tile.bias = run->bias ? run->bias + k : NULL;
    tile.slope = rk_conv_slope(run->activation, run->slope, k);
    if (segments == 0) {
      tile.activation = run->activation;
      tile.stream = run->stream && tile.lanes == line_floats;
      run_tiles(direct, run, band, &tile, 0, direct->lines, run->add, k, end ? NULL : tile.panel + direct->lines * line_floats);
      continue;
    }
    tile.outer = tile.inner = 1;
    for (int64_t i = 0; i <= last; i++) {
      /* Whole multiples of the four lines that a tile takes at once. */
      const int64_t part = rk_div_up(rk_div_up(whole.run, segments), 4) * 4, first = i % segments * part, turn = i / segments;
      tile.run = rk_min64(part, whole.run - first);
      tile.activation = i == last ? run->activation : RK_ACTIVATION_NONE;
      const float *next = tile.panel + tile.run * line_floats;
      run_tiles(direct, run, band, &tile, turn / whole.inner * whole.outer_step + turn % whole.inner * whole.inner_step + first, tile.run,
                i == 0 ? run->add : run->dst, k, next == end ? NULL : next);
      tile.panel = next;
      tile.bias = NULL;
    }
  }
}

static void run_pixels(const rk_direct *direct, rk_direct_run *run, rk_direct_band *band) {
  for (int64_t group = 0; group < direct->at.groups; group++)
    for (int64_t begin = run->unit_begin; begin < run->unit_end; begin += direct->band_units) {
      int64_t end = rk_min64(begin + direct->band_units, run->unit_end);
      rk_direct_band_of_pixels(direct, run, begin, end, group, band);
      run_band(direct, run, group, band);
    }
}

static void run_rows(const rk_direct *direct, rk_direct_run *run, rk_direct_band *band) {
  const rk_correlation *at = &direct->at;
  for (int64_t row = run->unit_begin; row < run->unit_end;) {
    int64_t n = row / at->out_h, y = row % at->out_h, left = rk_min64(run->unit_end - row, at->out_h - y);
    int64_t rows = rk_min64(left, direct->band_units);
    if (left > rows && left < 2 * rows) rows = (left + 1) / 2;
    for (int64_t group = 0; group < at->groups; group++) {
      int64_t pitch, dst = at->dst_first + n * at->dst_image + y * at->dst_row;
      const float *src = rk_direct_source_rows(direct, run, n, y, rows, group, &pitch);
      for (int64_t x = 0; x < at->out_w; x += direct->band_w) {
        rk_direct_band_of_rows(direct, src, pitch, rows, x, rk_min64(direct->band_w, at->out_w - x), dst, band);
        run_band(direct, run, group, band);
      }
    }
    row += rows;
  }
}

/* ---- Pieces that threads take ---- */

/* Pieces of a thread's own share, at most: as many as others can take over from a slow one. */
#define OWN_PIECES 8
/* Tiles that a piece had better have where weights go by in segments: so often each is read from the first-level cache. */
#define BAND_TILES 8

/* How a phase is cut into pieces that threads take. */
typedef struct pieces {
  int64_t count;
  int64_t own;   /* parts of each thread's share of the units; 0: all units are one part */
  int64_t cuts;  /* pieces of each part: its panels are shared among them */
  int64_t grain; /* units that stay together */
} pieces;

/* Pieces are pixels; or panels, where the weights are more than all operands, so that each is read by one thread only. */
static pieces cut(const rk_direct *direct, const rk_team *team) {
  const rk_correlation *at = &direct->at;
  int64_t weights = direct->lines * at->k, operands = at->n * at->src_h * at->src_w * at->c;
  int64_t uneven = direct->panels % team->nth != 0 && direct->panels < 6 * team->nth;
  int is_pixels = direct->layout == RK_DIRECT_MATRIX || direct->layout == RK_DIRECT_PATCHES;
  int64_t units = direct->units / (is_pixels ? 4 : 1);
  if (team->nth > 1 && direct->panels <= RK_MOST_PIECES &&
      ((weights > 2 * operands && !uneven) || (units < team->nth && direct->panels > units)))
    return (pieces){.count = direct->panels, .cuts = direct->panels};
  int64_t grain = is_pixels ? direct->kernels->tile_rows : direct->rows_per_tile;
  int64_t most = rk_div_up(rk_div_up(direct->units, team->nth), grain);
  int64_t own = team->nth == 1 || team->barrier == NULL ? 1 : rk_min64(most, is_pixels ? OWN_PIECES : OWN_PIECES / 2);
  int64_t cuts = 1;
  if (is_pixels && direct->segments > 0 && own > 1) {
    own = rk_min64(own, rk_div_up(most, BAND_TILES));
    cuts = rk_min64(direct->panels, rk_div_up(OWN_PIECES, own));
  }
  return (pieces){.count = own * cuts * team->nth, .own = own, .cuts = cuts, .grain = grain};
}

/* Narrows a run to one piece. */
static void select_piece(const rk_direct *direct, const rk_team *team, pieces pieces, int64_t piece, rk_direct_run *run) {
  run->unit_begin = 0;
  run->unit_end = direct->units;
  rk_share(direct->panels, &(rk_team){.tid = (int32_t)(piece % pieces.cuts), .nth = (int32_t)pieces.cuts}, &run->panel_begin,
           &run->panel_end);
  if (pieces.own == 0) return;
  int64_t begin, end, first, last, part = piece / pieces.cuts;
  rk_share(direct->units, &(rk_team){.tid = (int32_t)(part / pieces.own), .nth = team->nth}, &begin, &end);
  rk_share(rk_div_up(end - begin, pieces.grain), &(rk_team){.tid = (int32_t)(part % pieces.own), .nth = (int32_t)pieces.own}, &first,
           &last);
  run->unit_begin = rk_min64(begin + first * pieces.grain, end);
  run->unit_end = rk_min64(begin + last * pieces.grain, end);
}

/* ---- Phases ---- */

/* A phase that no tap reaches: dst = add, or zero. */
static void run_empty(const rk_direct *direct, const rk_direct_run *run, const rk_team *team) {
  const rk_correlation *at = &direct->at;
  int64_t begin, end, count = at->groups * at->k;
  if (run->add == run->dst) return;
  rk_share(at->n * at->out_h, team, &begin, &end);
  for (int64_t row = begin; row < end; row++)
    for (int64_t x = 0; x < at->out_w; x++) {
      int64_t dst = at->dst_first + row / at->out_h * at->dst_image + row % at->out_h * at->dst_row + x * at->dst_pixel;
      if (run->add) memcpy(run->dst + dst, run->add + dst, (size_t)count * sizeof(float));
      else memset(run->dst + dst, 0, (size_t)count * sizeof(float));
    }
}

static void run_phase(const rk_direct *direct, const rk_team *team, rk_direct_run *run) {
  rk_direct_band band;
  pieces pieces = cut(direct, team);
  run->copied_unit = run->copied_group = -1;
  run->stream = !rk_conv_is_late(run->activation) && rk_conv_streams(&direct->at, direct->kernels, run->dst, run->add);
  for (int64_t piece = -1; rk_take(team, pieces.count, &piece);) {
    select_piece(direct, team, pieces, piece, run);
    if (direct->layout == RK_DIRECT_MATRIX || direct->layout == RK_DIRECT_PATCHES) run_pixels(direct, run, &band);
    else run_rows(direct, run, &band);
  }
  if (run->stream) direct->kernels->stream_fence();
}

static void run_direct(const rk_conv_plan *plan, rk_direct_run *run, const rk_team *whole) {
  if (whole->tid >= plan->threads) return;
  int64_t phases = rk_conv_phases(plan);
  /* Where there are several phases, without a barrier between them, threads keep to their shares. */
  const rk_team team = {
      .tid = whole->tid, .nth = whole->nth < plan->threads ? whole->nth : plan->threads, .barrier = phases == 1 ? whole->barrier : NULL};
  run->scratch += plan->block[0] * team.tid;
  for (int64_t phase = 0; phase < phases; phase++) {
    rk_direct direct;
    if (rk_direct_prepare(plan, phase, &direct) != 0 || direct.units == 0) continue;
    if (direct.lines == 0) run_empty(&direct, run, &team);
    else run_phase(&direct, &team, run);
  }
}

void rk_conv_direct_forward(const rk_conv_forward_args *args, const rk_team *team) {
  rk_direct_run run = {.src = args->src,
                       .packed = args->packed,
                       .bias = args->bias,
                       .add = args->add,
                       .slope = args->slope,
                       .activation = args->activation,
                       .dst = args->dst,
                       .scratch = args->scratch};
  run_direct(args->plan, &run, team);
}

void rk_conv_direct_backward_data(const rk_conv_backward_data_args *args, const rk_team *team) {
  rk_direct_run run = {.src = args->ddst,
                       .packed = args->packed,
                       .add = args->add,
                       .activation = RK_ACTIVATION_NONE,
                       .dst = args->dsrc,
                       .scratch = args->scratch};
  run_direct(args->plan, &run, team);
}
