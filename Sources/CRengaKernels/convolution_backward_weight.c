/* convolution_backward_weight.c: the direct algorithm of backward-weight: for each tap, a sum of outer products over the pixels it sees.
 * Not here: the products (convolution_kernels.h).
 *
 * dweight is cut into blocks of channels by outputs that stay in L2, and, where these are few, the rows of all images into pieces whose
 * partial sums are added at the end in order. Blocks and pieces follow from the shape alone: same bits for any team. A tap that leaves the
 * map sees a smaller rectangle of pixels: nothing is padded. Nothing is copied either, but for the operands of a matrix whose rows lie so far
 * apart that they evict each other. */
#include "convolution_internal.h"
#include <string.h>

/* Floats of a block of dweight: 384 KB of a 2 MB L2. */
#define BLOCK_FLOATS (96 * 1024)
/* Most outputs of a block. */
#define BLOCK_K 128
/* Blocks that need no pieces to keep a team busy; floats that all partial sums together aim at; most pieces. */
#define ENOUGH_BLOCKS 8
#define PARTIAL_FLOATS (512 * 1024)
#define MOST_PIECES 32
/* Floats of operands that the tiles of a block share in L1, and pixels below which the sums' loads and stores weigh too much. */
#define BAND_FLOATS 8192
#define BAND_PIXELS 64

/* Rows of a matrix that lie a multiple of so many floats apart fall into few sets of L1: half a page. */
#define CONFLICT_FLOATS 512

/* A pass made ready. Rows are output rows; a 1x1 filter over all pixels is one row of n oh ow pixels. */
typedef struct backward {
  rk_conv_shape shape;
  const rk_conv_kernels *kernels;
  int64_t group_c, group_k;
  int64_t block_c, blocks_c, block_k, blocks_k; /* of one group */
  int64_t units, pieces;                        /* units: rows, or the pixels of a matrix */
  int is_matrix;
  int64_t weights; /* floats of dweight */
  int64_t c_pitch, k_pitch; /* floats of a row of copied operands; 0: none are copied */
  int64_t band_pixels;      /* of a matrix */
} backward;

/* Floats of a row in a copy: an odd number of cache lines. */
static int64_t pitch_of(int64_t floats) { return rk_div_up(floats, 16) / 2 * 32 + 16; }

static void prepare(const rk_conv_plan *plan, backward *backward) {
  rk_conv_shape *shape = &backward->shape;
  *shape = plan->shape;
  backward->kernels = rk_conv_kernels_of(plan->isa);
  backward->group_c = shape->c / shape->groups;
  backward->group_k = shape->k / shape->groups;
  backward->weights = shape->r * shape->s * backward->group_c * shape->k;
  backward->blocks_k = rk_div_up(backward->group_k, BLOCK_K);
  int64_t wide = backward->kernels->lanes * RK_CONV_MOST_VECTORS;
  backward->block_k = rk_div_up(rk_div_up(backward->group_k, backward->blocks_k), wide) * wide;
  backward->blocks_k = rk_div_up(backward->group_k, backward->block_k);
  int64_t most_c = rk_max64(BLOCK_FLOATS / (shape->r * shape->s * backward->block_k), RK_CONV_MOST_ROWS);
  backward->blocks_c = rk_div_up(backward->group_c, most_c);
  backward->block_c = rk_div_up(backward->group_c, backward->blocks_c);
  backward->blocks_c = rk_div_up(backward->group_c, backward->block_c);
  backward->is_matrix = shape->r * shape->s == 1 && shape->stride_h == 1 && shape->stride_w == 1 && shape->pad_top == 0 &&
                        shape->pad_left == 0 && shape->oh == shape->h && shape->ow == shape->w;
  if (backward->is_matrix) {
    shape->w = shape->ow = shape->n * shape->oh * shape->ow;
    shape->n = shape->h = shape->oh = 1;
  }
  backward->c_pitch = backward->k_pitch = 0;
  backward->band_pixels = rk_max64(BAND_FLOATS / (backward->block_c + backward->block_k), BAND_PIXELS);
  if (backward->is_matrix && (shape->c % CONFLICT_FLOATS == 0 || shape->k % CONFLICT_FLOATS == 0)) {
    backward->c_pitch = pitch_of(backward->block_c);
    backward->k_pitch = pitch_of(backward->block_k);
  }
  backward->units = backward->is_matrix ? shape->ow : shape->n * shape->oh;
  int64_t pieces = plan->alone || shape->groups * backward->blocks_c * backward->blocks_k >= ENOUGH_BLOCKS ? 1 : MOST_PIECES;
  while (pieces > 4 && pieces * backward->weights > PARTIAL_FLOATS) pieces /= 2;
  backward->pieces = rk_min64(pieces, backward->is_matrix ? rk_div_up(backward->units, BAND_PIXELS) : backward->units);
}

int rk_conv_direct_backward_weight_plan(rk_conv_plan *plan) {
  backward backward;
  prepare(plan, &backward);
  plan->block[0] = backward.pieces;
  plan->packed_floats = 0;
  plan->block[1] = backward.pieces == 1 ? 0 : rk_div_up(backward.pieces * (backward.weights + plan->shape.k), 16) * 16;
  plan->block[2] = backward.band_pixels * (backward.c_pitch + backward.k_pitch);
  plan->scratch_floats = (size_t)(plan->block[1] + plan->threads * plan->block[2]);
  return 0;
}

/* One block of one group, and where its sums go. */
typedef struct block {
  int64_t group, c0, c, k0, k; /* counted within the group */
  float *dweight, *dbias;      /* of the whole layer: dweight itself or a piece's partial sums; dbias NULL where another block sums it */
} block;

/* All tiles of a block, whose first operands are at src and ddst. */
static void add_products(const backward *backward, const block *block, rk_conv_outer *outer, const float *src, const float *ddst,
                         float *dweight) {
  const rk_conv_kernels *kernels = backward->kernels;
  int64_t wide = kernels->lanes * RK_CONV_MOST_VECTORS;
  for (int64_t k = 0; k < block->k; k += wide) {
    outer->lanes = (int32_t)rk_min64(wide, block->k - k);
    int64_t vectors = rk_div_up(outer->lanes, kernels->lanes), tiles = rk_div_up(block->c, kernels->outer_rows[vectors - 1]), c = 0;
    outer->ddst = ddst + k;
    for (int64_t i = 0; i < tiles; i++) {
      int64_t rows = block->c / tiles + (i < block->c % tiles);
      outer->src = src + c;
      outer->dweight = dweight + c * backward->shape.k + k;
      kernels->outer[vectors - 1][rows - 1](outer);
      c += rows;
    }
  }
}

/* `count` rows of a matrix from row `first`, through copies. */
static void add_copies(const backward *backward, const rk_conv_backward_weight_args *args, const block *block, int64_t first, int64_t count,
                       float *copy) {
  const rk_conv_shape *shape = &backward->shape;
  int64_t first_c = block->group * backward->group_c + block->c0, first_k = block->group * backward->group_k + block->k0;
  float *src = copy, *ddst = copy + backward->band_pixels * backward->c_pitch;
  const float *from_src = (const float *)args->src + first * shape->c + first_c;
  const float *from_ddst = (const float *)args->ddst + first * shape->k + first_k;
  for (int64_t i = 0; i < count; i++) {
    memcpy(src + i * backward->c_pitch, from_src + i * shape->c, (size_t)block->c * sizeof(float));
    memcpy(ddst + i * backward->k_pitch, from_ddst + i * shape->k, (size_t)block->k * sizeof(float));
  }
  rk_conv_outer outer = {
      .n = 1, .h = 1, .w = count, .src_pixel = backward->c_pitch, .ddst_pixel = backward->k_pitch, .dweight_row = shape->k};
  add_products(backward, block, &outer, src, ddst, block->dweight + block->c0 * shape->k + first_k);
}

/* One tap over rows [y0, y1) and columns [x0, x1) of `images` images from n. */
static void add_tap(const backward *backward, const rk_conv_backward_weight_args *args, const block *block, int64_t r, int64_t s, int64_t n,
                    int64_t images, int64_t y0, int64_t y1, int64_t x0, int64_t x1) {
  const rk_conv_shape *shape = &backward->shape;
  int64_t shift_h = r * shape->dilation_h - shape->pad_top, shift_w = s * shape->dilation_w - shape->pad_left;
  rk_conv_clip(shift_h, shape->stride_h, shape->h, &y0, &y1);
  rk_conv_clip(shift_w, shape->stride_w, shape->w, &x0, &x1);
  if (y0 >= y1 || x0 >= x1) return;
  int64_t src_row = shape->w * shape->c, ddst_row = shape->ow * shape->k;
  rk_conv_outer outer = {
      .n = images,
      .h = y1 - y0,
      .w = x1 - x0,
      .src_image = shape->h * src_row,
      .src_row = shape->stride_h * src_row,
      .src_pixel = shape->stride_w * shape->c,
      .ddst_image = shape->oh * ddst_row,
      .ddst_row = ddst_row,
      .ddst_pixel = shape->k,
      .dweight_row = shape->k,
  };
  const float *src = (const float *)args->src + (n * shape->h + y0 * shape->stride_h + shift_h) * src_row + (x0 * shape->stride_w + shift_w) * shape->c +
                     block->group * backward->group_c + block->c0;
  int64_t first_k = block->group * backward->group_k + block->k0;
  const float *ddst = (const float *)args->ddst + (n * shape->oh + y0) * ddst_row + x0 * shape->k + first_k;
  float *dweight = block->dweight + ((r * shape->s + s) * backward->group_c + block->c0) * shape->k + first_k;
  add_products(backward, block, &outer, src, ddst, dweight);
}

static void add_taps(const backward *backward, const rk_conv_backward_weight_args *args, const block *block, int64_t n, int64_t images,
                     int64_t y0, int64_t y1, int64_t x0, int64_t x1) {
  for (int64_t r = 0; r < backward->shape.r; r++)
    for (int64_t s = 0; s < backward->shape.s; s++) add_tap(backward, args, block, r, s, n, images, y0, y1, x0, x1);
}

/* Units [begin, end) in order, band by band. */
static void add_units(const backward *backward, const rk_conv_backward_weight_args *args, const block *block, int64_t begin, int64_t end,
                      float *copy) {
  const rk_conv_shape *shape = &backward->shape;
  int64_t pixel_floats = block->c * shape->stride_h * shape->stride_w + block->k;
  int64_t pixels = rk_max64(BAND_FLOATS / pixel_floats, BAND_PIXELS), rows = rk_max64(pixels / shape->ow, 1);
  for (int64_t unit = begin; unit < end;) {
    if (backward->is_matrix) {
      int64_t count = rk_min64(backward->c_pitch ? backward->band_pixels : pixels, end - unit);
      if (backward->c_pitch) add_copies(backward, args, block, unit, count, copy);
      else add_taps(backward, args, block, 0, 1, 0, 1, unit, unit + count);
      unit += count;
      continue;
    }
    int64_t n = unit / shape->oh, y = unit % shape->oh, images = rk_min64(end - unit, rows) / shape->oh;
    if (y == 0 && images > 1) {
      add_taps(backward, args, block, n, images, 0, shape->oh, 0, shape->ow);
      unit += images * shape->oh;
    } else {
      int64_t count = rk_min64(rows, rk_min64(end - unit, shape->oh - y));
      add_taps(backward, args, block, n, 1, y, y + count, 0, shape->ow);
      unit += count;
    }
  }
}

/* Sums the bias gradient of a block's outputs over its units. */
static void add_bias(const backward *backward, const rk_conv_backward_weight_args *args, const block *block, int64_t begin, int64_t end) {
  const rk_conv_shape *shape = &backward->shape;
  int64_t unit_pixels = backward->is_matrix ? 1 : shape->ow, first_k = block->group * backward->group_k + block->k0;
  for (int64_t pixel = begin * unit_pixels; pixel < end * unit_pixels; pixel += 256)
    backward->kernels->column_sum((const float *)args->ddst + pixel * shape->k + first_k, rk_min64(256, end * unit_pixels - pixel), shape->k, block->k,
                                  block->dbias + first_k);
}

/* One task: a block over a piece of the rows. */
static void run_task(const backward *backward, const rk_conv_backward_weight_args *args, int64_t task, float *copy) {
  const rk_conv_shape *shape = &backward->shape;
  int64_t piece = task % backward->pieces, index = task / backward->pieces, begin, end;
  int64_t block_k = index % backward->blocks_k, block_c = index / backward->blocks_k % backward->blocks_c;
  float *sums = backward->pieces == 1 ? args->dweight : args->scratch + piece * (backward->weights + shape->k);
  float *bias = backward->pieces == 1 ? args->dbias : sums + backward->weights;
  block block = {
      .group = index / backward->blocks_k / backward->blocks_c,
      .c0 = block_c * backward->block_c,
      .k0 = block_k * backward->block_k,
      .dweight = sums,
      .dbias = args->dbias && block_c == 0 ? bias : NULL,
  };
  block.c = rk_min64(backward->block_c, backward->group_c - block.c0);
  block.k = rk_min64(backward->block_k, backward->group_k - block.k0);
  int64_t first_k = block.group * backward->group_k + block.k0, taps = shape->r * shape->s;
  for (int64_t tap = 0; tap < taps; tap++)
    for (int64_t c = 0; c < block.c; c++)
      memset(sums + (tap * backward->group_c + block.c0 + c) * shape->k + first_k, 0, (size_t)block.k * sizeof(float));
  rk_share(backward->units, &(rk_team){.tid = (int32_t)piece, .nth = (int32_t)backward->pieces}, &begin, &end);
  add_units(backward, args, &block, begin, end, copy);
  if (!block.dbias) return;
  memset(block.dbias + first_k, 0, (size_t)block.k * sizeof(float));
  add_bias(backward, args, &block, begin, end);
}

void rk_conv_add_pieces(const float *partial, int64_t pieces, int64_t stride, int64_t begin, int64_t end, float *dst) {
  for (int64_t first = begin; first < end; first += 1024) {
    int64_t last = rk_min64(first + 1024, end);
    memcpy(dst + first, partial + first, (size_t)(last - first) * sizeof(float));
    for (int64_t piece = 1; piece < pieces; piece++)
      for (int64_t i = first; i < last; i++) dst[i] += partial[piece * stride + i];
  }
}

void rk_conv_direct_backward_weight(const rk_conv_backward_weight_args *args, const rk_team *team) {
  backward backward;
  prepare(args->plan, &backward);
  int64_t begin, end, k = backward.shape.k, stride = backward.weights + k;
  const rk_conv_plan *plan = args->plan;
  if (team->tid < plan->threads) {
    const rk_team own = {.tid = team->tid, .nth = team->nth < plan->threads ? team->nth : plan->threads};
    rk_share(backward.shape.groups * backward.blocks_c * backward.blocks_k * backward.pieces, &own, &begin, &end);
    for (int64_t task = begin; task < end; task++) run_task(&backward, args, task, args->scratch + plan->block[1] + own.tid * plan->block[2]);
  }
  if (backward.pieces == 1) return;
  rk_team_barrier(team);
  rk_share(backward.weights, team, &begin, &end);
  rk_conv_add_pieces(args->scratch, backward.pieces, stride, begin, end, args->dweight);
  if (args->dbias && team->tid == 0) rk_conv_add_pieces(args->scratch + backward.weights, backward.pieces, stride, 0, k, args->dbias);
}
