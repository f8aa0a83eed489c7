/* runtime_barrier.c: how the threads of a team wait for each other and share pieces of work.
 * Not here: which steps they run (runtime.c). */
#define _GNU_SOURCE /* calls of the system */
#include "runtime_barrier.h"
#include <limits.h>
#include <sched.h>
#include <unistd.h>
#ifdef __linux__
#include <linux/futex.h>
#include <sys/syscall.h>
#endif

/* ---- Waiting ---- */

/* Who has looked RK_SPINS times yields this often before it sleeps (about 2 ms). A sleeper lets its processor halt, and waking a halted
 * virtual processor costs a whole step: with sleep after 64 yields ResNet-50 at batch 1 took 1.4 times as long once the process had idled.
 * A yield gives way to whoever else wants the processor. */
enum { YIELDS = 4096 };

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

void rk_wait_for_change(rk_barrier *shared, _Atomic uint32_t *word, uint32_t value) {
  for (int32_t i = 0; i < shared->spins; i++) {
    if (atomic_load_explicit(word, memory_order_acquire) != value) return;
    relax();
  }
  for (int32_t i = 0; i < YIELDS; i++) {
    if (atomic_load_explicit(word, memory_order_acquire) != value) return;
    sched_yield();
  }
  /* Sequential consistency here and in `rk_change`: either we are counted before the word changes and get woken, or the kernel sees the
   * changed word and does not let us sleep. */
  atomic_fetch_add(&shared->sleepers, 1);
  while (atomic_load(word) == value) sleep_while(word, value);
  atomic_fetch_sub(&shared->sleepers, 1);
}

void rk_change(rk_barrier *shared, _Atomic uint32_t *word, uint32_t value) {
  atomic_store(word, value);
  if (atomic_load(&shared->sleepers) > 0) wake_all(word);
}

void rk_team_barrier(const rk_team *team) {
  if (team->nth == 1) return;
  rk_barrier *shared = team->barrier;
  /* Cannot change before this thread has arrived. */
  uint32_t generation = atomic_load_explicit(&shared->generation, memory_order_relaxed);
  if (atomic_fetch_add_explicit(&shared->arrived, 1, memory_order_acq_rel) + 1 < team->nth) {
    rk_wait_for_change(shared, &shared->generation, generation);
    return;
  }
  atomic_store_explicit(&shared->arrived, 0, memory_order_relaxed);
  rk_change(shared, &shared->generation, generation + 1);
}

/* ---- Pieces ---- */

/* A range in one word: the barrier generation that it belongs to (plus one; another: the share is still whole), its begin, its end. */
enum { RANGE_BITS = 22 };
#define RANGE_MASK ((UINT64_C(1) << RANGE_BITS) - 1)

/* Takes the first piece of thread `owner`'s range, or the last where another thread asks; 0 where nothing is left. */
static int take_from(rk_barrier *shared, const rk_team *team, int32_t owner, int64_t count, int64_t *piece) {
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
