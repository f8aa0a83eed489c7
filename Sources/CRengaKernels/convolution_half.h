/* convolution_half.h: the micro-kernels of convolution on bf16 operands, for the instruction sets that multiply them.
 * Not here: blocking, packing, threads (convolution_half.c and its parts). */
#ifndef RK_CONVOLUTION_HALF_H
#define RK_CONVOLUTION_HALF_H
#include "convolution_internal.h"

/* Rows of a tile; outputs of a vector; operands of one step of a sum. */
enum { RK_HALF_ROWS = 16, RK_HALF_LANES = 16, RK_HALF_STEP = 32 };
/* Most tiles of a block of one vector; a block of two vectors has half as many. */
enum { RK_HALF_TILES = 4 };
/* bf16 numbers of one step of a panel of one vector: [16 pairs of operands][16 outputs][2]. */
enum { RK_HALF_PANEL = RK_HALF_STEP * RK_HALF_LANES };

/* sums[tile][row][output] = the products of each row's operands with a panel. A row's operands are outer x inner runs of `steps` steps
 * each; what lies behind the end of a run is multiplied with zeros of the panel: unless it is finite, `tail` says where it begins. */
typedef struct rk_half_block {
  const char *src[RK_HALF_TILES];
  int64_t src_row, outer, outer_step, inner, inner_step, steps; /* distances in bytes */
  const uint16_t *panel;
  float *sums;
  int32_t tiles, vectors; /* at most 4 tiles of 1 vector, 2 of 2 */
  int32_t tail; /* operands that a run's last step has: what lies behind them counts as zero, with the same bits; 0: as it is (quicker) */
} rk_half_block;

/* sums[tile][row][16 of 32 outputs] = the products of a filter of three rows with tiles of pixels that lie below each other on a copy of
 * the map in planes of 32 channels: [plane][map row][pixel][32]. A map row's pixels are loaded once for all the filter's rows. */
typedef struct rk_half_slide {
  const char *src;                    /* the first tap's pixels of the first tile, in the first plane */
  int64_t src_row, src_plane, planes; /* distances in bytes */
  int64_t taps, tap_step;             /* of a filter row */
  const uint16_t *panel;              /* [plane][tap of a row][filter row][16 pairs][16 outputs][2] */
  const char *ahead;                  /* weights that are asked for meanwhile: `ahead_lines` cache lines with each tap of a plane */
  int32_t ahead_lines;
  int32_t tiles; /* 1 ... 4 */
  float *sums;
} rk_half_slide;

/* dst = activation(sums + bias + add) for `rows` rows. */
typedef struct rk_half_finish {
  const float *sums; /* [rows][16 vectors] */
  int64_t rows;
  const float *bias, *slope; /* or NULL */
  const uint16_t *add;       /* or NULL; may be dst; its pixels lie add_pixel apart, for the first add_lanes outputs */
  int64_t add_pixel;
  int32_t add_lanes;
  uint16_t *dst;
  int64_t dst_row, add_row; /* add_row: of finish_pooled, from a map row of add to the next */
  rk_activation activation;
  int32_t lanes, vectors;
  int32_t paired; /* the second vector's outputs are those of the first again, with their bias and slope */
  int32_t stream; /* store past the caches; a fence must follow */
} rk_half_finish;

/* dst[channel][pixel] = src[pixel][channel] for at most 32 pixels and 16 channels; whether one of them is infinite or NaN. */
typedef struct rk_half_transpose {
  const uint16_t *src;
  uint16_t *dst;
  int64_t src_pixel, dst_row; /* distances in numbers */
  int32_t pixels, channels;
} rk_half_transpose;

/* Puts pixels first, first + 1, ... of at most 16 outputs into a panel, whose steps are `dst_step` numbers apart: those at even places
 * beside those behind them. What the panel has at other places stays. Whether one of the numbers is infinite or NaN. */
typedef struct rk_half_pairs {
  const uint16_t *src;
  uint16_t *dst;
  int64_t src_pixel, dst_step, first, pixels;
  int32_t outputs;
} rk_half_pairs;

typedef struct rk_half_kernels {
  /* Around all calls of `block`, or all of `slide`, of a thread: makes tiles of `rows` rows ready, and gives the registers back. */
  void (*begin)(int32_t rows, int slides);
  void (*end)(void);
  void (*block)(const rk_half_block *block, int32_t rows);
  void (*slide)(const rk_half_slide *slide, int32_t rows); /* NULL where the set has none; then there is no finish_pooled either */
  void (*finish)(const rk_half_finish *finish);
  /* The same for two map rows of pixels, the sums of the second `below` behind those of the first, two vectors: of each 2x2 pixels the
   * largest. */
  void (*finish_pooled)(const rk_half_finish *finish, int64_t below);
  void (*stream_fence)(void);
  /* Copies 32 numbers of each of `pixels` pixels. */
  void (*plane)(const uint16_t *src, int64_t src_pixel, int64_t pixels, uint16_t *dst);
  /* Copies `count` numbers; whether one of them is infinite or NaN. */
  int (*copy)(const uint16_t *src, int64_t count, uint16_t *dst);
  /* Whether one of `count` numbers of each of `rows` rows is infinite or NaN. */
  int (*wild)(const uint16_t *src, int64_t row, int64_t rows, int64_t count);
  int (*transpose)(const rk_half_transpose *transpose);
  int (*pairs)(const rk_half_pairs *pairs);
} rk_half_kernels;

/* NULL where the set has no products of bf16. */
const rk_half_kernels *rk_half_kernels_of(rk_isa isa);

int rk_half_prefers(const rk_conv_plan *plan);
int rk_half_plan(rk_conv_plan *plan);
void rk_half_pack(const rk_conv_pack_args *args, const rk_team *team);
void rk_half_forward(const rk_conv_forward_args *args, const rk_team *team);
int rk_half_backward_weight_plan(rk_conv_plan *plan);
void rk_half_backward_weight(const rk_conv_backward_weight_args *args, const rk_team *team);
void rk_half_backward_data(const rk_conv_backward_data_args *args, const rk_team *team);
#endif
