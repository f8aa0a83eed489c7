/* winograd_internal.h: what the files of Winograd's convolution share: the tiling of one correlation and the table of transforms.
 * Not here: the algorithm itself (winograd.c, winograd_backward_weight.c), plans of forward and backward-data (winograd_plan.h).
 *
 * F(m x m, 3 x 3) (Lavin and Gray, 2016): an output tile of m x m pixels from an input tile of a x a, a = m + 2, as
 *   Y = A^T [sum over c of (G g G^T) (B^T d B)] A,
 * so that a a products a channel replace 9 m m. Its points are 0, 1, -1, infinity for m = 2 and 0, +-5/8, +-3/2, infinity for m = 4:
 * with the latter's errors at least three times below those of the textbook's 0, +-1, +-2, infinity. */
#ifndef RK_WINOGRAD_INTERNAL_H
#define RK_WINOGRAD_INTERNAL_H
#include "convolution_internal.h"

#define RK_WINOGRAD_MOST_POSITIONS 36

/* A 3x3 correlation of stride 1 cut into tiles, counted over all images in row order. A transformed tile is a line of channels, padded to
 * whole vectors, in each of the `positions` planes. */
typedef struct rk_winograd {
  rk_correlation at;
  const rk_conv_kernels *kernels;
  int64_t m, positions;
  int64_t tiles_h, tiles_w, tiles;
  int64_t c_line, k_line; /* floats of a line of transformed source, of transformed output */
} rk_winograd;

typedef struct rk_winograd_output {
  const float *products; /* [positions][...][k_line], the first tile's line of the first position */
  int64_t plane;         /* floats from one position to the next */
  const float *bias, *add, *slope;
  const float *second; /* or NULL: the mean of add and this is added */
  rk_activation activation;
  float *dst;
  int pool;   /* dst is the largest of each 2x2 pixels: [N, out_h / 2, out_w / 2, K] */
  int stream; /* store past the caches: every vector of dst is aligned */
} rk_winograd_output;

/* The products of `tiles` tiles, a multiple of product_rows, with all outputs in all positions. */
typedef struct rk_winograd_products {
  int64_t positions, tiles, c, c_line, k_line;
  const float *lines, *packed;
  int64_t lines_plane, products_plane; /* floats from one position to the next */
  float *products;
  const float *wanted; /* memory that will be wanted: asked for meanwhile, */
  int64_t wanted_lines; /* so many cache lines with each block of product_rows tiles and two vectors of outputs (one where there is one) */
} rk_winograd_products;

/* One instruction set's transforms, by m = 2 and m = 4. `zeros`: a line of zeros, for pixels outside the map. */
typedef struct rk_winograd_transforms {
  /* lines[position][tile][c_line] = B^T d B of source tiles [begin, end) */
  void (*source[2])(const rk_winograd *winograd, const float *src, const float *zeros, int64_t begin, int64_t end, float *lines,
                    int64_t plane);
  /* dst = activation(A^T M A + bias + add) of output tiles [begin, end), clipped at the map's edge */
  void (*output[2])(const rk_winograd *winograd, const rk_winograd_output *output, int64_t begin, int64_t end);
  /* panel[position][lanes] (positions `plane` apart) = G g G^T for one channel: g's tap t at weight + tap_step t, `count` outputs exist */
  void (*weight[2])(const float *weight, int64_t tap_step, int64_t count, int64_t lanes, float *panel, int64_t plane);
  /* lines[position][tile][k_line] = A dY A^T of output tiles [begin, end) of ddst; m = 4 only */
  void (*gradient)(const rk_winograd *winograd, const float *ddst, const float *zeros, int64_t begin, int64_t end, float *lines,
                   int64_t plane);
  /* dweight[tap][c][k] = G^T (the sum of `pieces` of sums[position][c][k_line], positions a plane of C apart) G for channel c; m = 4 only */
  void (*weight_gradient)(const rk_winograd *winograd, const float *sums, int64_t pieces, int64_t piece_step, int64_t c, float *dweight);
  /* Where lines are one vector long, and where those of outputs are whole pairs of vectors; NULL: none */
  void (*products[2])(const rk_winograd_products *products);
  int32_t product_rows[2];
} rk_winograd_transforms;
const rk_winograd_transforms *rk_winograd_transforms_of(rk_isa isa);
extern const rk_winograd_transforms rk_winograd_generic;
#if defined(__x86_64__)
extern const rk_winograd_transforms rk_winograd_avx2, rk_winograd_avx512;
#endif

/* Floats from one position's plane of `tiles` lines to the next: one cache line more than the lines, since planes that lie a multiple of
 * 4 KB apart evict each other (the transforms write one line to each of them in turn: measured 1.7 times slower). */
static inline int64_t rk_winograd_plane(int64_t tiles, int64_t line) { return tiles * line + 16; }

/* Cuts the correlation of a plan (backward-weight: that of forward); 0, or -1 where Winograd does not apply. */
int rk_winograd_prepare(const rk_conv_plan *plan, rk_winograd *winograd);

/* ---- The entries of the ordered list; `prefers`: whether the estimate of time is for it. ---- */

int rk_winograd_prefers(const rk_conv_plan *plan);
int rk_winograd_plan(rk_conv_plan *plan);
void rk_winograd_pack(const rk_conv_pack_args *args, const rk_team *team);
void rk_winograd_forward(const rk_conv_forward_args *args, const rk_team *team);
void rk_winograd_backward_data(const rk_conv_backward_data_args *args, const rk_team *team);
int rk_winograd_backward_weight_prefers(const rk_conv_plan *plan);
int rk_winograd_backward_weight_plan(rk_conv_plan *plan);
void rk_winograd_backward_weight(const rk_conv_backward_weight_args *args, const rk_team *team);
#endif
