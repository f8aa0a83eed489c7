/* convolution_depthwise.c: convolution of each channel by its own filter (C = K = groups), all three passes: vectors of channels, no
 * copies, and no packed weights, since [R,S,1,K] is what the loops read. Not here: the loops over one row (convolution_kernels.h);
 * depthwise with a multiplier, which is the direct method's. */
#include "convolution_internal.h"
#include <string.h>

/* Pieces of the output rows whose partial sums of dweight are added in order: they follow from the shape alone. */
#define MOST_PIECES 16

static int applies(const rk_conv_shape *shape) { return shape->groups > 1 && shape->groups == shape->c && shape->groups == shape->k; }

int rk_conv_depthwise_plan(rk_conv_plan *plan) {
  const rk_conv_shape *shape = &plan->shape;
  if (plan->isa == RK_ISA_REFERENCE || !applies(shape)) return -1;
  if (plan->pass == RK_CONV_BACKWARD_DATA && (shape->stride_h > RK_CONV_MOST_STRIDE || shape->stride_w > RK_CONV_MOST_STRIDE)) return -1;
  if (plan->pass != RK_CONV_BACKWARD_WEIGHT) return 0;
  plan->block[0] = rk_min64(MOST_PIECES, shape->n * shape->oh);
  plan->scratch_floats = (size_t)(plan->block[0] * (shape->r * shape->s + 1) * shape->k);
  return 0;
}

/* Runs every phase over this thread's share of its rows. */
static void run_depthwise(const rk_conv_plan *plan, rk_conv_depthwise *depthwise, const rk_team *team) {
  const rk_conv_kernels *kernels = rk_conv_kernels_of(plan->isa);
  depthwise->channels = plan->shape.c;
  depthwise->weight_row = plan->shape.s * plan->shape.c;
  for (int64_t phase = 0; phase < rk_conv_phases(plan); phase++) {
    int64_t begin, end;
    rk_conv_correlation(plan, phase, &depthwise->at);
    rk_share(depthwise->at.n * depthwise->at.out_h, team, &begin, &end);
    for (int64_t row = begin; row < end; row++) kernels->depthwise_row(depthwise, row / depthwise->at.out_h, row % depthwise->at.out_h);
  }
}

void rk_conv_depthwise_forward(const rk_conv_forward_args *args, const rk_team *team) {
  rk_conv_depthwise depthwise = {.src = args->src,
                                 .weight = args->packed,
                                 .bias = args->bias,
                                 .add = args->add,
                                 .slope = args->slope,
                                 .activation = args->activation,
                                 .dst = args->dst};
  run_depthwise(args->plan, &depthwise, team);
}

void rk_conv_depthwise_backward_data(const rk_conv_backward_data_args *args, const rk_team *team) {
  rk_conv_depthwise depthwise = {
      .src = args->ddst, .weight = args->packed, .add = args->add, .activation = RK_ACTIVATION_NONE, .dst = args->dsrc};
  run_depthwise(args->plan, &depthwise, team);
}

void rk_conv_depthwise_backward_weight(const rk_conv_backward_weight_args *args, const rk_team *team) {
  const rk_conv_plan *plan = args->plan;
  const rk_conv_shape *shape = &plan->shape;
  const rk_conv_kernels *kernels = rk_conv_kernels_of(plan->isa);
  int64_t pieces = plan->block[0], weights = shape->r * shape->s * shape->k, step = weights + shape->k, begin, end;
  rk_conv_depthwise depthwise = {.src = args->src, .channels = shape->c, .weight_row = shape->s * shape->c};
  rk_conv_plan forward = *plan;
  forward.pass = RK_CONV_FORWARD;
  rk_conv_correlation(&forward, 0, &depthwise.at);
  rk_share(pieces, team, &begin, &end);
  for (int64_t piece = begin; piece < end; piece++) {
    int64_t row, last;
    float *sums = args->scratch + piece * step;
    memset(sums, 0, (size_t)step * sizeof(float));
    rk_share(shape->n * shape->oh, &(rk_team){.tid = (int32_t)piece, .nth = (int32_t)pieces}, &row, &last);
    for (; row < last; row++) {
      const float *ddst = (const float *)args->ddst + row * shape->ow * shape->k;
      kernels->depthwise_weight_row(&depthwise, row / shape->oh, row % shape->oh, ddst, sums);
      if (args->dbias) kernels->column_sum(ddst, shape->ow, shape->k, shape->k, sums + weights);
    }
  }
  rk_team_barrier(team);
  rk_share(weights, team, &begin, &end);
  rk_conv_add_pieces(args->scratch, pieces, step, begin, end, args->dweight);
  if (args->dbias && team->tid == 0) rk_conv_add_pieces(args->scratch + weights, pieces, step, 0, shape->k, args->dbias);
}
