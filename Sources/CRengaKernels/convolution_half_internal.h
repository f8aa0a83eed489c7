/* convolution_half_internal.h: what forward and backward-data of bf16 maps decide before they run, and one thread's part of a run.
 * Not here: backward-weight, the micro-kernels (convolution_half.h). */
#ifndef RK_CONVOLUTION_HALF_INTERNAL_H
#define RK_CONVOLUTION_HALF_INTERNAL_H
#include "convolution_half.h"

/* Most tiles of a band. */
#define RK_HALF_MOST_TILES 512
/* Bytes behind a band that the last rows of its last tile may read: zeros, so that zeros of the panel times them are zeros. */
#define RK_HALF_SLACK_BYTES 64
/* In place, the last tiles of all pixels are copied, since they read on behind them: so many of them at most. */
#define RK_HALF_COPIED_TILES 4

typedef struct half {
  rk_correlation at;
  const rk_half_kernels *kernels;
  int in_place;         /* 1x1 filters of stride 1: pixels are the rows of a matrix */
  int slides;           /* filters of three rows over planes of channels */
  int paired;           /* they slide over pairs of pixels of 16 channels: `at` counts pairs as pixels of 32 channels and 32 outputs */
  int pools;            /* of each 2x2 outputs only the largest is written */
  int flat;             /* tiles run on over the ends of rows, whose padding is computed and dropped */
  int64_t run, inner;   /* operands of a run, runs of a filter row */
  int32_t tail;         /* operands of a run's last step, where that is not whole; else 0 */
  int64_t steps, lines; /* steps of a run, of a whole sum */
  int64_t panels;
  int64_t units, band_units; /* output rows, or pixels where in place; of all, of a band */
  int64_t copy_w;            /* pixels of a copied row */
  int64_t band_bytes;
  int32_t rows; /* of a tile */
} half;

typedef struct half_run {
  const uint16_t *src, *add;
  int64_t add_c; /* channels of add, where they are not all outputs' */
  const float *packed, *bias, *slope;
  rk_activation activation;
  uint16_t *dst;
  char *scratch;
  int64_t unit_begin, unit_end, panel_begin, panel_end;
  int64_t copied_unit, copied_rows, copied_group; /* the band whose operands the scratch holds; -1: none */
  int copied_wild;                                /* whether infinite numbers or NaNs are among them; only asked where there is a tail */
  int stream, pool;
} half_run;

/* Source rows that `rows` output rows see. */
static inline int64_t rk_half_rows_seen(const rk_correlation *at, int64_t rows) {
  return (rows - 1) * at->stride_h + (at->taps_h - 1) * at->dilation_h + 1;
}

/* Those pixels of a copied row that are no padding: [first, end). */
static inline void rk_half_pixels_inside(const half *half, int64_t *first, int64_t *end) {
  const rk_correlation *at = &half->at;
  *first = rk_min64(rk_max64(-at->offset_w, 0), half->copy_w);
  *end = rk_max64(rk_min64(at->src_w - at->offset_w, half->copy_w), *first);
}

/* Floats of one group's packed weights. */
static inline int64_t rk_half_group_floats(const half *half) {
  return half->lines * rk_div_up(half->at.k, RK_HALF_LANES) * (RK_HALF_PANEL / 2);
}

/* Bytes of one tile that is copied. */
static inline int64_t rk_half_copied_bytes(const rk_correlation *at) {
  return rk_div_up(RK_HALF_ROWS * at->src_c * 2 + RK_HALF_SLACK_BYTES, 64) * 64;
}

/* Sets what a panel's outputs, `finish.lanes` from k on of all of them, are added to: at the pixel whose outputs begin at `offset` of dst. */
void rk_half_set_add(const half *half, const half_run *run, int64_t k, int64_t offset, rk_half_finish *finish);
/* Where `add` goes on for a pixel whose outputs begin `offset` later. */
static inline const uint16_t *rk_half_add_at(const rk_half_finish *finish, const uint16_t *add, int64_t offset) {
  if (!add) return NULL;
  return add + (finish->add_pixel == finish->dst_row ? offset : offset / finish->dst_row * finish->add_pixel);
}

/* What a phase of a plan's pass runs with; 0, or -1 where a size is not addressable. */
int rk_half_prepare(const rk_conv_plan *plan, int64_t phase, half *half);
/* Whether the weights are more than all operands. */
int rk_half_is_heavy(const half *half);
/* Output rows [y, y + rows) of image n, or pixels [begin, end) of a matrix, by the panels of this thread's share. */
void rk_half_band_of_rows(const half *half, half_run *run, int64_t n, int64_t y, int64_t rows, int64_t group);
void rk_half_band_of_pixels(const half *half, const half_run *run, int64_t begin, int64_t end, int64_t group);

/* Whether the filter's rows can share what they read: a band is then run by rk_half_slide_band. */
int rk_half_slides(const rk_conv_plan *plan, const rk_correlation *at);
/* The same as rk_half_band_of_rows. */
void rk_half_slide_band(const half *half, half_run *run, int64_t n, int64_t y, int64_t rows, int64_t group);
#endif
