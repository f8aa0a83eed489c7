/* runtime_places.h: on which processors the threads of a run begin, private to the runtime.
 * Not here: what they do there (runtime.c), how many they are (runtime_threads.c). */
#ifndef RK_RUNTIME_PLACES_H
#define RK_RUNTIME_PLACES_H
#include "rk_runtime.h"
#include "runtime_workers.h"
#include <sched.h> /* the includer has defined _GNU_SOURCE */
#include <stdatomic.h>

/* Processors beyond these are not told apart. */
enum { RK_MOST_PROCESSORS = 1024 };

/* Workers that a caller places at most: each costs it a few calls of the system. */
enum { RK_MOST_PLACED = 16 };

/* A worker and a processor. */
typedef struct rk_place {
  rk_worker worker;
  int32_t processor;
} rk_place;

/* The places of one run. All zero at the start. */
typedef struct rk_places {
  _Alignas(RK_ALIGNMENT) _Atomic uint64_t taken[RK_MOST_PROCESSORS / 64]; /* bits: processors that one of the team runs on */
  rk_place placed[RK_MOST_PLACED];                                       /* who is kept on one processor during the run */
  int32_t count;
  void *crew; /* what the calling thread remembers of its workers */
#ifdef __linux__
  cpu_set_t open; /* where the caller may run */
#endif
} rk_places;

/* The caller, before its team wakes. */
void rk_places_begin(rk_places *places, int32_t threads);
/* Each thread of the team, first of all. */
void rk_places_arrive(rk_places *places, const rk_team *team);
/* The caller, when the team is done. */
void rk_places_end(rk_places *places);
#endif
