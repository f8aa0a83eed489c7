/* runtime_memory.c: aligned memory, its pages, the thread's message buffer.
 * Not here: what it is used for. */
#define _GNU_SOURCE /* huge pages */
#include "rk_runtime.h"
#include <stdlib.h>
#include <sys/mman.h>

enum { HUGE_PAGE = 2 << 20 };

void *rk_alloc(size_t bytes) {
  if (bytes > PTRDIFF_MAX - HUGE_PAGE) return NULL;
  const size_t rounded = bytes == 0 ? RK_ALIGNMENT : (bytes + RK_ALIGNMENT - 1) / RK_ALIGNMENT * RK_ALIGNMENT;
  const int large = rounded >= HUGE_PAGE;
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
