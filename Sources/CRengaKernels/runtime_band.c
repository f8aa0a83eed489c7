/* runtime_band.c: the step that takes chunks of images one by one through a list of steps.
 * Not here: which steps and how large a chunk (the plan's business), the program around it (runtime.c). */
#include "rk_runtime.h"
#include <string.h>
#include <time.h>

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

/* The arguments of a step for one chunk in one slot, put together in `room`. */
static const void *bind(const rk_band_step *step, int64_t chunk, int is_tail, int64_t slot, uint64_t *room) {
  memcpy(room, is_tail ? step->tail : step->step.args, step->words * sizeof *room);
  for (size_t i = 0; i < step->patch_count; i++) {
    const rk_patch *patch = &step->patches[i];
    room[patch->word] += (uint64_t)((is_tail ? 0 : chunk * patch->per_chunk) + slot * patch->per_slot);
  }
  return room;
}

static void run_chunk(const rk_band_args *band, int64_t chunk, int64_t slot) {
  const rk_team alone = {.tid = 0, .nth = 1};
  double *seconds = band->seconds == NULL ? NULL : band->seconds + (size_t)slot * band->count, before = seconds == NULL ? 0 : now();
  _Alignas(RK_ALIGNMENT) uint64_t room[RK_BAND_MOST_WORDS];
  for (size_t i = 0; i < band->count; i++) {
    const rk_band_step *step = &band->steps[i];
    int is_tail = step->tail != NULL && chunk + 1 == band->chunks;
    if (step->step.enabled == NULL || *step->step.enabled != 0) step->step.run(bind(step, chunk, is_tail, slot, room), &alone);
    if (seconds == NULL) continue;
    double after = now();
    seconds[i] += after - before;
    before = after;
  }
}

void rk_band(const void *args, const rk_team *team) {
  const rk_band_args *band = args;
  for (int64_t chunk; (chunk = __atomic_fetch_add(&band->state->next, 1, __ATOMIC_RELAXED)) < band->chunks;)
    run_chunk(band, chunk, team->tid);
  /* The last to leave makes the counters ready for the next run: nobody else looks at them any more. */
  if (__atomic_fetch_add(&band->state->left, 1, __ATOMIC_ACQ_REL) + 1 < team->nth) return;
  __atomic_store_n(&band->state->next, 0, __ATOMIC_RELAXED);
  __atomic_store_n(&band->state->left, 0, __ATOMIC_RELAXED);
}
