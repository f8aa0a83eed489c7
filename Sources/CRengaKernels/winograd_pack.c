/* winograd_pack.c: the weights of Winograd's forward pass and backward-data, U = G g G^T as [position][panel][c][lanes].
 * Not here: the transform of one channel's filters (winograd_kernels.h), where a thread reads them (winograd.c). */
#include "winograd_plan.h"

/* Channels whose filters are gathered at once where the pass exchanges channels and outputs. */
#define GATHER 16

/* dst[channel][tap][lane], taps in the correlation's order, from weight[tap][c0 + lane][k0 + channel]. */
static void gather_filters(const rk_conv_shape *shape, const float *weight, int64_t k0, int64_t channels, int64_t c0, int64_t lanes,
                           float *dst) {
  const int64_t wide = RK_CONV_MOST_ROWS * RK_CONV_MOST_VECTORS;
  for (int64_t tap = 0; tap < 9; tap++)
    for (int64_t lane = 0; lane < lanes; lane++) {
      const float *src = weight + ((8 - tap) * shape->c + c0 + lane) * shape->k + k0;
      for (int64_t channel = 0; channel < channels; channel++) dst[(channel * 9 + tap) * wide + lane] = src[channel];
    }
}

/* dst[channel][tap][lane] from weight[tap][c0 + channel][k0 + lane], each output's scaled; a tap has `there` channels. */
static void scale_filters(const rk_conv_pack_args *args, int64_t there, int64_t k0, int64_t count, int64_t c0, int64_t channels,
                          float *dst) {
  const int64_t wide = RK_CONV_MOST_ROWS * RK_CONV_MOST_VECTORS, k = args->plan->shape.k;
  const rk_conv_kernels *kernels = rk_conv_kernels_of(args->plan->isa);
  for (int64_t tap = 0; tap < 9; tap++)
    kernels->scaled(args->weight + (tap * there + c0) * k + k0, k, args->scale + k0, channels, count, dst + tap * wide, 9 * wide);
}

void rk_winograd_pack(const rk_conv_pack_args *args, const rk_team *team) {
  const rk_conv_plan *plan = args->plan;
  const rk_conv_shape *shape = &plan->shape;
  rk_winograd winograd;
  if (rk_winograd_prepare(plan, &winograd) != 0) return;
  const rk_correlation *at = &winograd.at;
  int64_t vector = winograd.kernels->lanes, wide = vector * RK_CONV_MOST_VECTORS, plane = at->c * winograd.k_line, begin, end;
  const int64_t there = args->channels > 0 ? args->channels : at->c;
  int64_t panels = rk_winograd_panels(&winograd), groups = rk_div_up(there, GATHER), m4 = winograd.m == 4;
  const rk_winograd_transforms *transforms = rk_winograd_transforms_of(plan->isa);
  float filters[GATHER * 9 * RK_CONV_MOST_ROWS * RK_CONV_MOST_VECTORS];
  const int forward = plan->pass == RK_CONV_FORWARD, as_is = forward && !args->scale;
  rk_share(panels * groups, team, &begin, &end);
  for (int64_t i = begin; i < end; i++) {
    /* Weights are read in the order in which they lie. */
    int64_t panel = forward ? i % panels : i / groups, c0 = (forward ? i / panels : i % groups) * GATHER;
    int64_t k = panel * wide, count = rk_min64(wide, at->k - k), lanes = rk_div_up(count, vector) * vector;
    int64_t channels = rk_min64(GATHER, there - c0);
    float *packed = args->packed + k * at->c + (args->first + c0) * lanes;
    if (!forward) gather_filters(shape, args->weight, c0, channels, k, count, filters);
    if (args->scale) scale_filters(args, there, k, count, c0, channels, filters);
    for (int64_t c = 0; c < channels; c++) {
      const float *weight = as_is ? args->weight + (c0 + c) * shape->k + k : filters + c * 9 * RK_CONV_MOST_ROWS * RK_CONV_MOST_VECTORS;
      int64_t tap_step = as_is ? there * shape->k : RK_CONV_MOST_ROWS * RK_CONV_MOST_VECTORS;
      transforms->weight[m4](weight, tap_step, count, lanes, packed + c * lanes, plane);
    }
  }
}

