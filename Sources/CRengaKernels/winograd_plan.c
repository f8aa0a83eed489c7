/* winograd_plan.c: whether Winograd's convolution applies and is to be preferred, how its tiles lie and what its forward pass and
 * backward-data need. Not here: backward-weight's plan (winograd_backward_weight.c), running (winograd.c). */
#include "winograd_plan.h"

/* Floats of a block's transformed tiles: 2 MB, what an L2 holds, and most tiles; both twice that where the weights, which each block reads
 * from beyond L2, are the larger part (256 channels on 56x56: 1.06 times as fast). */
#define BLOCK_FLOATS (512 * 1024)
#define BLOCK_MOST_TILES 28
/* The same where weights stay in L2, and with them the maps of a band. */
#define SHARED_BLOCK_FLOATS (80 * 1024)
#define LARGE_WEIGHTS (2 * 1024 * 1024)

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

static int64_t tile_floats(const rk_winograd *winograd) { return winograd->positions * (winograd->c_line + winograd->k_line); }

/* Which of the products of blocks apply, 0 or 1: where weights stay in L2 and lines have whole vectors; -1: none. */
int rk_winograd_block_products(const rk_conv_plan *plan, const rk_winograd *winograd) {
  const int64_t lanes = winograd->kernels->lanes, weights = winograd->positions * winograd->at.c * winograd->k_line;
  const int which = winograd->k_line == lanes && winograd->c_line == lanes ? 0 : winograd->k_line % (2 * lanes) == 0 ? 1 : -1;
  return which < 0 || weights > RK_WINOGRAD_RESIDENT_FLOATS || !rk_winograd_transforms_of(plan->isa)->products[which] ? -1 : which;
}

/* Tiles that the products take at once. */
static int64_t rows_of(const rk_conv_plan *plan, const rk_winograd *winograd) {
  const int which = rk_winograd_block_products(plan, winograd);
  return which < 0 ? winograd->kernels->tile_rows : rk_winograd_transforms_of(plan->isa)->product_rows[which];
}

int rk_winograd_plan(rk_conv_plan *plan) {
  rk_winograd winograd;
  if (rk_winograd_prepare(plan, &winograd) != 0) return -1;
  int64_t rows = rows_of(plan, &winograd), weights = winograd.positions * winograd.at.c * winograd.k_line;
  int64_t larger = weights > LARGE_WEIGHTS ? 2 : 1, most_rows = rk_div_up(larger * BLOCK_MOST_TILES, rows);
  const int64_t floats = rk_winograd_block_products(plan, &winograd) < 0 ? larger * BLOCK_FLOATS : SHARED_BLOCK_FLOATS;
  int64_t block = rk_max64(rk_min64(floats / tile_floats(&winograd) / rows, most_rows), 1) * rows;
  int64_t per_thread = rk_div_up(winograd.tiles, plan->threads), blocks = rk_div_up(per_thread, block);
  const int64_t unit = rk_winograd_block_products(plan, &winograd) < 0 ? 1 : rows;
  plan->block[RK_WINOGRAD_UNIT_TILES] = unit;
  plan->block[RK_WINOGRAD_BLOCK_TILES] = rk_div_up(rk_div_up(per_thread, blocks), unit) * unit;
  plan->packed_floats = (size_t)weights;
  plan->pools = plan->pass == RK_CONV_FORWARD;
  plan->adds = plan->pass == RK_CONV_FORWARD ? RK_CONV_ADDS_MEAN : 0;
  /* Traffic beyond L2, in floats: the weights for each block; or once, with all transformed tiles written by one core and read by another,
   * which costs most where a core's L2 does not hold its part of them. */
  int64_t passes = winograd.positions * winograd.tiles * winograd.c_line > BLOCK_FLOATS ? 4 : 2;
  int64_t per_block = plan->threads * blocks * weights, at_once = weights + passes * winograd.tiles * tile_floats(&winograd);
  const int64_t pieces = winograd.positions * rk_winograd_panels(&winograd);
  plan->block[RK_WINOGRAD_SHARE_POSITIONS] = weights > RK_WINOGRAD_RESIDENT_FLOATS && at_once < per_block && pieces <= RK_MOST_PIECES;
  const int64_t planes = plan->block[RK_WINOGRAD_SHARE_POSITIONS]
                             ? rk_winograd_block_floats(&winograd, winograd.tiles)
                             : plan->threads * rk_winograd_block_floats(&winograd, plan->block[RK_WINOGRAD_BLOCK_TILES]);
  plan->block[RK_WINOGRAD_ZEROS_AT] = planes;
  plan->scratch_floats = (size_t)(planes + plan->threads * winograd.c_line);
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

