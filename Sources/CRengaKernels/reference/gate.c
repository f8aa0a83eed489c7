/* gate.c (reference): the twin of gates for each sample. */
#include "reference.h"

void rk_reference_gate(const rk_gate_args *a) {
  for (int64_t at = 0; at < a->n * a->pixels * a->c; at++) {
    const int64_t sample = at / (a->pixels * a->c), second = at % a->c >= a->split;
    double value = a->gates[2 * sample + second] != 0 ? (double)rk_get(a->src, a->type, at) : 0;
    if (a->add != NULL) value += (double)rk_get(a->add, a->type, at);
    rk_put(a->dst, a->type, at, a->relu && value < 0 ? 0 : (float)value);
  }
}
