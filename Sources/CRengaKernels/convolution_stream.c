/* convolution_stream.c: the product of a few pixels with weights larger than the caches (a fully connected layer at batch 1), forward:
 * weights are read once, in the order they lie in, as fast as memory gives them; kept as f32 or, where that was asked for, as bf16.
 * Not here: the sums of a block of weights (convolution_stream_kernels.h), how panels are made (convolution_stream_pack.c).
 *
 * A panel is all weights of RK_CONV_STREAM_LANES outputs; threads take panels, of which each has a run of neighbours. Sums of a block of
 * lines are added to those of the blocks before: neither threads nor the number of pixels change any output's bits. */
#include "convolution_stream.h"
#include <math.h>
#include <string.h>

enum {
  LANES = RK_CONV_STREAM_LANES,
  BLOCK_LINES = 256, /* 32 KB of f32 weights: more pixels than a kernel takes find them in the nearest cache */
  LAST_LINES = 64,   /* of a panel: about those whose successors the next panel has */
  MOST_ROWS = 64,    /* pixels for which weights are read once */
};
/* How far ahead weights are asked for, measured: the processor's own prefetching keeps fewer lines under way. Without it 4096 x 4096
 * came at three quarters of this speed, with bf16 weights at less than half. */
#define AHEAD_BYTES 8192
/* With more pixels the tiles of the direct method have enough to multiply for each weight. */
#define MOST_PREFERRED_ROWS 4
/* Weights that do not stay in a core's caches from one run to the next. */
#define LEAST_PREFERRED_FLOATS (INT64_C(1) << 20)

static int64_t pixels_of(const rk_conv_shape *shape) { return shape->n * shape->oh * shape->ow; }

static int applies(const rk_conv_shape *shape) {
  return shape->r == 1 && shape->s == 1 && shape->groups == 1 && shape->stride_h == 1 && shape->stride_w == 1 && shape->oh == shape->h &&
         shape->ow == shape->w && rk_stream_panels(shape) <= RK_MOST_PIECES;
}

int rk_conv_stream_suits(const rk_conv_plan *plan) {
  const rk_conv_shape *shape = &plan->shape;
  return plan->pass == RK_CONV_FORWARD && applies(shape) && pixels_of(shape) <= MOST_PREFERRED_ROWS &&
         shape->c * shape->k >= LEAST_PREFERRED_FLOATS;
}

/* Weights are rounded to bf16 where the maps are, else only where that is asked for. */
int rk_conv_stream_prefers(const rk_conv_plan *plan) {
  return rk_stream_is_half(plan) == (plan->type == RK_BF16) && rk_conv_stream_suits(plan);
}

int rk_conv_stream_plan(rk_conv_plan *plan) {
  const rk_conv_shape *shape = &plan->shape;
  if (plan->isa == RK_ISA_REFERENCE || plan->pass != RK_CONV_FORWARD || !applies(shape)) return -1;
  const int64_t head = sizeof(rk_stream_head) / sizeof(float), weights[] = {rk_stream_panels(shape) * LANES, shape->c + head};
  if (rk_conv_addressable(weights, 2) == 0) return -1;
  plan->packed_floats = (size_t)rk_stream_panels(shape) * (size_t)(head + rk_stream_panel_bytes(plan) / (int64_t)sizeof(float));
  return 0;
}

/* ---- Forward ---- */

/* sums += what the strays of a panel give to `rows` pixels at src, instead of what stands in their places. */
static void add_strays(const rk_conv_plan *plan, const float *src, int64_t rows, const rk_stream_head *head, const char *panel,
                       float *sums) {
  const rk_stream_stray *strays = rk_stream_strays_of(plan, head, panel);
  for (int64_t i = 0; i < head->strays; i++)
    for (int64_t row = 0; row < rows; row++) {
      const float value = src[row * plan->shape.c + strays[i].line];
      float *sum = sums + row * LANES + strays[i].output;
      /* An infinite product of either is the same. */
      if (isfinite(value)) *sum -= value * copysignf(head->least, strays[i].weight);
      *sum += value * strays[i].weight;
    }
}

/* sums[row][output] of one panel, for `rows` pixels at src. */
static void sum_panel(const rk_conv_plan *plan, const float *src, int64_t rows, const void *packed, int64_t panel, float *sums) {
  const rk_conv_kernels *kernels = rk_conv_kernels_of(plan->isa);
  const rk_stream_head *head = rk_stream_head_of(packed, panel);
  const char *weights = rk_stream_panel_of(plan, packed, panel);
  const int64_t c = plan->shape.c, bytes = rk_conv_line_bytes(head->lines), room = rk_stream_panel_bytes(plan) - c * bytes;
  memset(sums, 0, (size_t)(rows * LANES) * sizeof *sums);
  for (int64_t first = 0, lines; first < c; first += lines) {
    const int last = c - first <= LAST_LINES;
    lines = last ? c - first : rk_min64(BLOCK_LINES, c - first - LAST_LINES);
    for (int64_t row = 0; row < rows; row += kernels->stream_rows) {
      const int64_t count = rk_min64(kernels->stream_rows, rows - row);
      kernels->stream[head->lines][count - 1](&(rk_conv_stream){.src = src + row * c + first,
                                                                .src_row = c,
                                                                .lines = lines,
                                                                .panel = weights + first * bytes,
                                                                .ahead = row > 0 ? 0 : last ? AHEAD_BYTES + room : AHEAD_BYTES,
                                                                .exponents = head->exponents,
                                                                .sums = sums + row * LANES});
    }
  }
  add_strays(plan, src, rows, head, weights, sums);
}

/* dst = activation(sums + bias + add) for the outputs [first, first + count) of one pixel. */
static void finish(const rk_conv_forward_args *args, const float *sums, int64_t pixel, int64_t first, int64_t count) {
  const int64_t at = pixel * args->plan->shape.k + first;
  const float *add = args->add;
  float *dst = args->dst;
  for (int64_t i = 0; i < count; i++) {
    float value = sums[i] + (args->bias ? args->bias[first + i] : 0) + (add ? add[at + i] : 0);
    if (args->activation == RK_ACTIVATION_RELU) value = value < 0 ? 0 : value;
    if (args->activation == RK_ACTIVATION_CLIP) value = value < args->slope[0] ? args->slope[0] : value > args->slope[1] ? args->slope[1] : value;
    if (args->activation == RK_ACTIVATION_HARD_SWISH) value *= value < -3 ? 0 : value > 3 ? 1 : value * (1.0f / 6) + 0.5f;
    if (args->activation == RK_ACTIVATION_PRELU) value = value < 0 ? value * args->slope[first + i] : value;
    dst[at + i] = value;
  }
}

void rk_conv_stream_forward(const rk_conv_forward_args *args, const rk_team *team) {
  const rk_conv_plan *plan = args->plan;
  const rk_conv_shape *shape = &plan->shape;
  const int64_t pixels = pixels_of(shape);
  _Alignas(RK_ALIGNMENT) float sums[MOST_ROWS * LANES];
  for (int64_t panel = -1; rk_take(team, rk_stream_panels(shape), &panel);) {
    for (int64_t pixel = 0; pixel < pixels; pixel += MOST_ROWS) {
      const int64_t rows = rk_min64(MOST_ROWS, pixels - pixel);
      sum_panel(plan, (const float *)args->src + pixel * shape->c, rows, args->packed, panel, sums);
      for (int64_t i = 0; i < rows; i++)
        finish(args, sums + i * LANES, pixel + i, panel * LANES, rk_min64(LANES, shape->k - panel * LANES));
    }
  }
}
