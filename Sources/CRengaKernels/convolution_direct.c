/* convolution_direct.c: the direct algorithm of forward and backward-data: an implicit matrix product of pixels and packed weight panels.
 * Not here: what is multiplied (convolution_correlation.c) and the tiles (convolution_kernels.h).
 *
 * A thread works band by band. A band is a list of tiles whose operands lie in the source itself where no tap leaves the map, else in a
 * copy that the thread has just made in its scratch: rows with their zero padding, or, for narrow maps, one run of operands per pixel.
 * Then panel by panel (each stays in L2) all tiles of the band are computed. Neither bands nor threads change any output's bits. */
#include "convolution_internal.h"
#include <string.h>

/* Most tiles of a band. */
#define MOST_TILES 192
/* Floats of operands that a band aims at: half of a 2 MB L2 where the weights go by in segments, else less. */
#define BAND_FLOATS (96 * 1024)
#define LARGE_BAND_FLOATS (256 * 1024)
/* A panel of more than WHOLE_LINES lines goes by in segments of SEGMENT_LINES, 32 KB of weights: each stays in the first-level cache while
 * all tiles of a band take it (1024 channels on 14x14: 1.3 times as fast as whole panels from L2). */
#define WHOLE_LINES 512
#define SEGMENT_LINES 256
/* Runs shorter than this would spend their time with loading and storing sums. */
#define LEAST_RUN 128

typedef enum layout {
  LAYOUT_MATRIX,  /* 1x1 over all pixels: source pixels are the rows of a matrix */
  LAYOUT_VIEW,    /* no tap leaves the map: operands are read in place */
  LAYOUT_ROWS,    /* padded copies of the rows of a band */
  LAYOUT_PATCHES, /* a copy of each pixel's operands */
} layout;

typedef struct tile_place {
  const float *src, *src2;
  int64_t dst, dst2; /* offsets in floats */
  int32_t rows;
} tile_place;

/* A correlation made ready: its layout, and how tiles address their operands. */
typedef struct direct {
  rk_correlation at;
  const rk_conv_kernels *kernels;
  layout layout;
  int64_t units;       /* what threads share: rows, or pixels of a matrix or of patches */
  int64_t band_units;  /* most of them in a band */
  int64_t band_w;      /* most columns of a band of rows */
  int64_t copy_w;      /* LAYOUT_ROWS: pixels of a padded row */
  int64_t band_floats; /* scratch of one thread */
  int64_t segments;    /* of a run; 0: panels go by whole */
  int64_t lines;       /* taps x channels: the length of a panel */
  int64_t panels;
  int64_t rows_per_tile; /* 2: a tile is two output rows */
} direct;

/* ---- Planning ---- */

static int taps_stay_inside(int64_t out, int64_t taps, int64_t stride, int64_t dilation, int64_t offset, int64_t size) {
  return offset >= 0 && (out - 1) * stride + (taps - 1) * dilation + offset < size;
}

static int is_matrix(const rk_correlation *at) {
  return at->taps_h * at->taps_w == 1 && at->stride_h == 1 && at->stride_w == 1 && at->offset_h == 0 && at->offset_w == 0 &&
         at->out_h == at->src_h && at->out_w == at->src_w && at->dst_row == at->out_w * at->dst_pixel &&
         at->dst_image == at->out_h * at->dst_row;
}

static layout layout_of(const rk_correlation *at) {
  if (is_matrix(at)) return LAYOUT_MATRIX;
  if (at->out_w < 4) return LAYOUT_PATCHES;
  if (taps_stay_inside(at->out_h, at->taps_h, at->stride_h, at->dilation_h, at->offset_h, at->src_h) &&
      taps_stay_inside(at->out_w, at->taps_w, at->stride_w, at->dilation_w, at->offset_w, at->src_w))
    return LAYOUT_VIEW;
  return LAYOUT_ROWS;
}

/* Source rows that `rows` output rows see. */
static int64_t rows_seen(const rk_correlation *at, int64_t rows) {
  return (rows - 1) * at->stride_h + (at->taps_h - 1) * at->dilation_h + 1;
}

/* How the tiles of a layout find a pixel's operands. */
static void address(const direct *direct, rk_conv_tile *tile) {
  const rk_correlation *at = &direct->at;
  tile->dst_row = at->dst_pixel;
  tile->outer = tile->inner = 1;
  tile->run = direct->lines;
  if (direct->layout == LAYOUT_PATCHES) {
    tile->src_row = direct->lines;
    return;
  }
  int64_t pixel = direct->layout == LAYOUT_ROWS ? at->c : at->src_c;
  int64_t width = direct->layout == LAYOUT_ROWS ? direct->copy_w : at->src_w;
  tile->src_row = pixel * at->stride_w;
  tile->outer = at->taps_h;
  tile->outer_step = at->dilation_h * width * pixel;
  tile->inner = at->taps_w;
  tile->inner_step = at->dilation_w * pixel;
  tile->run = at->c;
  if (at->dilation_w == 1 && pixel == at->c) tile->inner = 1, tile->run = at->taps_w * at->c;
}

/* 0, or -1 where a band has no addressable size. */
static int prepare(const rk_conv_plan *plan, int64_t phase, direct *direct) {
  rk_conv_correlation(plan, phase, &direct->at);
  const rk_correlation *at = &direct->at;
  const rk_conv_kernels *kernels = direct->kernels = rk_conv_kernels_of(plan->isa);
  direct->layout = layout_of(at);
  direct->lines = at->taps_h * at->taps_w * at->c;
  direct->panels = rk_div_up(at->k, kernels->lanes * RK_CONV_MOST_VECTORS);
  direct->rows_per_tile = 1;
  direct->band_floats = 0;
  rk_conv_tile tile;
  address(direct, &tile);
  direct->segments = direct->lines > WHOLE_LINES && tile.run >= LEAST_RUN ? rk_div_up(tile.run, SEGMENT_LINES) : 0;
  const int64_t most_floats = direct->segments > 0 ? LARGE_BAND_FLOATS : BAND_FLOATS;
  direct->units = at->n * at->out_h * at->out_w;
  if (direct->lines == 0 || direct->units == 0) return 0;
  int64_t most_pixels = direct->layout == LAYOUT_MATRIX ? (int64_t)kernels->tile_rows * (MOST_TILES / 2) : MOST_TILES;
  if (direct->layout == LAYOUT_MATRIX || direct->layout == LAYOUT_PATCHES) {
    direct->band_units = rk_min64(rk_max64(most_floats / direct->lines, kernels->tile_rows), most_pixels);
    if (direct->layout == LAYOUT_PATCHES) direct->band_floats = rk_min64(direct->band_units, direct->units) * direct->lines;
    return direct->band_floats > RK_CONV_MOST_FLOATS ? -1 : 0;
  }
  direct->units = at->n * at->out_h;
  direct->copy_w = (at->out_w - 1) * at->stride_w + (at->taps_w - 1) * at->dilation_w + 1;
  if (kernels->tile_rows >= 8 && 2 * at->out_w >= 8 && 2 * at->out_w <= kernels->tile_rows) direct->rows_per_tile = 2;
  int64_t row[] = {direct->copy_w, at->c}, row_floats = rk_conv_addressable(row, 2), halo = rows_seen(at, 1) - at->stride_h;
  int64_t tiles_per_row = rk_min64(rk_div_up(at->out_w, kernels->tile_rows), MOST_TILES / 2);
  direct->band_w = tiles_per_row * kernels->tile_rows;
  int64_t rows = rk_min64((most_floats / rk_max64(row_floats, 1) - halo) / at->stride_h, MOST_TILES / tiles_per_row);
  direct->band_units = rk_min64(rk_max64(rows, 2), at->out_h);
  if (row_floats == 0) return -1;
  int64_t factors[] = {rows_seen(at, direct->band_units), direct->copy_w, at->c};
  if (direct->layout == LAYOUT_ROWS) direct->band_floats = rk_conv_addressable(factors, 3);
  return direct->layout == LAYOUT_ROWS && direct->band_floats == 0 ? -1 : 0;
}

int rk_conv_direct_plan(rk_conv_plan *plan) {
  if (plan->isa == RK_ISA_REFERENCE) return -1;
  if (plan->pass == RK_CONV_BACKWARD_WEIGHT) return rk_conv_direct_backward_weight_plan(plan);
  const rk_conv_shape *shape = &plan->shape;
  if (plan->pass == RK_CONV_BACKWARD_DATA && (shape->stride_h > RK_CONV_MOST_STRIDE || shape->stride_w > RK_CONV_MOST_STRIDE)) return -1;
  int64_t packed = rk_conv_packed_floats(plan), most = 0;
  for (int64_t phase = 0; phase < rk_conv_phases(plan); phase++) {
    direct direct;
    if (packed < 0 || prepare(plan, phase, &direct) != 0) return -1;
    most = rk_max64(most, direct.band_floats);
  }
  plan->block[0] = rk_div_up(most, 16) * 16;
  plan->packed_floats = (size_t)packed;
  plan->scratch_floats = (size_t)plan->block[0] * (size_t)plan->threads;
  return 0;
}

/* ---- Bands ---- */

/* The buffers of a run and the piece of its work that this thread has taken. */
typedef struct direct_run {
  const float *src, *packed, *bias, *add, *slope;
  rk_activation activation;
  float *dst, *scratch;
  int64_t unit_begin, unit_end, panel_begin, panel_end;
  int64_t copied_unit, copied_end, copied_group; /* the units whose operands the scratch holds */
  int stream;
} direct_run;

typedef struct band {
  tile_place tiles[MOST_TILES];
  int64_t count;
} band;

/* Cuts `pixels` operands at src, `step` floats apart, into tiles of nearly equal height. dst: offset of the first pixel. */
static void place_pixels(const direct *direct, const float *src, int64_t step, int64_t pixels, int64_t dst, band *band) {
  int64_t tiles = rk_div_up(pixels, direct->kernels->tile_rows), first = 0;
  for (int64_t i = 0; i < tiles; i++) {
    int64_t rows = pixels / tiles + (i < pixels % tiles), half = (rows + 1) / 2, pixel = direct->at.dst_pixel;
    band->tiles[band->count++] = (tile_place){.src = src + first * step,
                                              .src2 = src + (first + half) * step,
                                              .dst = dst + first * pixel,
                                              .dst2 = dst + (first + half) * pixel,
                                              .rows = (int32_t)rows};
    first += rows;
  }
}

/* One padded source row of one group: copy_w pixels. */
static void copy_row(const direct *direct, const float *src, int64_t n, int64_t h, int64_t group, float *dst) {
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
static int must_copy(direct_run *run, int64_t begin, int64_t end, int64_t group) {
  if (run->copied_unit == begin && run->copied_end == end && run->copied_group == group) return 0;
  run->copied_unit = begin, run->copied_end = end, run->copied_group = group;
  return 1;
}

static void copy_patch(const direct *direct, const float *src, int64_t n, int64_t y, int64_t x, int64_t group, float *dst) {
  const rk_correlation *at = &direct->at;
  for (int64_t i = 0; i < at->taps_h; i++)
    for (int64_t j = 0; j < at->taps_w; j++, dst += at->c) {
      int64_t h = y * at->stride_h + i * at->dilation_h + at->offset_h, w = x * at->stride_w + j * at->dilation_w + at->offset_w;
      if (h < 0 || h >= at->src_h || w < 0 || w >= at->src_w) memset(dst, 0, (size_t)at->c * sizeof(float));
      else memcpy(dst, src + ((n * at->src_h + h) * at->src_w + w) * at->src_c + group * at->c, (size_t)at->c * sizeof(float));
    }
}

/* Pixels [begin, end) of all images, in order, as one matrix. */
static void band_of_patches(const direct *direct, direct_run *run, int64_t begin, int64_t end, int64_t group, band *band) {
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

/* Where the operands of output rows [y, y + rows) of image n begin, and the floats of one row of them; copied first if the layout asks. */
static const float *source_rows(const direct *direct, direct_run *run, int64_t n, int64_t y, int64_t rows, int64_t group,
                                int64_t *pitch) {
  const rk_correlation *at = &direct->at;
  int64_t h = y * at->stride_h + at->offset_h;
  if (direct->layout == LAYOUT_VIEW) {
    *pitch = at->src_w * at->src_c;
    return run->src + (n * at->src_h + h) * *pitch + at->offset_w * at->src_c + group * at->c;
  }
  *pitch = direct->copy_w * at->c;
  int64_t unit = n * at->out_h + y, seen = must_copy(run, unit, unit + rows, group) ? rows_seen(at, rows) : 0;
  for (int64_t i = 0; i < seen; i++) copy_row(direct, run->src, n, h + i, group, run->scratch + i * *pitch);
  return run->scratch;
}

/* Columns [x, x + count) of `rows` output rows. src: the operands of the first; dst: the offset of column 0 of the first. */
static void band_of_rows(const direct *direct, const float *src, int64_t pitch, int64_t rows, int64_t x, int64_t count, int64_t dst,
                         band *band) {
  const rk_correlation *at = &direct->at;
  int64_t pixel = (direct->layout == LAYOUT_VIEW ? at->src_c : at->c) * at->stride_w, step = pitch * at->stride_h;
  band->count = 0;
  src += x * pixel;
  dst += x * at->dst_pixel;
  for (int64_t i = 0; i < rows; i++, src += step, dst += at->dst_row) {
    if (direct->rows_per_tile == 2 && i + 1 < rows) {
      band->tiles[band->count++] =
          (tile_place){.src = src, .src2 = src + step, .dst = dst, .dst2 = dst + at->dst_row, .rows = (int32_t)(2 * at->out_w)};
      i++, src += step, dst += at->dst_row;
    } else {
      place_pixels(direct, src, pixel, count, dst, band);
    }
  }
}

/* ---- Running ---- */

/* All tiles of a band by `lines` lines of a panel, whose operands lie `offset` floats behind a tile's first. next: the weights that follow. */
static void run_tiles(const direct *direct, const direct_run *run, const band *band, rk_conv_tile *tile, int64_t offset, int64_t lines,
                      const float *add, int64_t k, const float *next) {
  const int64_t vectors = rk_div_up(tile->lanes, direct->kernels->lanes), floats = lines * vectors * direct->kernels->lanes;
  for (int64_t i = 0; i < band->count; i++) {
    const tile_place *place = &band->tiles[i];
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
static void run_band(const direct *direct, const direct_run *run, int64_t group, const band *band) {
  const rk_correlation *at = &direct->at;
  int64_t vector = direct->kernels->lanes, wide = vector * RK_CONV_MOST_VECTORS, group_k = group * at->k;
  const float *packed = run->packed + at->packed_first + group * direct->lines * rk_div_up(at->k, vector) * vector;
  rk_conv_tile whole = {.activation = RK_ACTIVATION_NONE};
  address(direct, &whole);
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

static void run_pixels(const direct *direct, direct_run *run, band *band) {
  const rk_correlation *at = &direct->at;
  for (int64_t group = 0; group < at->groups; group++)
    for (int64_t begin = run->unit_begin; begin < run->unit_end; begin += direct->band_units) {
      int64_t end = rk_min64(begin + direct->band_units, run->unit_end);
      band->count = 0;
      if (direct->layout == LAYOUT_PATCHES) band_of_patches(direct, run, begin, end, group, band);
      else
        place_pixels(direct, run->src + begin * at->src_c + group * at->c, at->src_c, end - begin, at->dst_first + begin * at->dst_pixel,
                     band);
      run_band(direct, run, group, band);
    }
}

static void run_rows(const direct *direct, direct_run *run, band *band) {
  const rk_correlation *at = &direct->at;
  for (int64_t row = run->unit_begin; row < run->unit_end;) {
    int64_t n = row / at->out_h, y = row % at->out_h, left = rk_min64(run->unit_end - row, at->out_h - y);
    int64_t rows = rk_min64(left, direct->band_units);
    if (left > rows && left < 2 * rows) rows = (left + 1) / 2;
    for (int64_t group = 0; group < at->groups; group++) {
      int64_t pitch, dst = at->dst_first + n * at->dst_image + y * at->dst_row;
      const float *src = source_rows(direct, run, n, y, rows, group, &pitch);
      for (int64_t x = 0; x < at->out_w; x += direct->band_w) {
        band_of_rows(direct, src, pitch, rows, x, rk_min64(direct->band_w, at->out_w - x), dst, band);
        run_band(direct, run, group, band);
      }
    }
    row += rows;
  }
}

/* A phase that no tap reaches: dst = add, or zero. */
static void run_empty(const direct *direct, const direct_run *run, const rk_team *team) {
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
static pieces cut(const direct *direct, const rk_team *team) {
  const rk_correlation *at = &direct->at;
  int64_t weights = direct->lines * at->k, operands = at->n * at->src_h * at->src_w * at->c;
  int64_t uneven = direct->panels % team->nth != 0 && direct->panels < 6 * team->nth;
  int is_pixels = direct->layout == LAYOUT_MATRIX || direct->layout == LAYOUT_PATCHES;
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
static void select_piece(const direct *direct, const rk_team *team, pieces pieces, int64_t piece, direct_run *run) {
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

static void run_phase(const direct *direct, const rk_team *team, direct_run *run) {
  band band;
  pieces pieces = cut(direct, team);
  run->copied_unit = run->copied_group = -1;
  run->stream = !rk_conv_is_late(run->activation) && rk_conv_streams(&direct->at, direct->kernels, run->dst, run->add);
  for (int64_t piece = -1; rk_take(team, pieces.count, &piece);) {
    select_piece(direct, team, pieces, piece, run);
    if (direct->layout == LAYOUT_MATRIX || direct->layout == LAYOUT_PATCHES) run_pixels(direct, run, &band);
    else run_rows(direct, run, &band);
  }
  if (run->stream) direct->kernels->stream_fence();
}

static void run_direct(const rk_conv_plan *plan, direct_run *run, const rk_team *whole) {
  if (whole->tid >= plan->threads) return;
  int64_t phases = rk_conv_phases(plan);
  /* Where there are several phases, without a barrier between them, threads keep to their shares. */
  const rk_team team = {
      .tid = whole->tid, .nth = whole->nth < plan->threads ? whole->nth : plan->threads, .barrier = phases == 1 ? whole->barrier : NULL};
  run->scratch += plan->block[0] * team.tid;
  for (int64_t phase = 0; phase < phases; phase++) {
    direct direct;
    if (prepare(plan, phase, &direct) != 0 || direct.units == 0) continue;
    if (direct.lines == 0) run_empty(&direct, run, &team);
    else run_phase(&direct, &team, run);
  }
}

void rk_conv_direct_forward(const rk_conv_forward_args *args, const rk_team *team) {
  direct_run run = {.src = args->src,
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
  direct_run run = {.src = args->ddst,
                    .packed = args->packed,
                    .add = args->add,
                    .activation = RK_ACTIVATION_NONE,
                    .dst = args->dsrc,
                    .scratch = args->scratch};
  run_direct(args->plan, &run, team);
}
