/* convolution.c: the public entry points: which algorithm runs a pass over a shape, and the call into it.
 * Not here: any arithmetic on data: each algorithm has files of its own. */
#include "convolution_half.h"
#include "winograd_internal.h"

/* One row of the ordered list: how an algorithm plans, packs and runs. Entries that it lacks are NULL. */
typedef struct algorithm_entry {
  rk_conv_algorithm algorithm;
  const char *name;
  /* Whether the list's choice falls on it: asked only where no algorithm is forced. NULL: always. */
  int (*prefers)(const rk_conv_plan *plan);
  /* Fills sizes and blocks of a plan whose other fields stand; 0, or -1 where the algorithm does not apply or a size overflows. */
  int (*plan)(rk_conv_plan *plan);
  void (*pack)(const rk_conv_pack_args *args, const rk_team *team);
  rk_conv_forward_fn forward;
  rk_conv_backward_data_fn backward_data;
  rk_conv_backward_weight_fn backward_weight;
} algorithm_entry;

static int reference_plan(rk_conv_plan *plan) {
  plan->adds = plan->pass == RK_CONV_FORWARD ? RK_CONV_ADDS_FEWER | RK_CONV_ADDS_MEAN : 0;
  return 0;
}

static int winograd_prefers(const rk_conv_plan *plan) {
  return plan->pass == RK_CONV_BACKWARD_WEIGHT ? rk_winograd_backward_weight_prefers(plan) : rk_winograd_prefers(plan);
}

static int winograd_plan(rk_conv_plan *plan) {
  return plan->pass == RK_CONV_BACKWARD_WEIGHT ? rk_winograd_backward_weight_plan(plan) : rk_winograd_plan(plan);
}

/* In order of preference; a shape gets the first entry that prefers and accepts it. */
static const algorithm_entry ordered_list[] = {
    {RK_CONV_BF16, "bf16", rk_half_prefers, rk_half_plan, rk_half_pack, rk_half_forward, rk_half_backward_data,
     rk_half_backward_weight},
    {RK_CONV_WINOGRAD_F4, "winograd-f4", winograd_prefers, winograd_plan, rk_winograd_pack, rk_winograd_forward, rk_winograd_backward_data,
     rk_winograd_backward_weight},
    {RK_CONV_WINOGRAD_F2, "winograd-f2", winograd_prefers, winograd_plan, rk_winograd_pack, rk_winograd_forward, rk_winograd_backward_data,
     NULL},
    {RK_CONV_DEPTHWISE, "depthwise", NULL, rk_conv_depthwise_plan, NULL, rk_conv_depthwise_forward, rk_conv_depthwise_backward_data,
     rk_conv_depthwise_backward_weight},
    {RK_CONV_GROUPED, "grouped", NULL, rk_conv_grouped_plan, rk_conv_grouped_pack, rk_conv_grouped_forward,
     rk_conv_grouped_backward_data, rk_conv_grouped_backward_weight},
    {RK_CONV_STREAM, "stream", rk_conv_stream_prefers, rk_conv_stream_plan, rk_conv_stream_pack, rk_conv_stream_forward, NULL, NULL},
    {RK_CONV_STREAM_BF16, "stream-bf16", rk_conv_stream_prefers, rk_conv_stream_plan, rk_conv_stream_pack, rk_conv_stream_forward, NULL,
     NULL},
    {RK_CONV_DIRECT, "direct", NULL, rk_conv_direct_plan, rk_conv_direct_pack, rk_conv_direct_forward, rk_conv_direct_backward_data,
     rk_conv_direct_backward_weight},
    {RK_CONV_REFERENCE, "reference", NULL, reference_plan, NULL, rk_conv_reference_forward, rk_conv_reference_backward_data,
     rk_conv_reference_backward_weight},
};
#define ENTRIES (sizeof ordered_list / sizeof ordered_list[0])

static const algorithm_entry *entry_of(rk_conv_algorithm algorithm) {
  for (size_t i = 0; i < ENTRIES; i++)
    if (ordered_list[i].algorithm == algorithm) return &ordered_list[i];
  return &ordered_list[ENTRIES - 1];
}

const rk_conv_kernels *rk_conv_kernels_of(rk_isa isa) {
#if defined(__x86_64__)
  if (isa >= RK_ISA_AVX512) return &rk_conv_kernels_avx512;
  if (isa == RK_ISA_AVX2) return &rk_conv_kernels_avx2;
#endif
  (void)isa;
  return &rk_conv_kernels_generic;
}

int64_t rk_conv_addressable(const int64_t *factors, int count) {
  int64_t product = 1;
  for (int i = 0; i < count; i++)
    if (factors[i] < 1 || __builtin_mul_overflow(product, factors[i], &product) || product > RK_CONV_MOST_FLOATS) return 0;
  return product;
}

/* The output size of one dimension, or 0 where there is none. */
static int64_t output_size(int64_t size, int64_t before, int64_t after, int64_t taps, int64_t stride, int64_t dilation) {
  const int64_t most = INT32_MAX;
  if (size < 1 || size > most || before < 0 || before > most || after < 0 || after > most) return 0;
  if (taps < 1 || taps > most || stride < 1 || stride > most || dilation < 1 || dilation > most) return 0;
  int64_t room = size + before + after - dilation * (taps - 1) - 1;
  return room < 0 ? 0 : room / stride + 1;
}

static int shape_is_sound(const rk_conv_shape *shape) {
  if (shape->groups < 1 || shape->c < 1 || shape->k < 1 || shape->c % shape->groups != 0 || shape->k % shape->groups != 0) return 0;
  int64_t oh = output_size(shape->h, shape->pad_top, shape->pad_bottom, shape->r, shape->stride_h, shape->dilation_h);
  int64_t ow = output_size(shape->w, shape->pad_left, shape->pad_right, shape->s, shape->stride_w, shape->dilation_w);
  if (oh < 1 || ow < 1 || shape->oh != oh || shape->ow != ow) return 0;
  int64_t src[] = {shape->n, shape->h, shape->w, shape->c};
  int64_t dst[] = {shape->n, shape->oh, shape->ow, shape->k};
  int64_t weight[] = {shape->r, shape->s, shape->c / shape->groups, shape->k};
  return rk_conv_addressable(src, 4) && rk_conv_addressable(dst, 4) && rk_conv_addressable(weight, 4);
}

/* An algorithm that was not written for bf16 takes widened maps. */
static int plan_entry(const algorithm_entry *entry, rk_conv_plan *plan) {
  if (plan->type == RK_F32 || entry->algorithm == RK_CONV_REFERENCE || entry->algorithm == RK_CONV_BF16) return entry->plan(plan);
  return plan->type == RK_BF16 ? rk_conv_widened_plan(plan, entry->plan) : -1;
}

int rk_conv_plan_init(rk_conv_plan *plan, const rk_conv_shape *shape, rk_conv_pass pass, rk_type type, rk_conv_algorithm algorithm,
                      rk_isa isa, int32_t threads) {
  if (type != RK_F32 && type != RK_BF16) return -1;
  if (!shape_is_sound(shape) || threads < 0 || threads > RK_MAX_THREADS || !rk_isa_supported(isa)) return -1;
  for (size_t i = 0; i < ENTRIES; i++) {
    const algorithm_entry *entry = &ordered_list[i];
    if (algorithm != RK_CONV_AUTO && entry->algorithm != algorithm) continue;
    *plan = (rk_conv_plan){.shape = *shape, .pass = pass, .algorithm = entry->algorithm, .isa = isa, .threads = threads};
    if (threads == 0) plan->threads = plan->alone = 1;
    plan->type = type;
    if (algorithm == RK_CONV_AUTO && entry->prefers && !entry->prefers(plan)) continue;
    if (plan_entry(entry, plan) == 0) return 0;
  }
  return -1;
}

const char *rk_conv_algorithm_name(rk_conv_algorithm algorithm) {
  const algorithm_entry *entry = entry_of(algorithm);
  return algorithm == RK_CONV_AUTO ? "auto" : entry->algorithm == algorithm ? entry->name : "unknown";
}

void rk_conv_pack(const void *raw, const rk_team *team) {
  const rk_conv_pack_args *args = raw;
  const algorithm_entry *entry = entry_of(args->plan->algorithm);
  if (entry->pack && args->plan->packed_floats > 0) entry->pack(args, team);
}

int rk_conv_packs_channels(const rk_conv_plan *plan) {
  const int winograd = plan->algorithm == RK_CONV_WINOGRAD_F2 || plan->algorithm == RK_CONV_WINOGRAD_F4;
  return (winograd || plan->algorithm == RK_CONV_DIRECT) && plan->pass == RK_CONV_FORWARD && plan->shape.groups == 1 && plan->packed_floats > 0;
}

void rk_conv_forward(const void *raw, const rk_team *team) {
  const rk_conv_forward_args *args = raw;
  const rk_conv_forward_fn forward = entry_of(args->plan->algorithm)->forward;
  if (args->plan->images > 0) rk_conv_widened_forward(args, forward, team);
  else forward(args, team);
}

void rk_conv_backward_data(const void *raw, const rk_team *team) {
  const rk_conv_backward_data_args *args = raw;
  const rk_conv_backward_data_fn backward = entry_of(args->plan->algorithm)->backward_data;
  if (args->plan->images > 0) rk_conv_widened_backward_data(args, backward, team);
  else backward(args, team);
}

void rk_conv_backward_weight(const void *raw, const rk_team *team) {
  const rk_conv_backward_weight_args *args = raw;
  const rk_conv_backward_weight_fn backward = entry_of(args->plan->algorithm)->backward_weight;
  if (args->plan->images > 0) rk_conv_widened_backward_weight(args, backward, team);
  else backward(args, team);
}
