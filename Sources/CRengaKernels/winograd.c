/* winograd.c: forward and backward-data of 3x3 filters of stride 1 by Winograd's F(4x4, 3x3) and F(2x2, 3x3).
 * Not here: the transforms (winograd_kernels.h), backward-weight (winograd_backward_weight.c).
 *
 * Each thread takes blocks of tiles through transform, `positions` matrix products and inverse transform, all within its L2. Where the
 * transformed weights are too many to be read by each thread, all tiles are transformed first and the threads share the positions instead.
 * No output's sum depends on that choice, on the blocks or on the team. */
#include "winograd_internal.h"
#include <string.h>

/* Floats of a block's transformed tiles: 2 MB, what an L2 holds, and most tiles; both twice that where the weights, which each block reads
 * from beyond L2, are the larger part (256 channels on 56x56: 1.06 times as fast). */
#define BLOCK_FLOATS (512 * 1024)
#define BLOCK_MOST_TILES 28
/* The same where weights stay in L2, and with them the maps of a band. */
#define SHARED_BLOCK_FLOATS (80 * 1024)
#define LARGE_WEIGHTS (2 * 1024 * 1024)
/* Floats of transformed weights that stay in L2 between blocks. */
#define RESIDENT_FLOATS (256 * 1024)

const rk_winograd_transforms *rk_winograd_transforms_of(rk_isa isa) {
#if defined(__x86_64__)
  if (isa >= RK_ISA_AVX512) return &rk_winograd_avx512;
  if (isa == RK_ISA_AVX2) return &rk_winograd_avx2;
#endif
  (void)isa;
  return &rk_winograd_generic;
}

static int applies(const rk_conv_plan *plan) {
  const rk_conv_shape *shape = &plan->shape;
  return plan->isa != RK_ISA_REFERENCE && shape->r == 3 && shape->s == 3 && shape->stride_h == 1 && shape->stride_w == 1 &&
         shape->dilation_h == 1 && shape->dilation_w == 1 && shape->groups == 1;
}

int rk_winograd_prepare(const rk_conv_plan *plan, rk_winograd *winograd) {
  if (!applies(plan)) return -1;
  rk_conv_plan forward = *plan;
  if (plan->pass == RK_CONV_BACKWARD_WEIGHT) forward.pass = RK_CONV_FORWARD;
  rk_conv_correlation(&forward, 0, &winograd->at);
  const rk_correlation *at = &winograd->at;
  winograd->kernels = rk_conv_kernels_of(plan->isa);
  winograd->m = plan->algorithm == RK_CONV_WINOGRAD_F4 ? 4 : 2;
  winograd->positions = (winograd->m + 2) * (winograd->m + 2);
  winograd->tiles_h = rk_div_up(at->out_h, winograd->m);
  winograd->tiles_w = rk_div_up(at->out_w, winograd->m);
  winograd->tiles = at->n * winograd->tiles_h * winograd->tiles_w;
  int64_t lanes = winograd->kernels->lanes;
  winograd->c_line = rk_div_up(at->c, lanes) * lanes;
  winograd->k_line = rk_div_up(at->k, lanes) * lanes;
  int64_t transformed[] = {winograd->positions, winograd->tiles, rk_max64(winograd->c_line, winograd->k_line)};
  int64_t weights[] = {winograd->positions, winograd->c_line, winograd->k_line};
  return rk_conv_addressable(transformed, 3) && rk_conv_addressable(weights, 3) ? 0 : -1;
}

/* ---- Planning ---- */

/* plan->block: tiles of a block; whether threads share the positions instead; floats of scratch before the lines of zeros; tiles that a
 * block is whole numbers of. */
enum { BLOCK_TILES = 0, SHARE_POSITIONS = 1, ZEROS_AT = 2, UNIT_TILES = 3 };

static int64_t tile_floats(const rk_winograd *winograd) { return winograd->positions * (winograd->c_line + winograd->k_line); }

/* Scratch for the planes of `tiles` tiles, source and output. */
static int64_t block_floats(const rk_winograd *winograd, int64_t tiles) {
  return winograd->positions * (rk_winograd_plane(tiles, winograd->c_line) + rk_winograd_plane(tiles, winograd->k_line));
}

static int64_t panels_of(const rk_winograd *winograd) { return rk_div_up(winograd->at.k, winograd->kernels->lanes * RK_CONV_MOST_VECTORS); }

/* Which of the products of blocks apply, 0 or 1: where weights stay in L2 and lines have whole vectors; -1: none. */
static int block_products_of(const rk_conv_plan *plan, const rk_winograd *winograd) {
  const int64_t lanes = winograd->kernels->lanes, weights = winograd->positions * winograd->at.c * winograd->k_line;
  const int which = winograd->k_line == lanes && winograd->c_line == lanes ? 0 : winograd->k_line % (2 * lanes) == 0 ? 1 : -1;
  return which < 0 || weights > RESIDENT_FLOATS || !rk_winograd_transforms_of(plan->isa)->products[which] ? -1 : which;
}

/* Tiles that the products take at once. */
static int64_t rows_of(const rk_conv_plan *plan, const rk_winograd *winograd) {
  const int which = block_products_of(plan, winograd);
  return which < 0 ? winograd->kernels->tile_rows : rk_winograd_transforms_of(plan->isa)->product_rows[which];
}

int rk_winograd_plan(rk_conv_plan *plan) {
  rk_winograd winograd;
  if (rk_winograd_prepare(plan, &winograd) != 0) return -1;
  int64_t rows = rows_of(plan, &winograd), weights = winograd.positions * winograd.at.c * winograd.k_line;
  int64_t larger = weights > LARGE_WEIGHTS ? 2 : 1, most_rows = rk_div_up(larger * BLOCK_MOST_TILES, rows);
  const int64_t floats = block_products_of(plan, &winograd) < 0 ? larger * BLOCK_FLOATS : SHARED_BLOCK_FLOATS;
  int64_t block = rk_max64(rk_min64(floats / tile_floats(&winograd) / rows, most_rows), 1) * rows;
  int64_t per_thread = rk_div_up(winograd.tiles, plan->threads), blocks = rk_div_up(per_thread, block);
  plan->block[UNIT_TILES] = block_products_of(plan, &winograd) < 0 ? 1 : rows;
  plan->block[BLOCK_TILES] = rk_div_up(rk_div_up(per_thread, blocks), plan->block[UNIT_TILES]) * plan->block[UNIT_TILES];
  plan->packed_floats = (size_t)weights;
  plan->pools = plan->pass == RK_CONV_FORWARD;
  plan->adds = plan->pass == RK_CONV_FORWARD ? RK_CONV_ADDS_MEAN : 0;
  /* Traffic beyond L2, in floats: the weights for each block; or once, with all transformed tiles written by one core and read by another,
   * which costs most where a core's L2 does not hold its part of them. */
  int64_t passes = winograd.positions * winograd.tiles * winograd.c_line > BLOCK_FLOATS ? 4 : 2;
  int64_t per_block = plan->threads * blocks * weights, at_once = weights + passes * winograd.tiles * tile_floats(&winograd);
  const int64_t pieces = winograd.positions * panels_of(&winograd);
  plan->block[SHARE_POSITIONS] = weights > RESIDENT_FLOATS && at_once < per_block && pieces <= RK_MOST_PIECES;
  plan->block[ZEROS_AT] = plan->block[SHARE_POSITIONS] ? block_floats(&winograd, winograd.tiles)
                                                       : plan->threads * block_floats(&winograd, plan->block[BLOCK_TILES]);
  plan->scratch_floats = (size_t)(plan->block[ZEROS_AT] + plan->threads * winograd.c_line);
  return 0;
}

/* Vector multiply-adds that one vector of a tile's transforms weighs as much as, for each position. */
#define TRANSFORM_WEIGHT 13.0
/* Tiles whose products take as long as reading one tile's worth of weights from beyond L2: mostly at the same time. Also where one layer's
 * would stay in L2, for those of a whole network do not, and a host's caches are empty after any pause. More than LARGE_WEIGHTS come from
 * memory, where a core waits for some ten bytes a nanosecond at most (7x7x512: 16.8 MB in 0.9 ms, the direct product 0.74). */
#define WEIGHT_READ 24.0
#define LARGE_WEIGHT_READ 40.0
/* The direct product's time for a multiply-add beside the transformed products', whose operands lie closer together. */
#define DIRECT_WEIGHT 1.1

/* What a pass costs, in multiply-adds for one channel and one output: an estimate fitted to measurements (see the benchmark). */
static double cost(const rk_conv_plan *plan, int64_t m) {
  rk_conv_plan forward = *plan;
  rk_correlation at;
  if (plan->pass == RK_CONV_BACKWARD_WEIGHT) forward.pass = RK_CONV_FORWARD;
  rk_conv_correlation(&forward, 0, &at);
  int64_t lanes = rk_conv_kernels_of(plan->isa)->lanes;
  double c = (double)at.c, c_line = (double)(rk_div_up(at.c, lanes) * lanes), k_line = (double)(rk_div_up(at.k, lanes) * lanes);
  double positions = m == 1 ? 9 : (double)((m + 2) * (m + 2)), tiles = (double)(at.n * rk_div_up(at.out_h, m) * rk_div_up(at.out_w, m));
  double products = tiles * (m == 1 ? DIRECT_WEIGHT : 1 + TRANSFORM_WEIGHT * (c_line + k_line) / (c * k_line));
  double read = positions * c * k_line > LARGE_WEIGHTS ? LARGE_WEIGHT_READ : WEIGHT_READ;
  return positions * (products > read ? products + read / 2 : read + products / 2);
}

int rk_winograd_prefers(const rk_conv_plan *plan) {
  if (!applies(plan)) return 0;
  double own = cost(plan, plan->algorithm == RK_CONV_WINOGRAD_F4 ? 4 : 2);
  if (plan->algorithm == RK_CONV_WINOGRAD_F4 && own > cost(plan, 2)) return 0;
  return own < 0.95 * cost(plan, 1);
}

/* ---- Packing: U = G g G^T as [position][panel][c][lanes] ---- */

/* Channels whose filters are gathered at once where the pass exchanges channels and outputs. */
#define GATHER 16

/* dst[channel][tap][lane], taps in the correlation's order, from weight[tap][c0 + lane][k0 + channel]. */
static void gather_filters(const rk_conv_shape *shape, const float *weight, int64_t k0, int64_t channels, int64_t c0, int64_t lanes,
                           float *dst) {
  const int64_t wide = RK_CONV_MOST_ROWS * RK_CONV_MOST_VECTORS;
  for (int64_t tap = 0; tap < 9; tap++)
    for (int64_t lane = 0; lane < lanes; lane++) {
      const float *src = weight + ((8 - tap) * shape->c + c0 + lane) * shape->k + k0;
      for (int64_t channel = 0; channel < channels; channel++) dst[(channel * 9 + tap) * wide + lane] = src[channel];
    }
}

/* dst[channel][tap][lane] from weight[tap][c0 + channel][k0 + lane], each output's scaled; a tap has `there` channels. */
static void scale_filters(const rk_conv_pack_args *args, int64_t there, int64_t k0, int64_t count, int64_t c0, int64_t channels,
                          float *dst) {
  const int64_t wide = RK_CONV_MOST_ROWS * RK_CONV_MOST_VECTORS, k = args->plan->shape.k;
  const rk_conv_kernels *kernels = rk_conv_kernels_of(args->plan->isa);
  for (int64_t tap = 0; tap < 9; tap++)
    kernels->scaled(args->weight + (tap * there + c0) * k + k0, k, args->scale + k0, channels, count, dst + tap * wide, 9 * wide);
}

void rk_winograd_pack(const rk_conv_pack_args *args, const rk_team *team) {
  const rk_conv_plan *plan = args->plan;
  const rk_conv_shape *shape = &plan->shape;
  rk_winograd winograd;
  if (rk_winograd_prepare(plan, &winograd) != 0) return;
  const rk_correlation *at = &winograd.at;
  int64_t vector = winograd.kernels->lanes, wide = vector * RK_CONV_MOST_VECTORS, plane = at->c * winograd.k_line, begin, end;
  const int64_t there = args->channels > 0 ? args->channels : at->c;
  int64_t panels = panels_of(&winograd), groups = rk_div_up(there, GATHER), m4 = winograd.m == 4;
  const rk_winograd_transforms *transforms = rk_winograd_transforms_of(plan->isa);
  float filters[GATHER * 9 * RK_CONV_MOST_ROWS * RK_CONV_MOST_VECTORS];
  const int forward = plan->pass == RK_CONV_FORWARD, as_is = forward && !args->scale;
  rk_share(panels * groups, team, &begin, &end);
  for (int64_t i = begin; i < end; i++) {
    /* Weights are read in the order in which they lie. */
    int64_t panel = forward ? i % panels : i / groups, c0 = (forward ? i / panels : i % groups) * GATHER;
    int64_t k = panel * wide, count = rk_min64(wide, at->k - k), lanes = rk_div_up(count, vector) * vector;
    int64_t channels = rk_min64(GATHER, there - c0);
    float *packed = args->packed + k * at->c + (args->first + c0) * lanes;
    if (!forward) gather_filters(shape, args->weight, c0, channels, k, count, filters);
    if (args->scale) scale_filters(args, there, k, count, c0, channels, filters);
    for (int64_t c = 0; c < channels; c++) {
      const float *weight = as_is ? args->weight + (c0 + c) * shape->k + k : filters + c * 9 * RK_CONV_MOST_ROWS * RK_CONV_MOST_VECTORS;
      int64_t tap_step = as_is ? there * shape->k : RK_CONV_MOST_ROWS * RK_CONV_MOST_VECTORS;
      transforms->weight[m4](weight, tap_step, count, lanes, packed + c * lanes, plane);
    }
  }
}

/* ---- Running ---- */

typedef struct winograd_run {
  const float *src, *packed;
  rk_winograd_output output;
  float *scratch;
} winograd_run;

/* Memory that will be wanted: asked for during the products. */
typedef struct wanted {
  const float *at;
  int64_t floats;
} wanted;

/* Where the outputs of tiles [begin, end) go: whole rows of tiles. They must be fetched before anything can be written to them. */
static wanted outputs_of(const rk_winograd *winograd, const float *dst, int64_t begin, int64_t end) {
  const rk_correlation *at = &winograd->at;
  const int64_t first = begin / winograd->tiles_w, last = rk_div_up(end, winograd->tiles_w);
  const int64_t row = winograd->m * at->dst_row, low = first / winograd->tiles_h * at->dst_image + first % winograd->tiles_h * row;
  const int64_t high = last / winograd->tiles_h * at->dst_image + last % winograd->tiles_h * row;
  return (wanted){dst + at->dst_first + low, high - low};
}

/* products = lines x U for `tiles` tiles in one position and one panel. floats: so many are wanted at `next` (NULL: none). */
static void multiply_panel(const rk_winograd *winograd, const float *packed, const float *lines, int64_t lines_plane, int64_t tiles,
                           int64_t position, int64_t panel, float *products, int64_t products_plane, const float *next, int64_t floats) {
  const rk_conv_kernels *kernels = winograd->kernels;
  const rk_correlation *at = &winograd->at;
  const int64_t wide = kernels->lanes * RK_CONV_MOST_VECTORS, k = panel * wide, row_tiles = rk_div_up(tiles, kernels->tile_rows);
  rk_conv_tile tile = {.src_row = winograd->c_line, .run = at->c, .inner = 1, .outer = 1, .dst_row = winograd->k_line};
  tile.lanes = (int32_t)rk_min64(wide, winograd->k_line - k);
  tile.panel = packed + (position * winograd->k_line + k) * at->c;
  int64_t first = 0;
  for (int64_t i = 0; i < row_tiles; i++) {
    int64_t rows = tiles / row_tiles + (i < tiles % row_tiles), half = rows > 7 ? (rows + 1) / 2 : 0;
    rk_conv_prefetch(&tile, next, floats, at->c, i, row_tiles);
    tile.src = lines + position * lines_plane + first * winograd->c_line;
    tile.src2 = tile.src + half * winograd->c_line;
    tile.dst = products + position * products_plane + first * winograd->k_line + k;
    tile.dst2 = tile.dst + half * winograd->k_line;
    kernels->tile[tile.lanes / kernels->lanes - 1][rows - 1](&tile);
    first += rows;
  }
}

/* The weights that come after a panel, which lie behind it: the next panel's or the next position's first. */
static wanted weights_after(const rk_winograd *winograd, const float *packed, int64_t position, int64_t panel) {
  const int64_t wide = winograd->kernels->lanes * RK_CONV_MOST_VECTORS, end = rk_min64((panel + 1) * wide, winograd->k_line);
  if (position + 1 == winograd->positions && end == winograd->k_line) return (wanted){0};
  return (wanted){packed + (position * winograd->k_line + end) * winograd->at.c, (end - panel * wide) * winograd->at.c};
}

/* The same in all positions and panels. wanted.at NULL: the weights that come next. */
static void multiply(const rk_winograd *winograd, const float *packed, const float *lines, int64_t lines_plane, int64_t tiles,
                     float *products, int64_t products_plane, wanted wanted) {
  const int64_t panels = panels_of(winograd), floats = wanted.floats / (winograd->positions * panels);
  for (int64_t position = 0; position < winograd->positions; position++)
    for (int64_t panel = 0; panel < panels; panel++) {
      const struct wanted next = wanted.at ? (struct wanted){wanted.at + (position * panels + panel) * floats, floats}
                                           : weights_after(winograd, packed, position, panel);
      multiply_panel(winograd, packed, lines, lines_plane, tiles, position, panel, products, products_plane, next.at, next.floats);
    }
}

/* The same, by the products of blocks as far as these go. */
static void multiply_block(const rk_conv_plan *plan, const rk_winograd *winograd, const float *packed, const float *lines,
                           int64_t lines_plane, int64_t tiles, float *products, int64_t products_plane, wanted wanted) {
  const int which = block_products_of(plan, winograd);
  const int64_t unit = plan->block[UNIT_TILES], whole = which < 0 ? 0 : tiles / unit * unit;
  const int64_t panels = panels_of(winograd), weights = winograd->positions * winograd->at.c * winograd->k_line;
  if (whole) {
    if (!wanted.at) /* the weights that come next */
      wanted = (struct wanted){packed + winograd->at.c * winograd->k_line / panels, weights};
    const rk_winograd_products args = {.positions = winograd->positions,
                                       .tiles = whole,
                                       .c = winograd->at.c,
                                       .c_line = winograd->c_line,
                                       .k_line = winograd->k_line,
                                       .lines = lines,
                                       .packed = packed,
                                       .lines_plane = lines_plane,
                                       .products_plane = products_plane,
                                       .products = products,
                                       .wanted = wanted.at,
                                       .wanted_lines = rk_div_up(wanted.floats, 16 * winograd->positions * panels * (whole / unit))};
    rk_winograd_transforms_of(plan->isa)->products[which](&args);
  }
  if (whole < tiles)
    multiply(winograd, packed, lines + whole * winograd->c_line, lines_plane, tiles - whole, products + whole * winograd->k_line,
             products_plane, whole ? (struct wanted){0} : wanted);
}

/* Blocks of tiles: each thread's share of them, then what others have left. */
static void run_blocks(const rk_conv_plan *plan, const rk_winograd *winograd, winograd_run *run, const float *zeros, const rk_team *team) {
  const rk_winograd_transforms *transforms = rk_winograd_transforms_of(plan->isa);
  int64_t most = plan->block[BLOCK_TILES], unit = plan->block[UNIT_TILES], begin, end, m4 = winograd->m == 4;
  int64_t lines_plane = rk_winograd_plane(most, winograd->c_line), products_plane = rk_winograd_plane(most, winograd->k_line);
  float *lines = run->scratch + team->tid * block_floats(winograd, most), *products = lines + winograd->positions * lines_plane;
  int64_t own = rk_min64(rk_div_up(rk_div_up(winograd->tiles, team->nth), most), RK_MOST_PIECES / team->nth);
  run->output.products = products;
  run->output.plane = products_plane;
  const int64_t weights = winograd->positions * winograd->at.c * winograd->k_line;
  const int asks = weights <= RESIDENT_FLOATS && !run->output.pool && !run->output.stream;
  int has_weights = 0; /* after this thread's first block */
  for (int64_t piece = -1; rk_take(team, own * team->nth, &piece);) {
    rk_share(rk_div_up(winograd->tiles, unit), &(rk_team){.tid = (int32_t)(piece / own), .nth = team->nth}, &begin, &end);
    const int64_t first = begin;
    rk_share(end - begin, &(rk_team){.tid = (int32_t)(piece % own), .nth = (int32_t)own}, &begin, &end);
    end = rk_min64((first + end) * unit, winograd->tiles);
    for (int64_t tile = (first + begin) * unit, last; tile < end; tile = last) {
      last = rk_min64(tile + most, end);
      transforms->source[m4](winograd, run->src, zeros, tile, last, lines, lines_plane);
      multiply_block(plan, winograd, run->packed, lines, lines_plane, last - tile, products, products_plane,
                     asks && has_weights ? outputs_of(winograd, run->output.dst, tile, last) : (wanted){0});
      transforms->output[m4](winograd, &run->output, tile, last);
      has_weights = 1;
    }
  }
}

/* All tiles' transforms, then all positions, then all outputs: each core reads its positions' weights only (28x28x512 by F(4x4) at batch 1:
 * 0.81 of the time of blocks; 14x14x256 by F(2x2) 0.87, 14x14x512 0.87 of that of outputs shared panel by panel). */
static void run_positions(const rk_conv_plan *plan, const rk_winograd *winograd, winograd_run *run, const float *zeros, const rk_team *team,
                          const rk_team *whole) {
  const rk_winograd_transforms *transforms = rk_winograd_transforms_of(plan->isa);
  const int64_t lines_plane = rk_winograd_plane(winograd->tiles, winograd->c_line), panels = panels_of(winograd), m4 = winograd->m == 4;
  const int64_t products_plane = rk_winograd_plane(winograd->tiles, winograd->k_line);
  float *lines = run->scratch, *products = lines + winograd->positions * lines_plane;
  int64_t begin = 0, end = 0;
  if (team) {
    rk_share(winograd->tiles, team, &begin, &end);
    transforms->source[m4](winograd, run->src, zeros, begin, end, lines + begin * winograd->c_line, lines_plane);
  }
  rk_team_barrier(whole);
  for (int64_t piece = -1; team && rk_take(team, winograd->positions * panels, &piece);) {
    const int64_t position = piece / panels, panel = piece % panels;
    const wanted next = weights_after(winograd, run->packed, position, panel);
    multiply_panel(winograd, run->packed, lines, lines_plane, winograd->tiles, position, panel, products, products_plane, next.at,
                   next.floats);
  }
  rk_team_barrier(whole);
  if (!team) return;
  run->output.products = products + begin * winograd->k_line;
  run->output.plane = products_plane;
  transforms->output[m4](winograd, &run->output, begin, end);
}

static void run_winograd(const rk_conv_plan *plan, winograd_run *run, const rk_team *whole) {
  rk_winograd winograd;
  if (rk_winograd_prepare(plan, &winograd) != 0) return;
  /* Threads beyond those that the scratch was planned for only wait. */
  const rk_team own = {.tid = whole->tid, .nth = whole->nth < plan->threads ? whole->nth : plan->threads, .barrier = whole->barrier};
  const rk_team *team = whole->tid < plan->threads ? &own : NULL;
  float *zeros = team ? run->scratch + plan->block[ZEROS_AT] + team->tid * winograd.c_line : NULL;
  rk_correlation stored = winograd.at;
  if (run->output.pool) stored.out_h /= 2, stored.out_w /= 2;
  run->output.stream = rk_conv_streams(&stored, winograd.kernels, run->output.dst, run->output.add);
  if (team) memset(zeros, 0, (size_t)winograd.c_line * sizeof(float));
  if (plan->block[SHARE_POSITIONS]) run_positions(plan, &winograd, run, zeros, team, whole);
  else if (team) run_blocks(plan, &winograd, run, zeros, team);
}

void rk_winograd_forward(const rk_conv_forward_args *args, const rk_team *team) {
  winograd_run run = {
      .src = args->src,
      .packed = args->packed,
      .scratch = args->scratch,
      .output = {.bias = args->bias, .add = args->add, .second = args->second, .slope = args->slope, .activation = args->activation, .dst = args->dst, .pool = args->pool}};
  run_winograd(args->plan, &run, team);
}

void rk_winograd_backward_data(const rk_conv_backward_data_args *args, const rk_team *team) {
  winograd_run run = {.src = args->ddst,
                      .packed = args->packed,
                      .scratch = args->scratch,
                      .output = {.add = args->add, .activation = RK_ACTIVATION_NONE, .dst = args->dsrc}};
  run_winograd(args->plan, &run, team);
}
