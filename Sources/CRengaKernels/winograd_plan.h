/* winograd_plan.h: what a plan of Winograd's forward pass or backward-data holds, and what follows from it: for planning, packing and
 * running. Not here: backward-weight, whose plan holds other things (winograd_backward_weight.c). */
#ifndef RK_WINOGRAD_PLAN_H
#define RK_WINOGRAD_PLAN_H
#include "winograd_internal.h"

/* Floats of transformed weights that stay in L2 between blocks. */
#define RK_WINOGRAD_RESIDENT_FLOATS (256 * 1024)

/* plan->block: tiles of a block; whether threads share the positions instead; floats of scratch before the lines of zeros; tiles that a
 * block is whole numbers of. */
enum { RK_WINOGRAD_BLOCK_TILES = 0, RK_WINOGRAD_SHARE_POSITIONS = 1, RK_WINOGRAD_ZEROS_AT = 2, RK_WINOGRAD_UNIT_TILES = 3 };

/* Scratch for the planes of `tiles` tiles, source and output. */
static inline int64_t rk_winograd_block_floats(const rk_winograd *winograd, int64_t tiles) {
  return winograd->positions * (rk_winograd_plane(tiles, winograd->c_line) + rk_winograd_plane(tiles, winograd->k_line));
}

static inline int64_t rk_winograd_panels(const rk_winograd *winograd) {
  return rk_div_up(winograd->at.k, winograd->kernels->lanes * RK_CONV_MOST_VECTORS);
}

/* Which of the products of blocks apply, 0 or 1: where weights stay in L2 and lines have whole vectors; -1: none. */
int rk_winograd_block_products(const rk_conv_plan *plan, const rk_winograd *winograd);
#endif
