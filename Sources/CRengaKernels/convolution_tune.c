/* convolution_tune.c: the choice of algorithm by timing: every algorithm that applies runs on numbers of the shape's size, and the fastest is
 * remembered for the rest of the process. Not here: the rule that chooses without running (convolution.c).
 *
 * What runs between two layers of a network is imitated: weights come from beyond the caches and the source is fresh in them. */
#include "convolution_internal.h"
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

/* Candidates take turns; each is timed at most so often, and no longer once all have spent so much together. */
enum { FEWEST_ROUNDS = 3, MOST_ROUNDS = 12 };
#define ENOUGH_SECONDS 0.06
/* The rule's choice stays unless another takes less than this part of its time: timings are noisy. */
#define CLEARLY_FASTER 0.97
/* What is walked over to push weights out of a core's caches. */
#define SWEEP_FLOATS (INT64_C(1) << 20)
#define MOST_CANDIDATES 7

/* ---- What is known ---- */

typedef struct known_choice {
  rk_conv_shape shape;
  rk_conv_pass pass;
  rk_type type;
  rk_isa isa;
  int32_t threads;
  rk_conv_algorithm algorithm;
} known_choice;

/* A table of the last choices, overwritten in turn: deep networks have some dozens of shapes. */
static known_choice known[256];
static size_t known_count;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

/* Field by field: structures may have padding. */
static int same_shape(const rk_conv_shape *a, const rk_conv_shape *b) {
  return a->n == b->n && a->h == b->h && a->w == b->w && a->c == b->c && a->k == b->k && a->r == b->r && a->s == b->s &&
         a->stride_h == b->stride_h && a->stride_w == b->stride_w && a->pad_top == b->pad_top && a->pad_left == b->pad_left &&
         a->pad_bottom == b->pad_bottom && a->pad_right == b->pad_right && a->dilation_h == b->dilation_h &&
         a->dilation_w == b->dilation_w && a->groups == b->groups;
}

static rk_conv_algorithm recall(const rk_conv_plan *plan) {
  const size_t most = sizeof known / sizeof known[0];
  for (size_t i = 0; i < (known_count < most ? known_count : most); i++)
    if (same_shape(&known[i].shape, &plan->shape) && known[i].pass == plan->pass && known[i].type == plan->type &&
        known[i].isa == plan->isa && known[i].threads == plan->threads)
      return known[i].algorithm;
  return RK_CONV_AUTO;
}

static void remember(const rk_conv_plan *plan, rk_conv_algorithm algorithm) {
  known[known_count++ % (sizeof known / sizeof known[0])] =
      (known_choice){.shape = plan->shape,
                     .pass = plan->pass,
                     .type = plan->type,
                     .isa = plan->isa,
                     .threads = plan->threads,
                     .algorithm = algorithm};
}

/* ---- Timing ---- */

typedef struct candidate {
  rk_conv_plan plan;
  float *packed, *scratch;
  double best;
} candidate;

/* The tensors that all candidates share. `source` and `result` in the pass's own sense. */
typedef struct trial {
  float *source, *result, *weight, *sweep;
  int64_t source_floats, result_floats, weight_floats;
} trial;

static void walk(const float *values, int64_t count, const rk_team *team) {
  int64_t begin, end;
  rk_share(count, team, &begin, &end);
  for (int64_t i = begin; i < end; i += 16) (void)*(volatile const float *)(values + i);
}

static void sweep_caches(const void *raw, const rk_team *team) {
  const trial *trial = raw;
  walk(trial->sweep, SWEEP_FLOATS * team->nth, team);
  walk(trial->source, trial->source_floats, team);
}

/* `count` numbers between 0.5 and 1, as floats and, two for each, as bf16. */
static float *numbers(int64_t count) {
  uint32_t *bits = rk_alloc((size_t)count * sizeof *bits);
  for (int64_t i = 0; bits && i < count; i++) bits[i] = 0x3f003f00u + (uint32_t)(i * 37 % 101) * 0x10001u;
  return (float *)bits;
}

static void time_candidate(candidate *candidate, const trial *trial) {
  const rk_conv_plan *plan = &candidate->plan;
  const float *packed = candidate->packed ? candidate->packed : trial->weight;
  const rk_conv_forward_args forward = {
      .plan = plan, .src = trial->source, .packed = packed, .dst = trial->result, .scratch = candidate->scratch};
  const rk_conv_backward_data_args backward_data = {
      .plan = plan, .ddst = trial->source, .packed = packed, .dsrc = trial->result, .scratch = candidate->scratch};
  const rk_conv_backward_weight_args backward_weight = {
      .plan = plan, .src = trial->source, .ddst = trial->result, .dweight = trial->weight, .scratch = candidate->scratch};
  const rk_step steps[] = {
      {.run = sweep_caches, .args = trial},
      plan->pass == RK_CONV_FORWARD         ? (rk_step){.run = rk_conv_forward, .args = &forward}
      : plan->pass == RK_CONV_BACKWARD_DATA ? (rk_step){.run = rk_conv_backward_data, .args = &backward_data}
                                            : (rk_step){.run = rk_conv_backward_weight, .args = &backward_weight},
  };
  double seconds[2] = {0, 0};
  rk_run(steps, 2, plan->threads, seconds, NULL);
  if (seconds[1] < candidate->best) candidate->best = seconds[1];
}

static int prepare(candidate *candidate, const trial *trial) {
  const rk_conv_plan *plan = &candidate->plan;
  candidate->best = 1e30;
  candidate->packed = plan->packed_floats ? rk_alloc(plan->packed_floats * sizeof(float)) : NULL;
  candidate->scratch = rk_alloc(plan->scratch_floats * sizeof(float));
  if (candidate->packed && trial->weight) {
    const rk_conv_pack_args pack = {.plan = plan, .weight = trial->weight, .packed = candidate->packed};
    rk_run(&(rk_step){.run = rk_conv_pack, .args = &pack}, 1, plan->threads, NULL, NULL);
  }
  return candidate->scratch && (candidate->packed || !plan->packed_floats);
}

static int prepare_trial(trial *trial, const rk_conv_plan *plan) {
  const rk_conv_shape *shape = &plan->shape;
  int64_t src = shape->n * shape->h * shape->w * shape->c, dst = shape->n * shape->oh * shape->ow * shape->k;
  trial->source_floats = plan->pass == RK_CONV_BACKWARD_DATA ? dst : src;
  trial->result_floats = plan->pass == RK_CONV_BACKWARD_DATA ? src : dst;
  trial->weight_floats = shape->r * shape->s * (shape->c / shape->groups) * shape->k;
  trial->source = numbers(trial->source_floats);
  trial->result = numbers(trial->result_floats);
  trial->weight = numbers(trial->weight_floats);
  trial->sweep = numbers(SWEEP_FLOATS * plan->threads);
  return trial->source && trial->result && trial->weight && trial->sweep;
}

/* The fastest of `count` candidates, the first of which is the rule's choice; that one too where memory does not suffice. */
static rk_conv_algorithm fastest(candidate *candidates, int count) {
  trial trial;
  int ready = prepare_trial(&trial, &candidates[0].plan), best = 0;
  for (int i = 0; i < count; i++) ready &= prepare(&candidates[i], &trial);
  double spent = 0;
  for (int round = 0; ready && round < MOST_ROUNDS && (round < FEWEST_ROUNDS || spent < ENOUGH_SECONDS); round++)
    for (int i = 0; i < count; i++) {
      time_candidate(&candidates[i], &trial);
      spent += candidates[i].best;
    }
  for (int i = 1; ready && i < count; i++)
    if (candidates[i].best < candidates[best].best * (best == 0 ? CLEARLY_FASTER : 1)) best = i;
  for (int i = 0; i < count; i++) rk_free(candidates[i].packed), rk_free(candidates[i].scratch);
  rk_free(trial.source), rk_free(trial.result), rk_free(trial.weight), rk_free(trial.sweep);
  return candidates[best].plan.algorithm;
}

static rk_conv_algorithm time_algorithms(const rk_conv_plan *rule) {
  static const rk_conv_algorithm algorithms[MOST_CANDIDATES] = {RK_CONV_DIRECT, RK_CONV_DEPTHWISE, RK_CONV_WINOGRAD_F2,
                                                                RK_CONV_WINOGRAD_F4, RK_CONV_BF16,        RK_CONV_STREAM,
                                                                RK_CONV_GROUPED};
  candidate candidates[MOST_CANDIDATES + 1] = {{.plan = *rule}};
  int count = 1;
  for (int i = 0; i < MOST_CANDIDATES; i++)
    if (algorithms[i] != rule->algorithm &&
        rk_conv_plan_init(&candidates[count].plan, &rule->shape, rule->pass, rule->type, algorithms[i], rule->isa, rule->threads) == 0)
      count++;
  return count == 1 ? rule->algorithm : fastest(candidates, count);
}

int rk_conv_plan_tuned(rk_conv_plan *plan, const rk_conv_shape *shape, rk_conv_pass pass, rk_type type, rk_isa isa, int32_t threads) {
  if (rk_conv_plan_init(plan, shape, pass, type, RK_CONV_AUTO, isa, threads) != 0) return -1;
  /* One timing at a time: two would disturb each other. */
  pthread_mutex_lock(&lock);
  rk_conv_algorithm algorithm = recall(plan);
  if (algorithm == RK_CONV_AUTO) {
    algorithm = time_algorithms(plan);
    remember(plan, algorithm);
  }
  pthread_mutex_unlock(&lock);
  return algorithm == plan->algorithm ? 0 : rk_conv_plan_init(plan, shape, pass, type, algorithm, isa, threads);
}
