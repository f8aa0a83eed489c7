/* convolution_direct.h: what the files of the direct algorithm share: a correlation made ready, the run of a thread and its bands.
 * Not here: what other algorithms see (convolution_internal.h). */
#ifndef RK_CONVOLUTION_DIRECT_H
#define RK_CONVOLUTION_DIRECT_H
#include "convolution_internal.h"

/* Most tiles of a band. */
#define RK_DIRECT_MOST_TILES 192

/* Where tiles read their operands. */
typedef enum rk_direct_layout {
  RK_DIRECT_MATRIX,  /* 1x1 over all pixels: source pixels are the rows of a matrix */
  RK_DIRECT_VIEW,    /* no tap leaves the map: operands are read in place */
  RK_DIRECT_ROWS,    /* padded copies of the rows of a band */
  RK_DIRECT_PATCHES, /* a copy of each pixel's operands */
} rk_direct_layout;

/* A correlation made ready: its layout, and how tiles address their operands. */
typedef struct rk_direct {
  rk_correlation at;
  const rk_conv_kernels *kernels;
  rk_direct_layout layout;
  int64_t units;       /* what threads share: rows, or pixels of a matrix or of patches */
  int64_t band_units;  /* most of them in a band */
  int64_t band_w;      /* most columns of a band of rows */
  int64_t copy_w;      /* RK_DIRECT_ROWS: pixels of a padded row */
  int64_t band_floats; /* scratch of one thread */
  int64_t segments;    /* of a run; 0: panels go by whole */
  int64_t lines;       /* taps x channels: the length of a panel */
  int64_t panels;
  int64_t rows_per_tile; /* 2: a tile is two output rows */
} rk_direct;

/* The buffers of a run and the piece of its work that this thread has taken. */
typedef struct rk_direct_run {
  const float *src, *packed, *bias, *add, *slope;
  rk_activation activation;
  float *dst, *scratch;
  int64_t unit_begin, unit_end, panel_begin, panel_end;
  int64_t copied_unit, copied_end, copied_group; /* the units whose operands the scratch holds */
  int stream;
} rk_direct_run;

/* A tile of a band: where its operands and its outputs lie. The second ones are of row ceil(rows / 2), where it has more than 7. */
typedef struct rk_direct_place {
  const float *src, *src2;
  int64_t dst, dst2; /* offsets in floats */
  int32_t rows;
} rk_direct_place;

/* Tiles whose operands stay in L2 while the panels go by. */
typedef struct rk_direct_band {
  rk_direct_place tiles[RK_DIRECT_MOST_TILES];
  int64_t count;
} rk_direct_band;

/* Source rows that `rows` output rows see. */
static inline int64_t rk_direct_rows_seen(const rk_correlation *at, int64_t rows) {
  return (rows - 1) * at->stride_h + (at->taps_h - 1) * at->dilation_h + 1;
}

/* ---- Planning (convolution_direct_plan.c) ---- */

/* Makes the correlation of a plan's phase ready. 0, or -1 where a band has no addressable size. */
int rk_direct_prepare(const rk_conv_plan *plan, int64_t phase, rk_direct *direct);
/* Sets how the tiles of a layout find a pixel's operands. */
void rk_direct_address(const rk_direct *direct, rk_conv_tile *tile);

/* ---- Bands (convolution_direct_bands.c) ---- */

/* Makes the band of pixels [begin, end) of all images, in order, as one matrix; their operands are copied first if the layout asks. */
void rk_direct_band_of_pixels(const rk_direct *direct, rk_direct_run *run, int64_t begin, int64_t end, int64_t group, rk_direct_band *band);
/* Where the operands of output rows [y, y + rows) of image n begin, and the floats of one row of them; copied first if the layout asks. */
const float *rk_direct_source_rows(const rk_direct *direct, rk_direct_run *run, int64_t n, int64_t y, int64_t rows, int64_t group,
                                   int64_t *pitch);
/* Makes the band of columns [x, x + count) of `rows` output rows. src: the operands of the first; dst: the offset of its column 0. */
void rk_direct_band_of_rows(const rk_direct *direct, const float *src, int64_t pitch, int64_t rows, int64_t x, int64_t count, int64_t dst,
                            rk_direct_band *band);
#endif
