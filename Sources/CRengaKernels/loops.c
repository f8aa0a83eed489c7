/* loops.c: the choice of the table of inner loops, and what the operators share around it. Not here: the loops (loops_body.h). */
#include "loops.h"
#include <string.h>

const rk_loops *rk_loops_of(rk_isa isa, rk_type type) {
#if defined(__x86_64__)
  if (isa >= RK_ISA_AVX512_BF16 && type == RK_BF16) return &rk_loops_avx512_bf16;
  if (isa >= RK_ISA_AVX512) return &rk_loops_avx512[type];
  if (isa == RK_ISA_AVX2) return &rk_loops_avx2[type];
#endif
  (void)isa;
  return &rk_loops_generic[type];
}

/* The widest vector has WIDEST floats; a period of at least SHORTEST hides the latency of accumulators that live in memory. */
enum { WIDEST = 16, SHORTEST = 256 };

int64_t rk_period(int64_t c) {
  int64_t period = c;
  while (period % WIDEST != 0 && period <= RK_MAX_PERIOD) period *= 2;
  if (period > RK_MAX_PERIOD) return c;
  return period >= SHORTEST ? period : (SHORTEST + period - 1) / period * period;
}

const float *rk_periodic(int64_t c, const float *values, float *room) {
  int64_t period = rk_period(c);
  if (period == c) return values;
  memcpy(room, values, (size_t)c * sizeof *room);
  /* Doubles what is there until the period is full. */
  for (int64_t filled = c; filled < period;) {
    int64_t more = filled <= period - filled ? filled : period - filled;
    memcpy(room + filled, room, (size_t)more * sizeof *room);
    filled += more;
  }
  return room;
}

rk_chunks rk_chunks_of(int64_t rows, int64_t c) {
  /* A chunk is read twice and should come from the second-level cache the second time; many channels need more rows than that gives,
   * or the chunks' results would be as large as the map. Whole vectors of rows keep the chunks aligned. */
  enum { CHUNK_FLOATS = 16384, LEAST_ROWS = 64, ROW_UNIT = 16 };
  int64_t chunk = CHUNK_FLOATS / (c > 0 ? c : 1);
  chunk = (chunk + ROW_UNIT - 1) / ROW_UNIT * ROW_UNIT;
  if (chunk < LEAST_ROWS) chunk = LEAST_ROWS;
  return (rk_chunks){.rows = chunk, .count = rows / chunk + (rows % chunk != 0)};
}
