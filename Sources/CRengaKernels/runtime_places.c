/* runtime_places.c: sees to it that the threads of a run begin at once, and on different processors.
 * Not here: what they do there (runtime.c), how many they are (runtime_threads.c).
 *
 * Linux takes a virtual processor that has halted for one that its host has taken away, and so wakes a worker on the processor of the
 * thread that calls for it, or moves it there, where it waits until that thread's time is up or the next balancing: after a pause of 30 ms
 * workers came 0.9 ms late, some 8 ms. Where the machine is virtual, a caller therefore keeps each of its sleeping workers on one processor
 * of its own for the length of the run: they come after 0.1 ms, and stay. */
#define _GNU_SOURCE 1 /* processors and who may run on them */
#include "runtime_places.h"
#ifdef __linux__
#include <time.h>
#if defined(__x86_64__)
#include <cpuid.h>
#endif

/* Workers of a run that ended less long ago are still awake. */
#define ASLEEP_SECONDS 0.5e-3

/* The workers of the last run that this thread called for, and where they were; when it ended. Some may have ended since. */
typedef struct crew {
  rk_place of[RK_MOST_PLACED];
  double ended;
} crew;
static _Thread_local crew own_crew;

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

/* Asked once: the question itself takes a virtual machine some 10 us. */
static int is_virtual(void) {
  enum { UNKNOWN, YES, NO };
  static _Atomic int known;
  int answer = atomic_load_explicit(&known, memory_order_relaxed);
  if (answer == UNKNOWN) {
    answer = NO;
#if defined(__x86_64__)
    unsigned a, b, c = 0, d;
    if (__get_cpuid(1, &a, &b, &c, &d) && (c & 1u << 31) != 0) answer = YES;
#endif
    atomic_store_explicit(&known, answer, memory_order_relaxed);
  }
  return answer == YES;
}

/* True where nobody of the team was there. */
static int take_processor(rk_places *places, int processor) {
  if (processor < 0 || processor >= RK_MOST_PROCESSORS) return 0;
  const uint64_t bit = UINT64_C(1) << processor % 64;
  return (atomic_fetch_or_explicit(&places->taken[processor / 64], bit, memory_order_relaxed) & bit) == 0;
}

/* Takes a processor that is open and that nobody of the team is on, `wish` where it is one; -1 where there is none. */
static int choose_processor(rk_places *places, int wish) {
  if (wish >= 0 && wish < CPU_SETSIZE && CPU_ISSET(wish, &places->open) && take_processor(places, wish)) return wish;
  for (int processor = 0; processor < RK_MOST_PROCESSORS && processor < CPU_SETSIZE; processor++)
    if (CPU_ISSET(processor, &places->open) && take_processor(places, processor)) return processor;
  return -1;
}

/* Whether a thread (its number; 0: this one) may run wherever its caller may: who has another set was bound by the user, or is being placed by another
 * caller at this moment. Nobody is ever given another set than the one found here, so that it does not matter who gives it back last. */
static int is_free(const rk_places *places, pid_t thread) {
  cpu_set_t own;
  return sched_getaffinity(thread, sizeof own, &own) == 0 && CPU_EQUAL(&own, &places->open);
}

static int allow_only(pid_t thread, int processor) {
  cpu_set_t one;
  CPU_ZERO(&one);
  CPU_SET(processor, &one);
  return sched_setaffinity(thread, sizeof one, &one) == 0;
}

static void allow_all(const rk_places *places, pid_t thread) { (void)sched_setaffinity(thread, sizeof places->open, &places->open); }

void rk_places_begin(rk_places *places, int32_t threads) {
  crew *crew = places->crew = &own_crew;
  if (sched_getaffinity(0, sizeof places->open, &places->open) != 0) CPU_ZERO(&places->open);
  (void)take_processor(places, sched_getcpu()); /* the caller is the host's thread: nobody moves it */
  if (!is_virtual() || now() - crew->ended < ASLEEP_SECONDS) return;
  rk_workers_hold();
  for (int32_t i = 0; i < threads - 1 && i < RK_MOST_PLACED; i++) {
    const pid_t number = rk_worker_number(crew->of[i].worker);
    if (number == 0 || !is_free(places, number)) continue;
    const int processor = choose_processor(places, crew->of[i].processor);
    if (processor >= 0 && allow_only(number, processor))
      places->placed[places->count++] = (rk_place){.worker = crew->of[i].worker, .processor = processor};
  }
  rk_workers_release();
}

/* Moves this thread away from others of its team; it may leave that place again as before. */
static void move_away(rk_places *places) {
  if (take_processor(places, sched_getcpu()) || !is_free(places, 0)) return;
  const int processor = choose_processor(places, -1);
  if (processor >= 0 && allow_only(0, processor)) allow_all(places, 0);
}

static int was_placed(const rk_places *places, rk_worker worker) {
  for (int32_t i = 0; i < places->count; i++)
    if (places->placed[i].worker.desk == worker.desk && places->placed[i].worker.turn == worker.turn) return 1;
  return 0;
}

void rk_places_arrive(rk_places *places, const rk_team *team) {
  if (team->tid == 0) {
    if (places->count == 0) sched_yield(); /* one who waits behind this thread can begin, and move */
    return;
  }
  const rk_worker worker = rk_worker_self();
  if (!was_placed(places, worker)) move_away(places);
  if (team->tid > RK_MOST_PLACED) return;
  crew *crew = places->crew;
  crew->of[team->tid - 1] = (rk_place){.worker = worker, .processor = sched_getcpu()};
}

void rk_places_end(rk_places *places) {
  crew *crew = places->crew;
  if (places->count > 0) rk_workers_hold();
  for (int32_t i = 0; i < places->count; i++) {
    const pid_t number = rk_worker_number(places->placed[i].worker);
    if (number != 0) allow_all(places, number);
  }
  if (places->count > 0) rk_workers_release();
  crew->ended = now();
}
#else
void rk_places_begin(rk_places *places, int32_t threads) { (void)places, (void)threads; }
void rk_places_arrive(rk_places *places, const rk_team *team) { (void)places, (void)team; }
void rk_places_end(rk_places *places) { (void)places; }
#endif
