/* runtime_workers.c: which threads have worked in a team and live. A thread takes a desk when it first works and gives it up as it ends, by the
 * destructor of a thread's key, which waits while workers are held: until then its number is its own.
 * Not here: where they run (runtime_places.c). */
#define _GNU_SOURCE 1 /* calls of the system */
#include "runtime_workers.h"
#include "rk_runtime.h"
#ifdef __linux__
#include <pthread.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Workers beyond these are nobody. */
enum { DESKS = 256 };

/* turn: raised when the desk is taken and when it is given up, so that it is odd in between. */
static struct desk {
  int32_t number;
  uint32_t turn;
} desks[DESKS];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_key_t ending;
static int has_key; /* written once, by `prepare` */
static _Thread_local rk_worker own;

void rk_workers_hold(void) { (void)pthread_mutex_lock(&lock); }
void rk_workers_release(void) { (void)pthread_mutex_unlock(&lock); }

static void leave(void *worker) {
  const rk_worker *self = worker;
  rk_workers_hold();
  struct desk *desk = &desks[self->desk];
  if (desk->turn == self->turn) desk->turn++;
  rk_workers_release();
}

/* A child of fork has none of its parent's workers; its one thread takes a desk anew. */
static void leave_all(void) {
  for (int32_t i = 0; i < DESKS; i++) desks[i].turn += desks[i].turn & 1u;
  rk_workers_release();
}

static void prepare(void) {
  has_key = pthread_atfork(rk_workers_hold, rk_workers_release, leave_all) == 0 && pthread_key_create(&ending, leave) == 0;
}

rk_worker rk_worker_self(void) {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  const rk_worker nobody = {0};
  if ((own.turn & 1u) != 0 && desks[own.desk].turn == own.turn) return own; /* nobody else changes it while this thread lives */
  if (pthread_once(&once, prepare) != 0 || !has_key || pthread_setspecific(ending, &own) != 0) return nobody;
  own = nobody;
  rk_workers_hold();
  for (int32_t i = 0; i < DESKS && own.turn == 0; i++) {
    if ((desks[i].turn & 1u) != 0) continue;
    desks[i].number = (int32_t)syscall(SYS_gettid);
    own = (rk_worker){.desk = i, .turn = ++desks[i].turn};
  }
  rk_workers_release();
  return own;
}

int32_t rk_worker_number(rk_worker worker) {
  const struct desk *desk = &desks[worker.desk];
  return (worker.turn & 1u) != 0 && desk->turn == worker.turn ? desk->number : 0;
}
#endif
