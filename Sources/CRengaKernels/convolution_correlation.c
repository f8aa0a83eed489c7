/* convolution_correlation.c: forward and backward-data as correlations, and the packing of weights into their panels.
 * Not here: how a correlation runs (convolution_direct.c).
 *
 * Backward-data of stride (sh, sw): the pixels h = f mod sh of dsrc see the taps r with f + pad - r dilation = 0 mod sh, an arithmetic
 * progression; so each of the sh sw phases is a dense correlation over ddst, with no multiplication by the zeros between its pixels. */
#include "convolution_internal.h"
#include <string.h>

/* One dimension of a phase of backward-data. */
typedef struct phase_dimension {
  int64_t taps, tap, tap_step; /* tap j is filter position tap + j tap_step (a negative step: sources then rise with j) */
  int64_t dilation, offset, out;
} phase_dimension;

static int64_t common_divisor(int64_t a, int64_t b) { return b == 0 ? a : common_divisor(b, a % b); }

static phase_dimension phase_of(int64_t phase, int64_t size, int64_t filter, int64_t stride, int64_t dilation, int64_t pad) {
  phase_dimension dimension = {.dilation = 1, .tap_step = 1, .out = phase < size ? rk_div_up(size - phase, stride) : 0};
  int64_t step = stride / common_divisor(stride, dilation), first = 0;
  while (first < step && (phase + pad - first * dilation) % stride != 0) first++;
  if (first == step || first >= filter) return dimension;
  dimension.taps = (filter - 1 - first) / step + 1;
  dimension.tap = first + (dimension.taps - 1) * step;
  dimension.tap_step = -step;
  dimension.dilation = step * dilation / stride;
  dimension.offset = (phase + pad - dimension.tap * dilation) / stride;
  return dimension;
}

int64_t rk_conv_phases(const rk_conv_plan *plan) {
  return plan->pass == RK_CONV_BACKWARD_DATA ? plan->shape.stride_h * plan->shape.stride_w : 1;
}

static int64_t panel_floats(const rk_correlation *correlation, int64_t lanes) {
  return correlation->taps_h * correlation->taps_w * correlation->c * rk_div_up(correlation->k, lanes) * lanes;
}

static void forward_correlation(const rk_conv_shape *shape, rk_correlation *correlation) {
  *correlation = (rk_correlation){
      .n = shape->n,
      .groups = shape->groups,
      .src_h = shape->h,
      .src_w = shape->w,
      .src_c = shape->c,
      .c = shape->c / shape->groups,
      .taps_h = shape->r,
      .taps_w = shape->s,
      .stride_h = shape->stride_h,
      .stride_w = shape->stride_w,
      .dilation_h = shape->dilation_h,
      .dilation_w = shape->dilation_w,
      .offset_h = -shape->pad_top,
      .offset_w = -shape->pad_left,
      .out_h = shape->oh,
      .out_w = shape->ow,
      .k = shape->k / shape->groups,
      .dst_image = shape->oh * shape->ow * shape->k,
      .dst_row = shape->ow * shape->k,
      .dst_pixel = shape->k,
      .tap_r_step = 1,
      .tap_s_step = 1,
  };
}

static void backward_correlation(const rk_conv_shape *shape, int64_t phase, rk_correlation *correlation) {
  int64_t phase_h = phase / shape->stride_w, phase_w = phase % shape->stride_w;
  phase_dimension h = phase_of(phase_h, shape->h, shape->r, shape->stride_h, shape->dilation_h, shape->pad_top);
  phase_dimension w = phase_of(phase_w, shape->w, shape->s, shape->stride_w, shape->dilation_w, shape->pad_left);
  *correlation = (rk_correlation){
      .n = shape->n,
      .groups = shape->groups,
      .src_h = shape->oh,
      .src_w = shape->ow,
      .src_c = shape->k,
      .c = shape->k / shape->groups,
      .taps_h = h.taps,
      .taps_w = w.taps,
      .stride_h = 1,
      .stride_w = 1,
      .dilation_h = h.dilation,
      .dilation_w = w.dilation,
      .offset_h = h.offset,
      .offset_w = w.offset,
      .out_h = h.out,
      .out_w = w.out,
      .k = shape->c / shape->groups,
      .dst_first = (phase_h * shape->w + phase_w) * shape->c,
      .dst_image = shape->h * shape->w * shape->c,
      .dst_row = shape->stride_h * shape->w * shape->c,
      .dst_pixel = shape->stride_w * shape->c,
      .tap_r = h.tap,
      .tap_r_step = h.tap_step,
      .tap_s = w.tap,
      .tap_s_step = w.tap_step,
  };
}

void rk_conv_correlation(const rk_conv_plan *plan, int64_t phase, rk_correlation *correlation) {
  const rk_conv_shape *shape = &plan->shape;
  if (plan->pass == RK_CONV_FORWARD) {
    forward_correlation(shape, correlation);
    return;
  }
  int64_t lanes = rk_conv_kernels_of(plan->isa)->lanes, first = 0;
  for (int64_t i = 0; i < phase; i++) {
    backward_correlation(shape, i, correlation);
    first += correlation->groups * panel_floats(correlation, lanes);
  }
  backward_correlation(shape, phase, correlation);
  correlation->packed_first = first;
}

int64_t rk_conv_packed_floats(const rk_conv_plan *plan) {
  rk_correlation correlation;
  int64_t lanes = rk_conv_kernels_of(plan->isa)->lanes, floats = 0;
  for (int64_t phase = 0; phase < rk_conv_phases(plan); phase++) {
    rk_conv_correlation(plan, phase, &correlation);
    int64_t factors[] = {correlation.groups, correlation.c, rk_div_up(correlation.k, lanes) * lanes};
    int64_t taps = correlation.taps_h * correlation.taps_w, lines = rk_conv_addressable(factors, 3);
    if (lines == 0 || taps > RK_CONV_MOST_FLOATS / lines) return -1;
    floats += taps * lines;
  }
  return floats;
}

/* Bytes of results that are in no cache any more when the next layer reads them. Maps of 56x56x256 are: past the caches, the eleven
 * convolutions of ResNet-50's first stage took 3.4 instead of 2.9 ms. */
#define STREAMED_BYTES (INT64_C(7) << 19)

int rk_conv_streams(const rk_correlation *correlation, const rk_conv_kernels *kernels, const float *dst, const float *add) {
  int64_t floats = correlation->n * correlation->out_h * correlation->out_w * correlation->groups * correlation->k;
  int64_t offsets = correlation->dst_first | correlation->dst_image | correlation->dst_row | correlation->dst_pixel | correlation->k;
  return floats * (int64_t)sizeof(float) > STREAMED_BYTES && offsets % kernels->lanes == 0 && add != dst &&
         (uintptr_t)dst % ((size_t)kernels->lanes * sizeof(float)) == 0;
}

/* ---- Packing ---- */

/* `lines` lines of one tap in one panel: packed[c][lanes], `count` outputs exist. scale: NULL, or their factors. */
static void pack_forward(const rk_conv_plan *plan, const float *src, const double *scale, int64_t count, int64_t lanes, int64_t lines,
                         float *packed) {
  if (scale) rk_conv_kernels_of(plan->isa)->scaled(src, plan->shape.k, scale, lines, count, packed, lanes);
  for (int64_t c = 0; c < lines; c++, packed += lanes) {
    if (!scale) memcpy(packed, src + c * plan->shape.k, (size_t)count * sizeof(float));
    memset(packed + count, 0, (size_t)(lanes - count) * sizeof(float));
  }
}

/* Here the sums run over k and the outputs are c0 ... c0 + count. */
static void pack_backward(const rk_conv_shape *shape, const float *weight, int64_t group, int64_t c0, int64_t count, int64_t lanes,
                          int64_t lines, float *packed) {
  const float *src = weight + c0 * shape->k + group * lines;
  for (int64_t k0 = 0; k0 < lines; k0 += 16) { /* blocks of a cache line of each row of weights */
    int64_t k1 = rk_min64(k0 + 16, lines);
    for (int64_t k = k0; k < k1; k++) memset(packed + k * lanes + count, 0, (size_t)(lanes - count) * sizeof(float));
    for (int64_t c = 0; c < count; c++)
      for (int64_t k = k0; k < k1; k++) packed[k * lanes + c] = src[c * shape->k + k];
  }
}

/* Lines of weights that are packed for all panels before the next ones: so many rows of memory the processor reads ahead at once. */
#define PACK_LINES 16

static void pack_correlation(const rk_conv_pack_args *args, const rk_correlation *correlation, const rk_team *team) {
  const rk_conv_plan *plan = args->plan;
  const rk_conv_shape *shape = &plan->shape;
  const int forward = plan->pass == RK_CONV_FORWARD;
  int64_t vector = rk_conv_kernels_of(plan->isa)->lanes, wide = vector * RK_CONV_MOST_VECTORS;
  int64_t taps = correlation->taps_h * correlation->taps_w, panels = rk_div_up(correlation->k, wide), begin, end;
  /* Weights are read in the order in which they lie: by lines forward, by panels backward. */
  const int64_t lines_there = args->channels > 0 ? args->channels : shape->c / shape->groups;
  const int64_t lines = forward ? lines_there : correlation->c;
  int64_t most = forward ? PACK_LINES : correlation->c, blocks = rk_div_up(lines, most);
  rk_share(correlation->groups * taps * blocks * panels, team, &begin, &end);
  for (int64_t i = begin; i < end; i++) {
    int64_t panel = i % panels, line = i / panels % blocks * most, tap = i / panels / blocks % taps, group = i / panels / blocks / taps;
    int64_t first = panel * wide, count = rk_min64(wide, correlation->k - first), lanes = rk_div_up(count, vector) * vector;
    int64_t r = correlation->tap_r + tap / correlation->taps_w * correlation->tap_r_step;
    int64_t s = correlation->tap_s + tap % correlation->taps_w * correlation->tap_s_step;
    const float *weight = args->weight + (r * shape->s + s) * lines_there * shape->k;
    float *packed = args->packed + correlation->packed_first + group * panel_floats(correlation, vector) + first * taps * correlation->c +
                    (tap * correlation->c + args->first + line) * lanes;
    if (forward) {
      int64_t k0 = group * correlation->k + first, count_lines = rk_min64(most, lines - line);
      pack_forward(plan, weight + line * shape->k + k0, args->scale ? args->scale + k0 : NULL, count, lanes, count_lines, packed);
    } else {
      pack_backward(shape, weight, group, first, count, lanes, correlation->c, packed);
    }
  }
}

void rk_conv_direct_pack(const rk_conv_pack_args *args, const rk_team *team) {
  rk_correlation correlation;
  for (int64_t phase = 0; phase < rk_conv_phases(args->plan); phase++) {
    rk_conv_correlation(args->plan, phase, &correlation);
    pack_correlation(args, &correlation, team);
  }
}
