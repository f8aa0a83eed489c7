/* runtime_workers.h: which threads have worked in a team and live, private to the runtime: the system gives a thread's number to another one
 * once the thread has ended.
 * Not here: where they run (runtime_places.c). */
#ifndef RK_RUNTIME_WORKERS_H
#define RK_RUNTIME_WORKERS_H
#include <stdint.h>

/* A thread that has worked, for ever: what is all zero is nobody. */
typedef struct rk_worker {
  int32_t desk;
  uint32_t turn;
} rk_worker;

/* The calling thread; nobody where too many live already. */
rk_worker rk_worker_self(void);
/* Between these two no worker ends: they wait at most for each other's few calls of the system. */
void rk_workers_hold(void);
void rk_workers_release(void);
/* The system's number of a worker, or 0 where it has ended. While workers are held. */
int32_t rk_worker_number(rk_worker worker);
#endif
