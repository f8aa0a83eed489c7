/* convolution_stream.c: the product of a few pixels with weights larger than the caches (a fully connected layer at batch 1), forward:
 * weights are read once, in the order they lie in, as fast as memory gives them; kept as f32 or, where that was asked for, as bf16.
 * Not here: the sums of a block of weights (convolution_stream_kernels.h).
 *
 * A panel is all weights of RK_CONV_STREAM_LANES outputs; threads take panels, of which each has a run of neighbours. Sums of a block of
 * lines are added to those of the blocks before: neither threads nor the number of pixels change any output's bits. */
#include "convolution_internal.h"
#include "element.h"
#include <string.h>

enum {
  LANES = RK_CONV_STREAM_LANES,
  BLOCK_LINES = 256, /* 32 KB of f32 weights: more pixels than a kernel takes find them in the nearest cache */
  MOST_ROWS = 64,    /* pixels for which weights are read once */
};
/* How far ahead weights are asked for, measured: the processor's own prefetching keeps fewer lines under way. Without it 4096 x 4096
 * came at three quarters of this speed, with bf16 weights at less than half. */
#define AHEAD_BYTES 8192
/* With more pixels the tiles of the direct method have enough to multiply for each weight. */
#define MOST_PREFERRED_ROWS 4
/* Weights that do not stay in a core's caches from one run to the next. */
#define LEAST_PREFERRED_FLOATS (INT64_C(1) << 20)

static int is_half(const rk_conv_plan *plan) { return plan->algorithm == RK_CONV_STREAM_BF16; }
static int64_t pixels_of(const rk_conv_shape *shape) { return shape->n * shape->oh * shape->ow; }
static int64_t panels_of(const rk_conv_shape *shape) { return rk_div_up(shape->k, LANES); }

static int applies(const rk_conv_shape *shape) {
  return shape->r == 1 && shape->s == 1 && shape->groups == 1 && shape->stride_h == 1 && shape->stride_w == 1 && shape->oh == shape->h &&
         shape->ow == shape->w && panels_of(shape) <= RK_MOST_PIECES;
}

int rk_conv_stream_prefers(const rk_conv_plan *plan) {
  return !is_half(plan) && pixels_of(&plan->shape) <= MOST_PREFERRED_ROWS && plan->shape.c * plan->shape.k >= LEAST_PREFERRED_FLOATS;
}

int rk_conv_stream_plan(rk_conv_plan *plan) {
  const rk_conv_shape *shape = &plan->shape;
  if (plan->isa == RK_ISA_REFERENCE || plan->pass != RK_CONV_FORWARD || !applies(shape)) return -1;
  const int64_t weights[] = {panels_of(shape) * LANES, shape->c}, floats = rk_conv_addressable(weights, 2);
  if (floats == 0) return -1;
  plan->packed_floats = (size_t)(is_half(plan) ? floats / 2 : floats);
  return 0;
}

/* ---- Packing ---- */

/* One line of a panel; outputs behind the last are zero. As bf16 output i of an even vector lies beside output i of the next, in the lower
 * half of a word: one instruction widens each. */
static void pack_line(const float *weight, int64_t outputs, int64_t lanes, int half, void *line) {
  if (!half) {
    memcpy(line, weight, (size_t)outputs * sizeof *weight);
    memset((float *)line + outputs, 0, (size_t)(LANES - outputs) * sizeof *weight);
    return;
  }
  uint16_t *to = line;
  for (int64_t k = 0; k < LANES; k++) {
    const int64_t vector = k / lanes, word = vector / 2 * lanes + k % lanes;
    to[2 * word + vector % 2] = k < outputs ? rk_bf16_rounded(weight[k]) : 0;
  }
}

void rk_conv_stream_pack(const rk_conv_pack_args *args, const rk_team *team) {
  const rk_conv_shape *shape = &args->plan->shape;
  const int half = is_half(args->plan);
  const rk_type type = half ? RK_BF16 : RK_F32;
  const int64_t lanes = rk_conv_kernels_of(args->plan->isa)->lanes;
  /* Lines that are packed before the next panel's turn: few enough that their weights are still on the pages at hand. */
  enum { LINES = 16 };
  int64_t begin, end;
  rk_share(panels_of(shape), team, &begin, &end);
  for (int64_t first = 0; first < shape->c; first += LINES)
    for (int64_t panel = begin; panel < end; panel++) {
      const int64_t k = panel * LANES, outputs = rk_min64(LANES, shape->k - k), lines = rk_min64(LINES, shape->c - first);
      const float *weight = args->weight + first * shape->k + k;
      float scaled[LINES * LANES];
      if (args->scale) rk_conv_kernels_of(args->plan->isa)->scaled(weight, shape->k, args->scale + k, lines, outputs, scaled, LANES);
      for (int64_t line = 0; line < lines; line++)
        pack_line(args->scale ? scaled + line * LANES : weight + line * shape->k, outputs, lanes, half,
                  rk_to(args->packed, type, (panel * shape->c + first + line) * LANES));
    }
}

/* ---- Forward ---- */

/* sums[row][output] of one panel, for `rows` pixels at src. */
static void sum_panel(const rk_conv_plan *plan, const float *src, int64_t rows, const void *panel, float *sums) {
  const rk_conv_kernels *kernels = rk_conv_kernels_of(plan->isa);
  const int half = is_half(plan);
  const int64_t c = plan->shape.c;
  memset(sums, 0, (size_t)(rows * LANES) * sizeof *sums);
  for (int64_t first = 0; first < c; first += BLOCK_LINES)
    for (int64_t row = 0; row < rows; row += kernels->stream_rows) {
      const int64_t count = rk_min64(kernels->stream_rows, rows - row);
      kernels->stream[half][count - 1](&(rk_conv_stream){.src = src + row * c + first,
                                                         .src_row = c,
                                                         .lines = rk_min64(BLOCK_LINES, c - first),
                                                         .panel = rk_at(panel, half ? RK_BF16 : RK_F32, first * LANES),
                                                         .ahead = row == 0 ? AHEAD_BYTES : 0,
                                                         .sums = sums + row * LANES});
    }
}

/* dst = activation(sums + bias + add) for the outputs [first, first + count) of one pixel. */
static void finish(const rk_conv_forward_args *args, const float *sums, int64_t pixel, int64_t first, int64_t count) {
  const int64_t at = pixel * args->plan->shape.k + first;
  const float *add = args->add;
  float *dst = args->dst;
  for (int64_t i = 0; i < count; i++) {
    float value = sums[i] + (args->bias ? args->bias[first + i] : 0) + (add ? add[at + i] : 0);
    if (args->activation == RK_ACTIVATION_RELU) value = value < 0 ? 0 : value;
    if (args->activation == RK_ACTIVATION_PRELU) value = value < 0 ? value * args->slope[first + i] : value;
    dst[at + i] = value;
  }
}

void rk_conv_stream_forward(const rk_conv_forward_args *args, const rk_team *team) {
  const rk_conv_plan *plan = args->plan;
  const rk_conv_shape *shape = &plan->shape;
  const int64_t pixels = pixels_of(shape);
  _Alignas(RK_ALIGNMENT) float sums[MOST_ROWS * LANES];
  for (int64_t panel = -1; rk_take(team, panels_of(shape), &panel);) {
    const void *weights = rk_at(args->packed, is_half(plan) ? RK_BF16 : RK_F32, panel * shape->c * LANES);
    for (int64_t pixel = 0; pixel < pixels; pixel += MOST_ROWS) {
      const int64_t rows = rk_min64(MOST_ROWS, pixels - pixel);
      sum_panel(plan, (const float *)args->src + pixel * shape->c, rows, weights, sums);
      for (int64_t i = 0; i < rows; i++)
        finish(args, sums + i * LANES, pixel + i, panel * LANES, rk_min64(LANES, shape->k - panel * LANES));
    }
  }
}
