/* runtime_barrier.h: what the threads of a team wait for and take work from, private to the runtime.
 * Not here: what the work is (runtime.c). */
#ifndef RK_RUNTIME_BARRIER_H
#define RK_RUNTIME_BARRIER_H
#include "rk_runtime.h"
#include <stdatomic.h>

/* Who waits looks so often, about 10 us, before it yields. */
enum { RK_SPINS = 256 };

/* A generation counter that the last arrival raises, and how many steps are done. All zero at the start; the arrivals and the words that
 * are waited on lie in different cache lines, so that arriving does not disturb the waiting. */
typedef struct rk_barrier {
  _Alignas(RK_ALIGNMENT) _Atomic int32_t arrived;
  _Alignas(RK_ALIGNMENT) _Atomic uint32_t generation;
  _Atomic uint32_t step;
  _Atomic int32_t sleepers;
  struct {
    _Alignas(RK_ALIGNMENT) _Atomic uint64_t range; /* of rk_take */
    _Atomic uint32_t begun;                        /* steps of which this share was begun */
  } shares[RK_MAX_THREADS];
  int32_t spins; /* RK_SPINS; 0 where the team is larger than the machine: then whoever waits holds the processor of one who works */
} rk_barrier;

/* Waits until a word, the generation or the step, is no longer `value`. */
void rk_wait_for_change(rk_barrier *shared, _Atomic uint32_t *word, uint32_t value);
/* Sets a word to `value` and wakes who waits for that. */
void rk_change(rk_barrier *shared, _Atomic uint32_t *word, uint32_t value);
#endif
