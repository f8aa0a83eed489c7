/* winograd_backward_weight.c: backward-weight of 3x3 filters of stride 1 by the transpose of Winograd's F(4x4, 3x3):
 *   dW = G^T [sum over tiles of (B^T d B) (x) (A dY A^T)] G,
 * 36 outer products a tile where the direct method has 144. Not here: the transforms (winograd_kernels.h).
 *
 * The tiles are cut into pieces that follow from the shape alone, each with its own sums, which are added in order: same bits for any team.
 */
#include "winograd_internal.h"
#include <string.h>

/* Floats that all pieces' sums aim at; most pieces, and fewest where the sums are large. */
#define SUM_FLOATS (768 * 1024)
#define MOST_PIECES 32
#define FEWEST_PIECES 4
/* Floats of the transformed tiles of a block, which share L2 with a piece's sums. */
#define BLOCK_FLOATS (160 * 1024)
#define MOST_BLOCK 64
/* Floats of sums beyond which they leave L2 and the direct method wins. */
#define MOST_SUM_FLOATS (320 * 1024)

/* plan->block: pieces; tiles of a block; floats of one piece's scratch. */
enum { PIECES = 0, BLOCK_TILES = 1, PIECE_FLOATS = 2 };

/* Floats from one position's sums to the next: apart from each other in the sets of a cache, as planes of tiles are. */
static int64_t sum_plane(const rk_winograd *winograd) { return rk_winograd_plane(winograd->at.c, winograd->k_line); }
static int64_t sum_floats(const rk_winograd *winograd) { return winograd->positions * sum_plane(winograd); }

int rk_winograd_backward_weight_plan(rk_conv_plan *plan) {
  rk_winograd winograd;
  if (plan->algorithm != RK_CONV_WINOGRAD_F4 || rk_winograd_prepare(plan, &winograd) != 0) return -1;
  int64_t lines = winograd.c_line + winograd.k_line, pieces = plan->alone ? 1 : MOST_PIECES;
  while (pieces > FEWEST_PIECES && pieces * sum_floats(&winograd) > SUM_FLOATS) pieces /= 2;
  plan->block[PIECES] = rk_min64(pieces, rk_div_up(winograd.tiles, 16));
  int64_t block = rk_min64(rk_max64(BLOCK_FLOATS / (winograd.positions * lines), 16), MOST_BLOCK);
  int64_t most = rk_div_up(winograd.tiles, plan->block[PIECES]);
  plan->block[BLOCK_TILES] = rk_div_up(most, rk_div_up(most, block));
  plan->block[PIECE_FLOATS] = sum_floats(&winograd) + winograd.k_line;
  block = plan->block[BLOCK_TILES];
  int64_t planes = rk_winograd_plane(block, winograd.c_line) + rk_winograd_plane(block, winograd.k_line);
  int64_t per_thread = winograd.positions * planes + rk_max64(winograd.c_line, winograd.k_line);
  plan->scratch_floats = (size_t)(plan->block[PIECES] * plan->block[PIECE_FLOATS] + plan->threads * per_thread);
  return 0;
}

int rk_winograd_backward_weight_prefers(const rk_conv_plan *plan) {
  rk_winograd winograd;
  return rk_winograd_prepare(plan, &winograd) == 0 && sum_floats(&winograd) <= MOST_SUM_FLOATS && rk_winograd_prefers(plan);
}

/* sums[position][c][k] += the block's lines[position][tile][c] gradients[position][tile][k]; `first`: they begin with that. */
static void add_products(const rk_winograd *winograd, const float *lines, const float *gradients, int64_t most, int64_t tiles, int first,
                         float *sums) {
  const rk_conv_kernels *kernels = winograd->kernels;
  int64_t wide = kernels->lanes * RK_CONV_MOST_VECTORS, channels = winograd->at.c;
  rk_conv_outer outer = {
      .n = 1, .h = 1, .w = tiles, .src_pixel = winograd->c_line, .ddst_pixel = winograd->k_line, .dweight_row = winograd->k_line,
      .begins = first};
  for (int64_t position = 0; position < winograd->positions; position++)
    for (int64_t k = 0; k < winograd->k_line; k += wide) {
      outer.lanes = (int32_t)rk_min64(wide, winograd->k_line - k);
      int64_t vectors = outer.lanes / kernels->lanes, heights = rk_div_up(channels, kernels->outer_rows[vectors - 1]), c = 0;
      outer.ddst = gradients + position * rk_winograd_plane(most, winograd->k_line) + k;
      for (int64_t i = 0; i < heights; i++) {
        int64_t rows = channels / heights + (i < channels % heights);
        outer.src = lines + position * rk_winograd_plane(most, winograd->c_line) + c;
        outer.dweight = sums + position * sum_plane(winograd) + c * winograd->k_line + k;
        kernels->outer[vectors - 1][rows - 1](&outer);
        c += rows;
      }
    }
}

/* The bias gradient of output rows [begin, end) of all images. */
static void add_bias(const rk_conv_backward_weight_args *args, const rk_winograd *winograd, int64_t begin, int64_t end, float *dbias) {
  int64_t pixels = winograd->at.out_w, k = winograd->at.k;
  for (int64_t row = begin; row < end; row++) winograd->kernels->column_sum((const float *)args->ddst + row * pixels * k, pixels, k, k, dbias);
}

static void run_piece(const rk_conv_backward_weight_args *args, const rk_winograd *winograd, int64_t piece, float *lines) {
  const rk_conv_plan *plan = args->plan;
  const rk_winograd_transforms *transforms = rk_winograd_transforms_of(plan->isa);
  const rk_team pieces = {.tid = (int32_t)piece, .nth = (int32_t)plan->block[PIECES]};
  int64_t most = plan->block[BLOCK_TILES], begin, end;
  float *sums = args->scratch + piece * plan->block[PIECE_FLOATS];
  int64_t lines_plane = rk_winograd_plane(most, winograd->c_line), gradients_plane = rk_winograd_plane(most, winograd->k_line);
  float *gradients = lines + winograd->positions * lines_plane, *zeros = gradients + winograd->positions * gradients_plane;
  memset(zeros, 0, (size_t)rk_max64(winograd->c_line, winograd->k_line) * sizeof(float));
  rk_share(winograd->tiles, &pieces, &begin, &end);
  for (int64_t tile = begin; tile < end; tile += most) {
    int64_t last = rk_min64(tile + most, end);
    transforms->source[1](winograd, args->src, zeros, tile, last, lines, lines_plane);
    transforms->gradient(winograd, args->ddst, zeros, tile, last, gradients, gradients_plane);
    add_products(winograd, lines, gradients, most, last - tile, tile == begin, sums);
  }
  if (!args->dbias) return;
  memset(sums + sum_floats(winograd), 0, (size_t)winograd->k_line * sizeof(float));
  rk_share(winograd->at.n * winograd->at.out_h, &pieces, &begin, &end);
  add_bias(args, winograd, begin, end, sums + sum_floats(winograd));
}

void rk_winograd_backward_weight(const rk_conv_backward_weight_args *args, const rk_team *team) {
  const rk_conv_plan *plan = args->plan;
  rk_winograd winograd;
  if (rk_winograd_prepare(plan, &winograd) != 0) return;
  int64_t begin, end, pieces = plan->block[PIECES], step = plan->block[PIECE_FLOATS];
  if (team->tid < plan->threads) {
    const rk_team own = {.tid = team->tid, .nth = team->nth < plan->threads ? team->nth : plan->threads};
    int64_t per_thread = ((int64_t)plan->scratch_floats - pieces * step) / plan->threads;
    rk_share(pieces, &own, &begin, &end);
    for (int64_t piece = begin; piece < end; piece++)
      run_piece(args, &winograd, piece, args->scratch + pieces * step + own.tid * per_thread);
  }
  rk_team_barrier(team);
  rk_share(winograd.at.c, team, &begin, &end);
  for (int64_t c = begin; c < end; c++)
    rk_winograd_transforms_of(plan->isa)->weight_gradient(&winograd, args->scratch, pieces, step, c, args->dweight);
  if (!args->dbias || team->tid != 0) return;
  const float *dbias = args->scratch + sum_floats(&winograd);
  for (int64_t k = 0; k < winograd.at.k; k++) {
    float sum = dbias[k];
    for (int64_t piece = 1; piece < pieces; piece++) sum += dbias[piece * step + k];
    args->dbias[k] = sum;
  }
}
