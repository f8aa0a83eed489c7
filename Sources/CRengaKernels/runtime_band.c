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

/* The chunk that a piece stands for. In a band that goes backwards each thread's share is turned round: it begins with the chunks that it
 * ended the band before with, which its cache still holds. */
static int64_t chunk_of(const rk_band_args *band, int32_t threads, int64_t piece) {
  int64_t begin = 0, end = 0;
  if (!band->backwards) return piece;
  for (int32_t owner = 0; end <= piece; owner++) rk_share(band->chunks, &(rk_team){.tid = owner, .nth = threads}, &begin, &end);
  return begin + end - 1 - piece;
}

void rk_band(const void *args, const rk_team *team) {
  const rk_band_args *band = args;
  for (int64_t piece = -1; rk_take(team, band->chunks, &piece);) run_chunk(band, chunk_of(band, team->nth, piece), team->tid);
}
