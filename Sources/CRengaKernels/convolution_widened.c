/* convolution_widened.c: passes over bf16 maps by an f32 algorithm: maps are widened into scratch a few images at a time, and results
 * rounded back. For the instruction sets without products of bf16, and for the shapes that those products do not suit.
 * Not here: which algorithm that is (convolution.c).
 *
 * The weights stay f32. The number of images at a time divides N and follows from the shape alone. */
#include "convolution_internal.h"
#include "loops.h"

/* Floats of widened maps that a step aims at: with the algorithm's own scratch they stay in two cores' L2. */
#define STEP_FLOATS (INT64_C(256) * 1024)

static int64_t src_image(const rk_conv_shape *shape) { return shape->h * shape->w * shape->c; }
static int64_t dst_image(const rk_conv_shape *shape) { return shape->oh * shape->ow * shape->k; }
static int64_t line_up(int64_t floats) { return rk_div_up(floats, 16) * 16; }
static int64_t weight_floats(const rk_conv_shape *shape) { return shape->r * shape->s * (shape->c / shape->groups) * shape->k; }

/* Where the parts of the scratch begin: widened src, widened dst, sums of weights of a step, the algorithm's own. */
typedef struct parts {
  int64_t dst, sums, own;
} parts;

static parts parts_of(const rk_conv_plan *plan) {
  const rk_conv_shape *shape = &plan->shape;
  parts parts = {.dst = line_up(plan->images * src_image(shape))};
  parts.sums = parts.dst + line_up(plan->images * dst_image(shape));
  const int has_sums = plan->pass == RK_CONV_BACKWARD_WEIGHT && plan->images < shape->n;
  parts.own = parts.sums + (has_sums ? line_up(weight_floats(shape) + shape->k) : 0);
  return parts;
}

/* The f32 plan of a step, as the algorithm made it. */
static rk_conv_plan step_plan(const rk_conv_plan *plan) {
  rk_conv_plan step = *plan;
  step.type = RK_F32;
  step.shape.n = plan->images;
  step.images = 0;
  if (step.scratch_floats > 0) step.scratch_floats -= (size_t)parts_of(plan).own;
  return step;
}

int rk_conv_widened_plan(rk_conv_plan *plan, int (*plan_f32)(rk_conv_plan *plan)) {
  const rk_conv_shape *shape = &plan->shape;
  plan->images = rk_max64(rk_min64(STEP_FLOATS / (src_image(shape) + dst_image(shape)), shape->n), 1);
  while (shape->n % plan->images != 0) plan->images--;
  rk_conv_plan step = step_plan(plan);
  if (plan_f32(&step) != 0) return -1;
  const int64_t images = plan->images, n = shape->n;
  *plan = step;
  plan->type = RK_BF16;
  plan->images = images;
  plan->shape.n = n;
  plan->pools = plan->adds = 0;
  plan->scratch_floats += (size_t)parts_of(plan).own;
  return 0;
}

static void widen(const rk_conv_plan *plan, const void *map, int64_t first, int64_t count, float *wide, const rk_team *team) {
  int64_t begin, end;
  rk_share_floats(count, team, &begin, &end);
  if (begin < end) rk_loops_of(plan->isa, plan->type)->widen(end - begin, rk_at(map, plan->type, first + begin), wide + begin);
}

static void narrow(const rk_conv_plan *plan, const float *wide, void *map, int64_t first, int64_t count, const rk_team *team) {
  int64_t begin, end;
  rk_share_floats(count, team, &begin, &end);
  if (begin < end) rk_loops_of(plan->isa, plan->type)->narrow(end - begin, wide + begin, rk_to(map, plan->type, first + begin));
}

void rk_conv_widened_forward(const rk_conv_forward_args *args, rk_conv_forward_fn forward, const rk_team *team) {
  const rk_conv_plan *plan = args->plan, step = step_plan(plan);
  const parts parts = parts_of(plan);
  const int64_t src_count = plan->images * src_image(&plan->shape), dst_count = plan->images * dst_image(&plan->shape);
  float *src = args->scratch, *dst = args->scratch + parts.dst;
  rk_conv_forward_args wide = *args;
  wide.plan = &step, wide.src = src, wide.dst = dst, wide.add = args->add ? dst : NULL, wide.scratch = args->scratch + parts.own;
  for (int64_t i = 0; i < plan->shape.n / plan->images; i++) {
    widen(plan, args->src, i * src_count, src_count, src, team);
    if (args->add) widen(plan, args->add, i * dst_count, dst_count, dst, team);
    rk_team_barrier(team);
    forward(&wide, team);
    rk_team_barrier(team);
    narrow(plan, dst, args->dst, i * dst_count, dst_count, team);
  }
}

void rk_conv_widened_backward_data(const rk_conv_backward_data_args *args, rk_conv_backward_data_fn backward, const rk_team *team) {
  const rk_conv_plan *plan = args->plan, step = step_plan(plan);
  const parts parts = parts_of(plan);
  const int64_t src_count = plan->images * src_image(&plan->shape), dst_count = plan->images * dst_image(&plan->shape);
  float *dsrc = args->scratch, *ddst = args->scratch + parts.dst;
  rk_conv_backward_data_args wide = *args;
  wide.plan = &step, wide.ddst = ddst, wide.dsrc = dsrc, wide.add = args->add ? dsrc : NULL, wide.scratch = args->scratch + parts.own;
  for (int64_t i = 0; i < plan->shape.n / plan->images; i++) {
    widen(plan, args->ddst, i * dst_count, dst_count, ddst, team);
    if (args->add) widen(plan, args->add, i * src_count, src_count, dsrc, team);
    rk_team_barrier(team);
    backward(&wide, team);
    rk_team_barrier(team);
    narrow(plan, dsrc, args->dsrc, i * src_count, src_count, team);
  }
}

void rk_conv_widened_backward_weight(const rk_conv_backward_weight_args *args, rk_conv_backward_weight_fn backward, const rk_team *team) {
  const rk_conv_plan *plan = args->plan, step = step_plan(plan);
  const rk_loops *floats = rk_loops_of(plan->isa, RK_F32);
  const parts parts = parts_of(plan);
  const int64_t src_count = plan->images * src_image(&plan->shape), dst_count = plan->images * dst_image(&plan->shape);
  const int64_t weights = weight_floats(&plan->shape);
  float *src = args->scratch, *ddst = args->scratch + parts.dst, *sums = args->scratch + parts.sums;
  rk_conv_backward_weight_args wide = *args;
  wide.plan = &step, wide.src = src, wide.ddst = ddst, wide.scratch = args->scratch + parts.own;
  for (int64_t i = 0; i < plan->shape.n / plan->images; i++) {
    int64_t begin, end;
    widen(plan, args->src, i * src_count, src_count, src, team);
    widen(plan, args->ddst, i * dst_count, dst_count, ddst, team);
    rk_team_barrier(team);
    backward(&wide, team);
    rk_team_barrier(team);
    wide.dweight = sums, wide.dbias = args->dbias ? sums + weights : NULL;
    if (i == 0) continue;
    rk_share_floats(weights, team, &begin, &end);
    if (begin < end) floats->scaled(end - begin, 1, sums + begin, 1, args->dweight + begin);
    if (args->dbias && team->tid == 0) floats->scaled(plan->shape.k, 1, sums + weights, 1, args->dbias);
  }
}
