/* gate.c: the gates of stochastic depth for each sample, and clearing what a skipped step would have written.
 * Not here: gates for a whole batch, which are a scale for each channel (rk_scale_shift) or leave steps out (rk_step.enabled). */
#include "loops.h"
#include "reference/reference.h"
#include <string.h>

/* dst = relu?(src + add) for `count` elements from `at` on; src is left out where it is closed. */
static void gate_run(const rk_gate_args *a, int is_open, int64_t at, int64_t count) {
  rk_sum_args sum = {.isa = a->isa, .type = a->type, .count = count, .scale = 1, .relu = a->relu, .dst = rk_to(a->dst, a->type, at)};
  if (is_open) sum.src[sum.terms++] = rk_at(a->src, a->type, at);
  if (a->add != NULL) sum.src[sum.terms++] = rk_at(a->add, a->type, at);
  if (sum.terms > 0) rk_loops_of(a->isa, a->type)->sum(&sum, 0, count);
  else memset(sum.dst, 0, (size_t)rk_bytes_of(a->type, count));
}

void rk_gate(const void *args, const rk_team *team) {
  const rk_gate_args *a = args;
  RK_REFERENCE_STEP(gate, a)
  int64_t first, last;
  rk_share(a->n * a->pixels, team, &first, &last);
  while (first < last) {
    const int64_t sample = first / a->pixels, end = (sample + 1) * a->pixels < last ? (sample + 1) * a->pixels : last;
    const int lower = a->gates[2 * sample] != 0, upper = a->gates[2 * sample + 1] != 0;
    if (lower == upper) {
      gate_run(a, lower, first * a->c, (end - first) * a->c);
      first = end;
    }
    for (; first < end; first++) {
      gate_run(a, lower, first * a->c, a->split);
      gate_run(a, upper, first * a->c + a->split, a->c - a->split);
    }
  }
}

void rk_clear(const void *args, const rk_team *team) {
  const rk_clear_args *a = args;
  int64_t begin, end;
  rk_share_floats(a->bytes, team, &begin, &end);
  if (begin < end) memset((char *)a->dst + begin, 0, (size_t)(end - begin));
}
