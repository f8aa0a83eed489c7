/* convolution_internal.h: what the files of convolution share: the micro-kernels' arguments and tables, the correlation that direct
 * passes are made of, and the algorithms' entry points behind the public ones of rk_convolution.h.
 * Not here: anything that another operator or a host sees. */
#ifndef RK_CONVOLUTION_INTERNAL_H
#define RK_CONVOLUTION_INTERNAL_H
#include "rk_convolution.h"

/* Most floats of one tensor: products of two indices and byte counts then never leave int64. */
#define RK_CONV_MOST_FLOATS (INT64_C(1) << 48)

/* ---- The correlation ---- */

/* dst[n, y, x, k] = sum over taps (i, j) and c of src[n, y stride_h + i dilation_h + offset_h, x stride_w + j dilation_w + offset_w, c]
 * weight[tap(i, j)][c][k], sources outside the map counting as 0. Forward is one of these; backward-data is one for each phase of the
 * stride (the pixels of dsrc that see the same taps), with c and k exchanged. */
typedef struct rk_correlation {
  int64_t n, groups;
  int64_t src_h, src_w, src_c, c; /* src_c: floats a source pixel; c: channels of one group */
  int64_t taps_h, taps_w, stride_h, stride_w, dilation_h, dilation_w, offset_h, offset_w;
  int64_t out_h, out_w, k;                          /* k: outputs of one group */
  int64_t dst_first, dst_image, dst_row, dst_pixel; /* floats */
  int64_t tap_r, tap_r_step, tap_s, tap_s_step;     /* tap (i, j) is weight[tap_r + i tap_r_step, tap_s + j tap_s_step] */
  int64_t packed_first;                             /* where its panels begin in the packed weights */
} rk_correlation;

/* ---- Micro-kernels (convolution_kernels.h, compiled once per instruction set) ---- */

/* One tile of a product: `rows` pixels by one panel of outputs,
 *   dst[i][k] = activation(bias[k] + add[i][k] + sum over the panel's lines of src[i][...] panel[...][k]),
 * where a pixel's operands are outer x inner runs of consecutive floats, and the panel's lines follow in the same order. */
typedef struct rk_conv_tile {
  const float *src, *src2; /* the first row of the tile and, where it has more than 7 rows, row ceil(rows / 2) */
  int64_t src_row;         /* floats from one row to the next within either half; so for dst and add */
  int64_t run, inner, inner_step, outer, outer_step;
  const float *panel;    /* [outer * inner * run][vectors * lanes of a vector] */
  const float *prefetch; /* weights that come next: with each line of the panel, the cache line here is asked for, */
  int64_t prefetch_step; /* so many bytes further each time: 0 where nothing comes */
  float *dst, *dst2;
  int64_t dst_row;
  const float *bias;       /* or NULL */
  const float *add, *add2; /* or NULL; laid out as dst */
  const float *slope;
  rk_activation activation;
  int32_t lanes;  /* outputs in this panel: the last vector may be partly used */
  int32_t stream; /* store past the caches; a fence must follow */
} rk_conv_tile;
typedef void (*rk_conv_tile_fn)(const rk_conv_tile *tile);
/* Activations behind RK_ACTIVATION_PRELU in this list are none of a tile's: `activate` below makes them of its outputs while they are in the
 * first-level cache, in one function for all heights. */
static inline int rk_conv_is_late(rk_activation activation) { return activation > RK_ACTIVATION_PRELU; }
/* The numbers of an activation for the outputs from k on: a clip's are those of all outputs. */
static inline const float *rk_conv_slope(rk_activation activation, const float *slope, int64_t k) {
  return activation == RK_ACTIVATION_PRELU ? slope + k : slope;
}

/* dweight[i][k] += sum over n x h x w pixels of src[pixel][i] ddst[pixel][k], for `rows` consecutive i and `lanes` k. */
typedef struct rk_conv_outer {
  const float *src, *ddst;
  int64_t n, h, w;
  int64_t src_image, src_row, src_pixel, ddst_image, ddst_row, ddst_pixel;
  float *dweight;
  int64_t dweight_row;
  int32_t lanes;
  int32_t begins; /* dweight is overwritten, not added to */
} rk_conv_outer;
typedef void (*rk_conv_outer_fn)(const rk_conv_outer *outer);

/* A convolution of each channel by its own filter. */
typedef struct rk_conv_depthwise {
  rk_correlation at;
  const float *src, *weight; /* weight[tap_r][tap_s][channels] */
  int64_t channels, weight_row;
  const float *bias, *add, *slope;
  rk_activation activation;
  float *dst;
} rk_conv_depthwise;

/* A correlation of few channels a group, from copies of its source rows: [planes][rows][stride_w][copy_w][lanes], a plane being a vector of
 * channels, whose columns x stride_w + p lie together for each p. Where a group is narrower than a vector, a vector holds several. */
typedef struct rk_conv_grouped {
  rk_correlation at;
  int64_t planes, copy_w, row_floats, plane_floats; /* planes: vectors of a group; floats of a row and of a plane of the copy */
  int64_t tile_w;                                   /* columns of a tile */
  int three;                                        /* three neighbouring columns of taps, one pixel apart */
  /* Bytes of the next band's source that are asked for with each tile: what a slab reads lies too far apart to be foreseen. Backward-weight:
   * whether they are asked for. */
  int64_t ahead;
  const float *src, *packed;                        /* packed: [vectors of outputs][taps][c][lanes] */
  const float *ddst;                                /* of backward-weight, which has no packed weights and no epilogue */
  const float *bias, *add, *slope;
  rk_activation activation;
  float *dst;
  int stream;
} rk_conv_grouped;

/* Outputs of a panel of streamed weights. */
#define RK_CONV_STREAM_LANES 32

/* How the lines of streamed panels are kept. Compact ones leave out what repeats in exponents: nothing is rounded (convolution_stream.c). */
typedef enum rk_conv_lines { RK_LINES_F32, RK_LINES_BF16, RK_LINES_COMPACT_F32, RK_LINES_COMPACT_BF16, RK_LINES_COUNT } rk_conv_lines;
/* Exponents that a compact panel has codes for. Code 0 is that of 0 and of denormals, the others are consecutive. */
#define RK_CONV_COMPACT_CODES 16

/* sums[row][output] += the products of each row's operands with `lines` lines of a panel. */
typedef struct rk_conv_stream {
  const float *src;
  int64_t src_row, lines;    /* floats from one row to the next */
  const void *panel;         /* [lines][RK_CONV_STREAM_LANES] */
  int64_t ahead;             /* bytes behind the weights at hand, from where others are asked for */
  const uint32_t *exponents; /* of compact lines: the bits of each code's */
  float *sums;               /* [rows][RK_CONV_STREAM_LANES] */
} rk_conv_stream;
typedef void (*rk_conv_stream_fn)(const rk_conv_stream *stream);

static inline int64_t rk_conv_line_bytes(rk_conv_lines lines) {
  return lines == RK_LINES_F32 ? 128 : lines == RK_LINES_BF16 ? 64 : lines == RK_LINES_COMPACT_F32 ? 112 : 48;
}

#define RK_CONV_MOST_STREAM_ROWS 4
#define RK_CONV_MOST_VECTORS 2
#define RK_CONV_MOST_ROWS 16
/* One instruction set's kernels. [vectors - 1][rows - 1]; those beyond the set's own limits are NULL. */
typedef struct rk_conv_kernels {
  int32_t lanes;                            /* of a vector */
  int32_t tile_rows;                        /* most rows of a tile */
  int32_t outer_rows[RK_CONV_MOST_VECTORS]; /* most rows of an outer product, by vectors */
  rk_conv_tile_fn tile[RK_CONV_MOST_VECTORS][RK_CONV_MOST_ROWS];
  rk_conv_outer_fn outer[RK_CONV_MOST_VECTORS][RK_CONV_MOST_ROWS];
  void (*activate)(const rk_conv_tile *tile, int64_t rows);
  int32_t stream_rows;                                                /* most rows of a sum over streamed weights */
  rk_conv_stream_fn stream[RK_LINES_COUNT][RK_CONV_MOST_STREAM_ROWS]; /* [...][rows - 1]; NULL for compact lines that a set does not read */
  /* Makes a compact line of RK_CONV_STREAM_LANES weights, as bf16 if `half`; code 1 is exponent base + 1. Weights whose exponent has no
   * code become the power of two of code 1, with their sign: returned as bits. */
  uint32_t (*compact)(const float *weight, int32_t base, int half, void *line);
  /* dst[row][i] = src[row][i] scale[i] in double, rounded once, i < count; rows lie src_row and dst_row floats apart */
  void (*scaled)(const float *src, int64_t src_row, const double *scale, int64_t rows, int64_t count, float *dst, int64_t dst_row);
  void (*stream_fence)(void); /* orders streamed stores before all later ones */
  /* dst[i] += sum over rows of src[row * stride + i], i < count */
  void (*column_sum)(const float *src, int64_t rows, int64_t stride, int64_t count, float *dst);
  int32_t grouped_w[2]; /* columns of a grouped correlation's tile, one or the other; 0: no such kernels */
  /* Output rows [y, y + rows) of image n, for the outputs of vectors [slab planes, (slab + 1) planes). copy: room for their source */
  void (*grouped_rows)(const rk_conv_grouped *grouped, int64_t n, int64_t slab, int64_t y, int64_t rows, float *copy);
  /* dweight[tap][channel][output] += the products of rows [y, y + rows) of ddst, of one vector of narrow groups, with the source pixels
   * that the taps see */
  void (*grouped_weight)(const rk_conv_grouped *grouped, int64_t n, int64_t vector, int64_t y, int64_t rows, float *copy, float *dweight);
  /* Output row y of image n, all channels. */
  void (*depthwise_row)(const rk_conv_depthwise *depthwise, int64_t n, int64_t y);
  /* dweight[tap][channel] += the products of one row of ddst with the source pixels that its taps see */
  void (*depthwise_weight_row)(const rk_conv_depthwise *depthwise, int64_t n, int64_t y, const float *ddst, float *dweight);
} rk_conv_kernels;
const rk_conv_kernels *rk_conv_kernels_of(rk_isa isa);
extern const rk_conv_kernels rk_conv_kernels_generic;
#if defined(__x86_64__)
extern const rk_conv_kernels rk_conv_kernels_avx2, rk_conv_kernels_avx512;
#endif

/* ---- Helpers ---- */

static inline int64_t rk_min64(int64_t a, int64_t b) { return a < b ? a : b; }
static inline int64_t rk_max64(int64_t a, int64_t b) { return a > b ? a : b; }
static inline int64_t rk_div_up(int64_t a, int64_t b) { return (a + b - 1) / b; }
/* The product of `count` positive numbers, or 0 where one is not positive or the product exceeds RK_CONV_MOST_FLOATS. */
int64_t rk_conv_addressable(const int64_t *factors, int count);
/* dst[i] = the sum over pieces, in order, of partial[piece * stride + i], for begin <= i < end. */
void rk_conv_add_pieces(const float *partial, int64_t pieces, int64_t stride, int64_t begin, int64_t end, float *dst);
/* Largest stride whose phases backward-data takes one by one. */
#define RK_CONV_MOST_STRIDE 8
/* Output indices [begin, end) narrowed to those whose source index, index * stride + shift, lies in [0, size). */
static inline void rk_conv_clip(int64_t shift, int64_t stride, int64_t size, int64_t *begin, int64_t *end) {
  int64_t first = shift < 0 ? rk_div_up(-shift, stride) : 0, last = shift < size ? (size - 1 - shift) / stride + 1 : 0;
  *begin = rk_max64(*begin, first);
  *end = rk_min64(*end, last);
}

/* Spreads the fetching of the `floats` weights at `next` (NULL: none) evenly over the `lines` of each of `tiles` tiles, of which this is
 * number i: asked for in a burst, they would wait for each other and the multiplications for them. */
static inline void rk_conv_prefetch(rk_conv_tile *tile, const float *next, int64_t floats, int64_t lines, int64_t i, int64_t tiles) {
  tile->prefetch_step = next ? rk_div_up(floats * (int64_t)sizeof(float), lines * tiles) : 0;
  tile->prefetch = next ? next + i * lines * tile->prefetch_step / (int64_t)sizeof(float) : tile->panel;
}

/* ---- Phases of a pass (convolution_correlation.c) ---- */

/* Floats of the packed panels of all a plan's correlations, or -1 where that is not addressable. */
int64_t rk_conv_packed_floats(const rk_conv_plan *plan);
/* How many correlations a plan's pass is made of, and the one of index `phase`. One with taps_h taps_w = 0 only adds or clears. */
int64_t rk_conv_phases(const rk_conv_plan *plan);
void rk_conv_correlation(const rk_conv_plan *plan, int64_t phase, rk_correlation *correlation);

/* Whether results should bypass the caches: they are more than stays there until their next use, and all vectors are aligned. */
int rk_conv_streams(const rk_correlation *correlation, const rk_conv_kernels *kernels, const float *dst, const float *add);

/* ---- bf16 maps by an f32 algorithm, whose own functions are given (convolution_widened.c) ---- */

typedef void (*rk_conv_forward_fn)(const rk_conv_forward_args *args, const rk_team *team);
typedef void (*rk_conv_backward_data_fn)(const rk_conv_backward_data_args *args, const rk_team *team);
typedef void (*rk_conv_backward_weight_fn)(const rk_conv_backward_weight_args *args, const rk_team *team);
int rk_conv_widened_plan(rk_conv_plan *plan, int (*plan_f32)(rk_conv_plan *plan));
void rk_conv_widened_forward(const rk_conv_forward_args *args, rk_conv_forward_fn forward, const rk_team *team);
void rk_conv_widened_backward_data(const rk_conv_backward_data_args *args, rk_conv_backward_data_fn backward, const rk_team *team);
void rk_conv_widened_backward_weight(const rk_conv_backward_weight_args *args, rk_conv_backward_weight_fn backward, const rk_team *team);

/* ---- Algorithms ---- */

void rk_conv_reference_forward(const rk_conv_forward_args *args, const rk_team *team);
void rk_conv_reference_backward_data(const rk_conv_backward_data_args *args, const rk_team *team);
void rk_conv_reference_backward_weight(const rk_conv_backward_weight_args *args, const rk_team *team);

int rk_conv_direct_plan(rk_conv_plan *plan);
void rk_conv_direct_pack(const rk_conv_pack_args *args, const rk_team *team);
void rk_conv_direct_forward(const rk_conv_forward_args *args, const rk_team *team);
void rk_conv_direct_backward_data(const rk_conv_backward_data_args *args, const rk_team *team);
int rk_conv_direct_backward_weight_plan(rk_conv_plan *plan);
void rk_conv_direct_backward_weight(const rk_conv_backward_weight_args *args, const rk_team *team);

/* Whether a forward pass has so few pixels and so many weights that reading these is its time. */
int rk_conv_stream_suits(const rk_conv_plan *plan);
int rk_conv_stream_prefers(const rk_conv_plan *plan);
int rk_conv_stream_plan(rk_conv_plan *plan);
void rk_conv_stream_pack(const rk_conv_pack_args *args, const rk_team *team);
void rk_conv_stream_forward(const rk_conv_forward_args *args, const rk_team *team);

int rk_conv_grouped_plan(rk_conv_plan *plan);
void rk_conv_grouped_pack(const rk_conv_pack_args *args, const rk_team *team);
void rk_conv_grouped_forward(const rk_conv_forward_args *args, const rk_team *team);
void rk_conv_grouped_backward_data(const rk_conv_backward_data_args *args, const rk_team *team);
void rk_conv_grouped_backward_weight(const rk_conv_backward_weight_args *args, const rk_team *team);

int rk_conv_depthwise_plan(rk_conv_plan *plan);
void rk_conv_depthwise_forward(const rk_conv_forward_args *args, const rk_team *team);
void rk_conv_depthwise_backward_data(const rk_conv_backward_data_args *args, const rk_team *team);
void rk_conv_depthwise_backward_weight(const rk_conv_backward_weight_args *args, const rk_team *team);
#endif
