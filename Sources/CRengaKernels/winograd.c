/* winograd.c: forward and backward-data of 3x3 filters of stride 1 by Winograd's F(4x4, 3x3) and F(2x2, 3x3).
 * Not here: the transforms (winograd_kernels.h), planning (winograd_plan.c), packing (winograd_pack.c), backward-weight
 * (winograd_backward_weight.c).
 *
 * Each thread takes blocks of tiles through transform, `positions` matrix products and inverse transform, all within its L2. Where the
 * transformed weights are too many to be read by each thread, all tiles are transformed first and the threads share the positions instead.
 * No output's sum depends on that choice, on the blocks or on the team. */
#include "winograd_plan.h"
#include <string.h>

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
  const int64_t panels = rk_winograd_panels(winograd), floats = wanted.floats / (winograd->positions * panels);
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
  const int which = rk_winograd_block_products(plan, winograd);
  const int64_t unit = plan->block[RK_WINOGRAD_UNIT_TILES], whole = which < 0 ? 0 : tiles / unit * unit;
  const int64_t panels = rk_winograd_panels(winograd), weights = winograd->positions * winograd->at.c * winograd->k_line;
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
  int64_t most = plan->block[RK_WINOGRAD_BLOCK_TILES], unit = plan->block[RK_WINOGRAD_UNIT_TILES], begin, end, m4 = winograd->m == 4;
  int64_t lines_plane = rk_winograd_plane(most, winograd->c_line), products_plane = rk_winograd_plane(most, winograd->k_line);
  float *lines = run->scratch + team->tid * rk_winograd_block_floats(winograd, most), *products = lines + winograd->positions * lines_plane;
  int64_t own = rk_min64(rk_div_up(rk_div_up(winograd->tiles, team->nth), most), RK_MOST_PIECES / team->nth);
  run->output.products = products;
  run->output.plane = products_plane;
  const int64_t weights = winograd->positions * winograd->at.c * winograd->k_line;
  const int asks = weights <= RK_WINOGRAD_RESIDENT_FLOATS && !run->output.pool && !run->output.stream;
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
  const int64_t panels = rk_winograd_panels(winograd), m4 = winograd->m == 4;
  const int64_t lines_plane = rk_winograd_plane(winograd->tiles, winograd->c_line);
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
  float *zeros = team ? run->scratch + plan->block[RK_WINOGRAD_ZEROS_AT] + team->tid * winograd.c_line : NULL;
  rk_correlation stored = winograd.at;
  if (run->output.pool) stored.out_h /= 2, stored.out_w /= 2;
  run->output.stream = rk_conv_streams(&stored, winograd.kernels, run->output.dst, run->output.add);
  if (team) memset(zeros, 0, (size_t)winograd.c_line * sizeof(float));
  if (plan->block[RK_WINOGRAD_SHARE_POSITIONS]) run_positions(plan, &winograd, run, zeros, team, whole);
  else if (team) run_blocks(plan, &winograd, run, zeros, team);
}

void rk_winograd_forward(const rk_conv_forward_args *args, const rk_team *team) {
  winograd_run run = {
      .src = args->src,
      .packed = args->packed,
      .scratch = args->scratch,
      .output = {.bias = args->bias,
                 .add = args->add,
                 .second = args->second,
                 .slope = args->slope,
                 .activation = args->activation,
                 .dst = args->dst,
                 .pool = args->pool}};
  run_winograd(args->plan, &run, team);
}

void rk_winograd_backward_data(const rk_conv_backward_data_args *args, const rk_team *team) {
  winograd_run run = {.src = args->ddst,
                      .packed = args->packed,
                      .scratch = args->scratch,
                      .output = {.add = args->add, .activation = RK_ACTIVATION_NONE, .dst = args->dsrc}};
  run_winograd(args->plan, &run, team);
}
