/* loops.c (generic): the inner loops on vectors of four in portable C: SSE2 on x86-64, NEON on aarch64. */
#include "../loops.h"
#include <math.h>

#define WIDTH 4
#define LOOPS rk_loops_generic
typedef float vec __attribute__((ext_vector_type(WIDTH)));
typedef float vec_unaligned __attribute__((ext_vector_type(WIDTH), aligned(4)));
typedef int32_t mask __attribute__((ext_vector_type(WIDTH)));

/* By constant places: a loop over the lanes would go through memory. */
static inline vec load_part(const float *from, int64_t part) {
  vec value = {from[0]};
  if (part > 1) value[1] = from[1];
  if (part > 2) value[2] = from[2];
  return value;
}

static inline void store_part(float *to, vec value, int64_t part) {
  to[0] = value[0];
  if (part > 1) to[1] = value[1];
  if (part > 2) to[2] = value[2];
}

#include "../loops_body.h"
