/* loops.c (generic): the inner loops on vectors of four in portable C: SSE2 on x86-64, NEON on aarch64. */
#include "../loops.h"
#include <math.h>

#define WIDTH 4
#define LOOPS rk_loops_generic
typedef float vec __attribute__((ext_vector_type(WIDTH)));
typedef float vec_unaligned __attribute__((ext_vector_type(WIDTH), aligned(4)));
typedef int32_t mask __attribute__((ext_vector_type(WIDTH)));

static inline vec load_part(const float *from, int64_t part) {
  vec value = {0};
  for (int64_t i = 0; i < part; i++) value[i] = from[i];
  return value;
}

static inline void store_part(float *to, vec value, int64_t part) {
  for (int64_t i = 0; i < part; i++) to[i] = value[i];
}

#include "../loops_body.h"
