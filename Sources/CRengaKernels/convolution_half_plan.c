/* convolution_half_plan.c: what forward and backward-data of bf16 maps decide before they run: tiles, bands, sizes; and the packing of
 * weights into panels of bf16. Not here: running (convolution_half.c), the correlation itself (convolution_correlation.c).
 *
 * A filter row's taps of one pixel are one run of taps_w C numbers, cut into steps of 32; so neither odd channel counts nor small ones
 * waste more than the last step of a run. */
#include "convolution_half_internal.h"
#include "element.h"
#include <string.h>

/* Bytes of operands that a band aims at: the rest of a 2 MB L2 is for the panels. */
#define BAND_BYTES (384 * 1024)
/* The same where the weights are more than all operands: then threads share the panels, and all operands had better be copied once. */
#define LARGE_BAND_BYTES (960 * 1024)
/* Time of a tile of so few rows does not fall further: products wait for the sums of the step before. */
#define LEAST_ROWS 12

const rk_half_kernels *rk_half_kernels_of(rk_isa isa) {
#if defined(__x86_64__)
  extern const rk_half_kernels rk_half_kernels_amx, rk_half_kernels_avx512_bf16;
  if (isa == RK_ISA_AMX) return &rk_half_kernels_amx;
  if (isa == RK_ISA_AVX512_BF16) return &rk_half_kernels_avx512_bf16;
#endif
  (void)isa;
  return NULL;
}

static int is_matrix(const rk_correlation *at) {
  return at->taps_h * at->taps_w == 1 && at->stride_h == 1 && at->stride_w == 1 && at->offset_h == 0 && at->offset_w == 0 &&
         at->out_h == at->src_h && at->out_w == at->src_w && at->dst_row == at->out_w * at->dst_pixel &&
         at->dst_image == at->out_h * at->dst_row;
}

/* Which tiles cover the rows in the least time. */
static void choose_tiles(half *half) {
  const rk_correlation *at = &half->at;
  const int64_t tiles = rk_div_up(at->out_w, RK_HALF_ROWS), rows = rk_div_up(at->out_w, tiles);
  half->rows = (int32_t)rows;
  half->flat = !half->in_place && !half->slides && at->stride_h == 1 && at->stride_w == 1 &&
               half->copy_w < tiles * rk_max64(rows, LEAST_ROWS);
  if (half->flat || half->in_place) half->rows = RK_HALF_ROWS;
}

/* Whether pairs of pixels are to be taken for pixels of 32 channels and 32 outputs, which is what they are in memory: two taps of pairs hold
 * the three of a filter row, with zeros where an output does not see a pixel. As many products as by rows of 48 operands, but whole cache
 * lines, and loads that a filter's rows share. */
static int pairs(const rk_half_kernels *kernels, const rk_correlation *at) {
  return kernels->slide && at->groups == 1 && at->c == RK_HALF_LANES && at->k == RK_HALF_LANES && at->taps_h == 3 && at->taps_w == 3 &&
         at->stride_h == 1 && at->stride_w == 1 && at->dilation_h == 1 && at->dilation_w == 1 && at->dst_pixel == at->k &&
         at->dst_row == at->out_w * at->k && at->out_w % 2 == 0 &&
         2 * rk_div_up(at->out_w, 2 * RK_HALF_ROWS) == rk_div_up(at->out_w, RK_HALF_ROWS);
}

static void pair(rk_correlation *at) {
  at->c *= 2, at->k *= 2, at->dst_pixel *= 2;
  at->taps_w = 2;
  at->out_w /= 2;
}

int rk_half_is_heavy(const half *half) {
  const rk_correlation *at = &half->at;
  return half->lines * RK_HALF_STEP * at->k > 2 * at->n * at->src_h * at->src_w * at->c;
}

int rk_half_prepare(const rk_conv_plan *plan, int64_t phase, half *half) {
  rk_conv_correlation(plan, phase, &half->at);
  const rk_correlation *at = &half->at;
  half->kernels = rk_half_kernels_of(plan->isa);
  half->paired = pairs(half->kernels, at);
  if (half->paired) pair(&half->at);
  half->slides = rk_half_slides(plan, at);
  half->pools = 0;
  half->inner = at->dilation_w == 1 && !half->slides ? 1 : at->taps_w;
  half->run = half->inner == 1 ? at->taps_w * at->c : at->c;
  half->steps = rk_div_up(half->run, RK_HALF_STEP);
  half->tail = (int32_t)(half->run % RK_HALF_STEP);
  half->lines = at->taps_h * at->taps_w == 0 ? 0 : at->taps_h * half->inner * half->steps;
  half->panels = rk_div_up(at->k, 2 * RK_HALF_LANES);
  half->in_place = is_matrix(at);
  half->units = at->out_w == 0 ? 0 : half->in_place ? at->n * at->out_h * at->out_w : at->n * at->out_h;
  half->copy_w = (at->out_w - 1) * at->stride_w + (at->taps_w - 1) * at->dilation_w + 1;
  half->band_bytes = 0;
  if (half->lines == 0 || half->units == 0) return 0;
  choose_tiles(half);
  const int64_t row[] = {half->copy_w, at->c, 2}, row_bytes = rk_conv_addressable(row, 3);
  const int64_t most_bytes = rk_half_is_heavy(half) ? LARGE_BAND_BYTES : BAND_BYTES;
  if (row_bytes == 0) return -1;
  if (half->in_place) {
    half->band_units = rk_min64(rk_max64(BAND_BYTES / (2 * at->c) / 64, 1), RK_HALF_MOST_TILES / 4) * 64;
    half->band_bytes = RK_HALF_COPIED_TILES * rk_half_copied_bytes(at);
    return 0;
  }
  const int64_t halo = rk_half_rows_seen(at, 1) - at->stride_h, tiles = rk_div_up(half->flat ? half->copy_w : at->out_w, half->rows);
  if (tiles > RK_HALF_MOST_TILES / 2) return -1;
  half->band_units = rk_min64(rk_max64((most_bytes / row_bytes - halo) / at->stride_h, 2), rk_min64(RK_HALF_MOST_TILES / tiles, at->out_h));
  if (half->slides && half->band_units < at->out_h) half->band_units = rk_max64(half->band_units / RK_HALF_TILES, 1) * RK_HALF_TILES;
  const int64_t band[] = {rk_half_rows_seen(at, half->band_units), row_bytes};
  half->band_bytes = rk_conv_addressable(band, 2);
  if (half->band_bytes == 0) return -1;
  /* A last tile that is not whole reads on for the rows that it lacks. */
  half->band_bytes += RK_HALF_ROWS * 2 * at->c * at->stride_w + RK_HALF_SLACK_BYTES;
  return 0;
}

int rk_half_plan(rk_conv_plan *plan) {
  const rk_conv_shape *shape = &plan->shape;
  if (plan->type != RK_BF16 || !rk_half_kernels_of(plan->isa)) return -1;
  if (plan->pass == RK_CONV_BACKWARD_WEIGHT) return rk_half_backward_weight_plan(plan);
  if (plan->pass == RK_CONV_BACKWARD_DATA && (shape->stride_h > RK_CONV_MOST_STRIDE || shape->stride_w > RK_CONV_MOST_STRIDE)) return -1;
  int64_t most = 0, packed = 0;
  for (int64_t phase = 0; phase < rk_conv_phases(plan); phase++) {
    half half;
    if (rk_half_prepare(plan, phase, &half) != 0) return -1;
    const int64_t sizes[] = {rk_max64(half.lines, 1), rk_div_up(half.at.k, RK_HALF_LANES) * RK_HALF_PANEL, half.at.groups};
    if (rk_conv_addressable(sizes, 3) == 0) return -1;
    packed += half.at.groups * rk_half_group_floats(&half);
    most = rk_max64(most, half.band_bytes);
    plan->pools = plan->pass == RK_CONV_FORWARD && half.slides && !half.paired;
    plan->adds = plan->pass == RK_CONV_FORWARD && !half.paired ? RK_CONV_ADDS_FEWER : 0;
  }
  plan->block[0] = rk_div_up(most, 64) * 16;
  plan->packed_floats = (size_t)packed;
  plan->scratch_floats = (size_t)plan->block[0] * (size_t)plan->threads;
  return 0;
}

/* Few channels a group leave most of every step empty; weights of a few pixels are better streamed. */
int rk_half_prefers(const rk_conv_plan *plan) {
  if (rk_conv_stream_suits(plan)) return 0;
  return plan->shape.groups == 1 || (plan->shape.c / plan->shape.groups >= 8 && plan->shape.k / plan->shape.groups >= 8);
}

/* ---- Packing ---- */

/* One step of one vector of outputs: [16 pairs][16 outputs][2] from operands [q, q + 32) of tap row i, run j. */
static void pack_step(const rk_conv_pack_args *args, const half *half, int64_t group, int64_t k0, int64_t i, int64_t j, int64_t q0,
                      uint16_t *packed) {
  const rk_conv_shape *shape = &args->plan->shape;
  const rk_correlation *at = &half->at;
  const int forward = args->plan->pass == RK_CONV_FORWARD;
  const int64_t group_c = shape->c / shape->groups, outputs = rk_min64(RK_HALF_LANES, at->k - k0), second = k0 / RK_HALF_LANES;
  const int64_t output_step = forward ? 1 : shape->k, r = at->tap_r + i * at->tap_r_step;
  const double *scale = args->scale ? args->scale + (half->paired ? 0 : group * at->k + k0) : NULL;
  memset(packed, 0, RK_HALF_PANEL * sizeof *packed);
  for (int64_t q = q0; q < rk_min64(q0 + RK_HALF_STEP, half->run); q++) {
    const int64_t tap = half->paired ? 2 * j + q / RK_HALF_LANES - second : half->inner > 1 ? j : q / at->c;
    const int64_t c = q % (half->paired ? RK_HALF_LANES : at->c), k1 = half->paired ? 0 : k0, s = at->tap_s + tap * at->tap_s_step;
    if (half->paired && (tap < 0 || tap > 2)) continue;
    const int64_t first = forward ? c * shape->k + group * at->k + k1 : k1 * shape->k + group * at->c + c;
    const float *weight = args->weight + (r * shape->s + s) * group_c * shape->k + first;
    uint16_t *to = packed + (q - q0) / 2 * 2 * RK_HALF_LANES + (q - q0) % 2;
    if (scale)
      for (int64_t k = 0; k < outputs; k++) to[2 * k] = rk_bf16_rounded((float)((double)weight[k] * scale[k]));
    else
      for (int64_t k = 0; k < outputs; k++) to[2 * k] = rk_bf16_rounded(weight[k * output_step]);
  }
}

void rk_half_pack(const rk_conv_pack_args *args, const rk_team *team) {
  int64_t packed_first = 0;
  for (int64_t phase = 0; phase < rk_conv_phases(args->plan); phase++) {
    half half;
    if (rk_half_prepare(args->plan, phase, &half) != 0) return;
    const int64_t vectors = rk_div_up(half.at.k, RK_HALF_LANES);
    int64_t begin, end;
    rk_share(half.at.groups * vectors * half.lines, team, &begin, &end);
    for (int64_t item = begin; item < end; item++) {
      const int64_t line = item % half.lines, vector = item / half.lines % vectors, group = item / half.lines / vectors;
      const int64_t panel = vector / 2, width = rk_min64(2, vectors - 2 * panel);
      const int64_t at = half.slides ? vector * half.lines + line : 2 * panel * half.lines + line * width + vector % 2;
      float *packed = args->packed + packed_first + group * rk_half_group_floats(&half) + at * (RK_HALF_PANEL / 2);
      const int64_t taps = half.at.taps_h, inner = half.inner, steps = half.steps;
      if (half.slides)
        pack_step(args, &half, group, vector * RK_HALF_LANES, line % taps, line / taps % inner, line / taps / inner * RK_HALF_STEP,
                  (uint16_t *)packed);
      else
        pack_step(args, &half, group, vector * RK_HALF_LANES, line / steps / inner, line / steps % inner, line % steps * RK_HALF_STEP,
                  (uint16_t *)packed);
    }
    packed_first += half.at.groups * rk_half_group_floats(&half);
  }
}
