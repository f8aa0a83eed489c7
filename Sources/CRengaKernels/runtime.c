/* runtime.c: the team of threads and the program that runs steps; aligned memory; the thread's message buffer.
 * Not here: instruction sets (runtime_isa.c), the number of threads to use (runtime_threads.c), where they begin (runtime_places.c). */
#define _GNU_SOURCE /* calls of the system */
#include "runtime_places.h"
#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>
#ifdef __linux__
#include <linux/futex.h>
#include <sys/syscall.h>
#endif

/* omp.h of the distribution is off clang's include path: these are all that we need of it. */
int omp_get_num_threads(void);
int omp_get_thread_num(void);
int kmp_get_blocktime(void) __attribute__((weak));
void kmp_set_blocktime(int milliseconds) __attribute__((weak));

/* ---- Barrier ---- */

/* Spins this often before it yields (about 10 us), and yields this often before it sleeps (about 2 ms). A sleeper lets its processor halt, and
 * waking a halted virtual processor costs a whole step: with sleep after 64 yields ResNet-50 at batch 1 took 1.4 times as long once the process
 * had idled. A yield gives way to whoever else wants the processor. */
enum { SPINS = 256, YIELDS = 4096 };

/* A generation counter that the last arrival raises, and how many steps are done. All zero at the start; the arrivals and the words that
 * are waited on lie in different cache lines, so that arriving does not disturb the waiting. */
typedef struct barrier {
  _Alignas(RK_ALIGNMENT) _Atomic int32_t arrived;
  _Alignas(RK_ALIGNMENT) _Atomic uint32_t generation;
  _Atomic uint32_t step;
  _Atomic int32_t sleepers;
  struct {
    _Alignas(RK_ALIGNMENT) _Atomic uint64_t range; /* of rk_take */
    _Atomic uint32_t begun;                        /* steps of which this share was begun */
  } shares[RK_MAX_THREADS];
  int32_t spins; /* 0 where the team is larger than the machine: then whoever waits holds the processor of one who works */
} barrier;

static inline void relax(void) {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ volatile("yield");
#endif
}

#ifdef __linux__
static void sleep_while(_Atomic uint32_t *word, uint32_t value) { syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, value, NULL, NULL, 0); }
static void wake_all(_Atomic uint32_t *word) { syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0); }
#else
static void sleep_while(_Atomic uint32_t *word, uint32_t value) { (void)word, (void)value, sched_yield(); }
static void wake_all(_Atomic uint32_t *word) { (void)word; }
#endif

/* word: the generation or the step. */
static void wait_for_change(barrier *shared, _Atomic uint32_t *word, uint32_t value) {
  for (int32_t i = 0; i < shared->spins; i++) {
    if (atomic_load_explicit(word, memory_order_acquire) != value) return;
    relax();
  }
  for (int32_t i = 0; i < YIELDS; i++) {
    if (atomic_load_explicit(word, memory_order_acquire) != value) return;
    sched_yield();
  }
  /* Sequential consistency here and in `change`: either we are counted before the word changes and get woken, or the kernel sees the changed
   * word and does not let us sleep. */
  atomic_fetch_add(&shared->sleepers, 1);
  while (atomic_load(word) == value) sleep_while(word, value);
  atomic_fetch_sub(&shared->sleepers, 1);
}

static void change(barrier *shared, _Atomic uint32_t *word, uint32_t value) {
  atomic_store(word, value);
  if (atomic_load(&shared->sleepers) > 0) wake_all(word);
}

void rk_team_barrier(const rk_team *team) {
  if (team->nth == 1) return;
  barrier *shared = team->barrier;
  /* Cannot change before this thread has arrived. */
  uint32_t generation = atomic_load_explicit(&shared->generation, memory_order_relaxed);
  if (atomic_fetch_add_explicit(&shared->arrived, 1, memory_order_acq_rel) + 1 < team->nth) {
    wait_for_change(shared, &shared->generation, generation);
    return;
  }
  atomic_store_explicit(&shared->arrived, 0, memory_order_relaxed);
  change(shared, &shared->generation, generation + 1);
}

/* ---- Pieces ---- */

/* A range in one word: the barrier generation that it belongs to (plus one; another: the share is still whole), its begin, its end. */
enum { RANGE_BITS = 22 };
#define RANGE_MASK ((UINT64_C(1) << RANGE_BITS) - 1)

/* Takes the first piece of thread `owner`'s range, or the last where another thread asks; 0 where nothing is left. */
static int take_from(barrier *shared, const rk_team *team, int32_t owner, int64_t count, int64_t *piece) {
  /* Cannot change while this thread is between two barriers. */
  uint64_t tag = (uint64_t)atomic_load_explicit(&shared->generation, memory_order_relaxed) + 1;
  tag &= UINT64_MAX >> (2 * RANGE_BITS);
  _Atomic uint64_t *word = &shared->shares[owner].range;
  uint64_t seen = atomic_load_explicit(word, memory_order_relaxed);
  for (;;) {
    int64_t begin = (int64_t)(seen >> RANGE_BITS & RANGE_MASK), end = (int64_t)(seen & RANGE_MASK);
    if (seen >> (2 * RANGE_BITS) != tag) rk_share(count, &(rk_team){.tid = owner, .nth = team->nth}, &begin, &end);
    if (begin >= end) return 0;
    *piece = owner == team->tid ? begin++ : --end;
    uint64_t left = tag << (2 * RANGE_BITS) | (uint64_t)begin << RANGE_BITS | (uint64_t)end;
    if (atomic_compare_exchange_weak_explicit(word, &seen, left, memory_order_relaxed, memory_order_relaxed)) return 1;
  }
}

int rk_take(const rk_team *team, int64_t count, int64_t *piece) {
  if (team->nth == 1) return ++*piece < count;
  if (team->barrier == NULL) {
    int64_t begin, end;
    rk_share(count, team, &begin, &end);
    *piece = *piece < 0 ? begin : *piece + 1;
    return *piece < end;
  }
  for (int32_t i = 0; i < team->nth; i++)
    if (take_from(team->barrier, team, (team->tid + i) % team->nth, count, piece)) return 1;
  return 0;
}

/* ---- Program ---- */

typedef struct program {
  const rk_step *steps;
  uint32_t count;
  double *seconds;
  double before; /* when the last step ended, where seconds are asked for */
  const volatile int32_t *stop;
  _Atomic int32_t stopped;
  barrier shared;
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
static int begin_share(barrier *shared, int32_t share, uint32_t step) {
  uint32_t begun = step;
  return atomic_compare_exchange_strong_explicit(&shared->shares[share].begun, &begun, step + 1, memory_order_acquire, memory_order_relaxed);
}

/* Whoever ends the last share ends the step. The generation comes first: who sees the next step sees the generation that its pieces belong
 * to. */
static void end_share(program *all, const rk_team *team, uint32_t step) {
  barrier *shared = &all->shared;
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
  change(shared, &shared->step, step + 1);
}

static void run_share(program *all, const rk_team *team, uint32_t index) {
  const rk_step *step = &all->steps[index];
  if (step->enabled == NULL || *step->enabled != 0) step->run(step->args, team);
  end_share(all, team, index);
}

/* What each thread of the team does. The end of the parallel region is the barrier after the last step. */
static void run_steps(program *all, const rk_team *team) {
  barrier *shared = &all->shared;
  for (;;) {
    const uint32_t step = atomic_load_explicit(&shared->step, memory_order_acquire);
    if (step == all->count || atomic_load_explicit(&all->stopped, memory_order_relaxed)) return;
    for (int32_t i = 0; i < team->nth; i++) {
      const rk_team share = {.tid = (team->tid + i) % team->nth, .nth = team->nth, .barrier = shared};
      if (begin_share(shared, share.tid, step)) run_share(all, &share, step);
    }
    if (step + 1 < all->count) wait_for_change(shared, &shared->step, step);
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
    all.shared.spins = threads <= processors() ? SPINS : 0;
    run_team(&all, threads);
  }
  return atomic_load_explicit(&all.stopped, memory_order_relaxed);
}

/* ---- Memory ---- */

enum { HUGE_PAGE = 2 << 20 };

void *rk_alloc(size_t bytes) {
  if (bytes > PTRDIFF_MAX - HUGE_PAGE) return NULL;
  const size_t rounded = bytes == 0 ? RK_ALIGNMENT : (bytes + RK_ALIGNMENT - 1) / RK_ALIGNMENT * RK_ALIGNMENT;
  const int large = rounded >= 2 * HUGE_PAGE;
  void *block = NULL;
  if (posix_memalign(&block, large ? HUGE_PAGE : RK_ALIGNMENT, rounded) != 0) return NULL;
#ifdef MADV_HUGEPAGE
  /* Maps and weights are walked from end to end: fewer page faults and table walks. A hint, whose refusal changes nothing. */
  if (large) (void)madvise(block, rounded / HUGE_PAGE * HUGE_PAGE, MADV_HUGEPAGE);
#endif
  return block;
}

void rk_free(void *block) { free(block); }

void rk_touch(const void *raw, const rk_team *team) {
  const rk_touch_args *args = raw;
  const int64_t pages = (int64_t)(args->bytes / HUGE_PAGE);
  for (int64_t page = -1; rk_take(team, pages, &page);) *((volatile char *)args->block + page * HUGE_PAGE) = 0;
}

char *rk_message_buffer(void) {
  static _Thread_local char buffer[RK_MESSAGE_BYTES];
  return buffer;
}
