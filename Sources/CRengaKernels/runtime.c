/* runtime.c: the team of threads and the program that runs steps.
 * Not here: how they wait and share (runtime_barrier.c), how many they are (runtime_threads.c), where they begin (runtime_places.c). */
#define _GNU_SOURCE /* runtime_places.h */
#include "runtime_barrier.h"
#include "runtime_places.h"
#include <pthread.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

/* omp.h of the distribution is off clang's include path: these are all that we need of it. */
int omp_get_num_threads(void);
int omp_get_thread_num(void);
int kmp_get_blocktime(void) __attribute__((weak));
void kmp_set_blocktime(int milliseconds) __attribute__((weak));

typedef struct program {
  const rk_step *steps;
  uint32_t count;
  double *seconds;
  double before; /* when the last step ended, where seconds are asked for */
  const volatile int32_t *stop;
  _Atomic int32_t stopped;
  rk_barrier shared;
  rk_places places;
} program;

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

static int32_t is_set(const volatile int32_t *flag) { return flag != NULL && __atomic_load_n(flag, __ATOMIC_RELAXED) != 0; }

/* A step is cut into as many shares as the team has threads. Each thread begins with its own and then does those that nobody has begun: a
 * thread that is late (its processor had halted, or was taken away) holds up nobody. A step with barriers inside it has all of its shares
 * begun by different threads before any can end. */
static int begin_share(rk_barrier *shared, int32_t share, uint32_t step) {
  uint32_t begun = step;
  return atomic_compare_exchange_strong_explicit(&shared->shares[share].begun, &begun, step + 1, memory_order_acquire, memory_order_relaxed);
}

/* Whoever ends the last share ends the step. The generation comes first: who sees the next step sees the generation that its pieces belong
 * to. */
static void end_share(program *all, const rk_team *team, uint32_t step) {
  rk_barrier *shared = &all->shared;
  if (team->nth > 1) {
    if (atomic_fetch_add_explicit(&shared->arrived, 1, memory_order_acq_rel) + 1 < team->nth) return;
    atomic_store_explicit(&shared->arrived, 0, memory_order_relaxed);
    atomic_fetch_add_explicit(&shared->generation, 1, memory_order_relaxed);
  }
  if (all->seconds != NULL) {
    const double after = now();
    all->seconds[step] += after - all->before;
    all->before = after;
  }
  if (step + 1 < all->count && is_set(all->stop)) atomic_store_explicit(&all->stopped, 1, memory_order_relaxed);
  rk_change(shared, &shared->step, step + 1);
}

static void run_share(program *all, const rk_team *team, uint32_t index) {
  const rk_step *step = &all->steps[index];
  if (step->enabled == NULL || *step->enabled != 0) step->run(step->args, team);
  end_share(all, team, index);
}

/* What each thread of the team does. The end of the parallel region is the barrier after the last step. */
static void run_steps(program *all, const rk_team *team) {
  rk_barrier *shared = &all->shared;
  for (;;) {
    const uint32_t step = atomic_load_explicit(&shared->step, memory_order_acquire);
    if (step == all->count || atomic_load_explicit(&all->stopped, memory_order_relaxed)) return;
    for (int32_t i = 0; i < team->nth; i++) {
      const rk_team share = {.tid = (team->tid + i) % team->nth, .nth = team->nth, .barrier = shared};
      if (begin_share(shared, share.tid, step)) run_share(all, &share, step);
    }
    if (step + 1 < all->count) rk_wait_for_change(shared, &shared->step, step);
    else return;
  }
}

/* libomp's workers spin for 200 ms after a region, which slows every other thread pool of the host. The wait is a setting of the thread
 * that opens the region: shortened for this region alone, unless the user chose one (OMP_WAIT_POLICY shows as another value).
 * Returns the setting to give back, or -1. */
static int shorten_blocktime(void) {
  enum { UNKNOWN, OURS, USERS, DEFAULT_MILLISECONDS = 200, SHORT_MILLISECONDS = 1 };
  static _Atomic int owner = UNKNOWN; /* the environment is read once: a host may be changing it */
  if (kmp_get_blocktime == NULL || kmp_set_blocktime == NULL) return -1;
  if (atomic_load_explicit(&owner, memory_order_relaxed) == UNKNOWN)
    atomic_store_explicit(&owner, getenv("KMP_BLOCKTIME") == NULL ? OURS : USERS, memory_order_relaxed);
  int previous = kmp_get_blocktime();
  if (previous != DEFAULT_MILLISECONDS || atomic_load_explicit(&owner, memory_order_relaxed) == USERS) return -1;
  kmp_set_blocktime(SHORT_MILLISECONDS);
  return previous;
}

/* The sanitizer does not see inside libomp: where a region begins and ends is told to it. */
#if __has_feature(thread_sanitizer)
void __tsan_acquire(void *address);
void __tsan_release(void *address);
static void hand_over(void *to) { __tsan_release(to); }
static void take_over(void *from) { __tsan_acquire(from); }
#else
static inline void hand_over(void *to) { (void)to; }
static inline void take_over(void *from) { (void)from; }
#endif

static _Atomic int in_forked_child;
static void note_fork(void) { atomic_store(&in_forked_child, 1); }
static void watch_forks(void) { (void)pthread_atfork(NULL, NULL, note_fork); }

/* libomp starts anew in a forked child, unless KMP_INIT_AT_FORK forbids it (scikit-learn sets that for the whole process): then a child
 * that inherits a team waits for threads which it does not have, for ever. Such a child runs alone, with the same bits. */
static int team_was_lost(void) {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  (void)pthread_once(&once, watch_forks);
  return atomic_load_explicit(&in_forked_child, memory_order_relaxed) && getenv("KMP_INIT_AT_FORK") != NULL;
}

static void run_team(program *all, int32_t threads) {
  int blocktime = shorten_blocktime();
  const int has_room = all->shared.spins > 0;
  if (has_room) rk_places_begin(&all->places, threads);
  hand_over(all);
#pragma omp parallel num_threads(threads) firstprivate(all)
  {
    take_over(all);
    rk_team team = {.tid = omp_get_thread_num(), .nth = omp_get_num_threads(), .barrier = &all->shared};
    if (has_room) rk_places_arrive(&all->places, &team);
    run_steps(all, &team);
    hand_over(all);
  }
  take_over(all);
  if (has_room) rk_places_end(&all->places);
  if (blocktime >= 0) kmp_set_blocktime(blocktime);
}

/* Processors of the machine; asked once, since the C library opens a file each time. */
static int32_t processors(void) {
  static _Atomic int32_t known;
  int32_t count = atomic_load_explicit(&known, memory_order_relaxed);
  if (count == 0) {
    long online = sysconf(_SC_NPROCESSORS_ONLN);
    count = online < 1 ? 1 : online > RK_MAX_THREADS ? RK_MAX_THREADS : (int32_t)online;
    atomic_store_explicit(&known, count, memory_order_relaxed);
  }
  return count;
}

int rk_run(const rk_step *steps, size_t count, int32_t threads, double *seconds, const volatile int32_t *stop) {
  if (is_set(stop)) return 1;
  if (threads > RK_MAX_THREADS) threads = RK_MAX_THREADS;
  program all = {.steps = steps, .count = (uint32_t)count, .seconds = seconds, .stop = stop};
  if (seconds != NULL) all.before = now();
  if (threads <= 1 || team_was_lost()) {
    run_steps(&all, &(rk_team){.tid = 0, .nth = 1});
  } else {
    all.shared.spins = threads <= processors() ? RK_SPINS : 0;
    run_team(&all, threads);
  }
  return atomic_load_explicit(&all.stopped, memory_order_relaxed);
}
