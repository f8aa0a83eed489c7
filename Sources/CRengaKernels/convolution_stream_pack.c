/* convolution_stream_pack.c: panels of weights that are streamed: as they are, rounded to bf16, or compact where the instruction set reads
 * that (AVX-512). Not here: the products (convolution_stream.c), a compact line (x86/avx512/compact.h).
 *
 * Compact lines leave out what repeats: trained or drawn, nearly all weights of a layer share a dozen exponents, so that a code of 4 bits
 * stands for the 8 of an exponent. f32 then takes 28 bits, bf16 12, and nothing is rounded: weights without a code are listed behind the
 * panel, and a panel with many of them is kept as it is. What is streamed takes 7/8 (bf16: 3/4) of the time. */
#include "convolution_stream.h"
#include "element.h"
#include <string.h>

enum {
  LANES = RK_CONV_STREAM_LANES,
  BLOCK_LINES = 16,   /* packed before the next panel's turn: few enough that their weights are still on the pages at hand */
  SAMPLED_LINES = 64, /* of a panel, from which its codes are chosen */
  EXPONENTS = 256,
  CODED = RK_CONV_COMPACT_CODES - 1, /* beside code 0 */
  MOST_BASE = EXPONENTS - 1 - CODED,
  LINES_A_STRAY = 8, /* reading a stray takes as long as what so many lines save */
};

/* Lines [first, first + count) of a panel, each of LANES weights: those behind the last output are zero. */
static void gather_lines(const rk_conv_pack_args *args, int64_t panel, int64_t first, int64_t count, float *lines) {
  const rk_conv_shape *shape = &args->plan->shape;
  const int64_t k = panel * LANES, outputs = rk_min64(LANES, shape->k - k);
  const float *weight = args->weight + first * shape->k + k;
  if (outputs < LANES) memset(lines, 0, (size_t)(count * LANES) * sizeof *lines);
  if (args->scale) {
    rk_conv_kernels_of(args->plan->isa)->scaled(weight, shape->k, args->scale + k, count, outputs, lines, LANES);
    return;
  }
  for (int64_t line = 0; line < count; line++)
    memcpy(lines + line * LANES, weight + line * shape->k, (size_t)outputs * sizeof *lines);
}

static uint32_t bits_of(float value) {
  uint32_t bits;
  memcpy(&bits, &value, sizeof bits);
  return bits;
}

/* The exponent before the CODED consecutive ones that most of the sampled weights have; of equal choices the middle one. */
static int32_t choose_base(const rk_conv_pack_args *args, int64_t panel) {
  const int64_t c = args->plan->shape.c, step = rk_div_up(c, SAMPLED_LINES);
  int32_t seen[EXPONENTS] = {0}, most = -1, first = 0, last = 0, within = 0;
  float line[LANES];
  for (int64_t i = 0; i < c; i += step) {
    gather_lines(args, panel, i, 1, line);
    for (int k = 0; k < LANES; k++) seen[bits_of(line[k]) >> 23 & 0xff]++;
  }
  for (int exponent = 1; exponent <= CODED; exponent++) within += seen[exponent];
  for (int32_t base = 0; base <= MOST_BASE; base++) {
    if (within > most) most = within, first = base;
    if (within == most) last = base;
    if (base < MOST_BASE) within += seen[base + 1 + CODED] - seen[base + 1];
  }
  return (first + last) / 2;
}

static int32_t base_of(const rk_stream_head *head) { return (int32_t)(head->exponents[1] >> 23) - 1; }

/* `compact`: the instruction set reads such lines. */
static void begin_panel(const rk_conv_pack_args *args, int64_t panel, int compact, rk_stream_head *head) {
  const int half = rk_stream_is_half(args->plan);
  *head = (rk_stream_head){.lines = half ? RK_LINES_BF16 : RK_LINES_F32};
  if (!compact) return;
  const uint32_t base = (uint32_t)choose_base(args, panel);
  for (uint32_t code = 1; code < RK_CONV_COMPACT_CODES; code++) head->exponents[code] = (base + code) << 23;
  memcpy(&head->least, &head->exponents[1], sizeof head->least);
  head->lines = half ? RK_LINES_COMPACT_BF16 : RK_LINES_COMPACT_F32;
}

/* As bf16 output i of an even vector lies beside output i of the next, in the lower half of a word: one instruction widens each. */
static void pack_line(const float *line, int64_t lanes, int half, char *to) {
  if (!half) {
    memcpy(to, line, LANES * sizeof *line);
    return;
  }
  for (int64_t k = 0; k < LANES; k++) {
    const int64_t vector = k / lanes, word = vector / 2 * lanes + k % lanes;
    ((uint16_t *)to)[2 * word + vector % 2] = rk_bf16_rounded(line[k]);
  }
}

/* Lists the strays of a line, bits of `found`; 0 where they become too many. */
static int add_strays(const rk_conv_plan *plan, rk_stream_head *head, char *panel, int64_t line, const float *weight, uint32_t found) {
  rk_stream_stray *strays = (rk_stream_stray *)rk_stream_strays_of(plan, head, panel);
  for (; found != 0; found &= found - 1) {
    const int output = __builtin_ctz(found);
    if (head->strays >= plan->shape.c / LINES_A_STRAY) return 0;
    const float kept = rk_stream_is_half(plan) ? rk_bf16_widened(rk_bf16_rounded(weight[output])) : weight[output];
    strays[head->strays++] = (rk_stream_stray){.line = (int32_t)line, .output = output, .weight = kept};
  }
  return 1;
}

/* Lines [first, first + count) of a panel; where strays become too many, all lines before the last of these once more, as they are. */
static void pack_lines(const rk_conv_pack_args *args, int64_t panel, int64_t first, int64_t count) {
  const rk_conv_plan *plan = args->plan;
  const rk_conv_kernels *kernels = rk_conv_kernels_of(plan->isa);
  const int half = rk_stream_is_half(plan);
  rk_stream_head *head = (rk_stream_head *)rk_stream_head_of(args->packed, panel);
  char *to = (char *)rk_stream_panel_of(plan, args->packed, panel);
  float lines[BLOCK_LINES * LANES];
  gather_lines(args, panel, first, count, lines);
  const int64_t bytes = rk_conv_line_bytes(head->lines);
  for (int64_t i = 0; i < count; i++) {
    const float *line = lines + i * LANES;
    if (head->lines <= RK_LINES_BF16) {
      pack_line(line, kernels->lanes, half, to + (first + i) * bytes);
      continue;
    }
    const uint32_t strays = kernels->compact(line, base_of(head), half, to + (first + i) * bytes);
    if (strays == 0 || add_strays(plan, head, to, first + i, line, strays)) continue;
    head->lines = half ? RK_LINES_BF16 : RK_LINES_F32;
    head->strays = 0;
    for (int64_t again = 0; again <= first; again += BLOCK_LINES)
      pack_lines(args, panel, again, rk_min64(BLOCK_LINES, first + count - again));
    return;
  }
}

void rk_conv_stream_pack(const rk_conv_pack_args *args, const rk_team *team) {
  const rk_conv_shape *shape = &args->plan->shape;
  const int compact = rk_conv_kernels_of(args->plan->isa)->compact != NULL && shape->c <= INT32_MAX;
  int64_t begin, end;
  rk_share(rk_stream_panels(shape), team, &begin, &end);
  for (int64_t panel = begin; panel < end; panel++)
    begin_panel(args, panel, compact, (rk_stream_head *)rk_stream_head_of(args->packed, panel));
  for (int64_t first = 0; first < shape->c; first += BLOCK_LINES)
    for (int64_t panel = begin; panel < end; panel++) pack_lines(args, panel, first, rk_min64(BLOCK_LINES, shape->c - first));
}
