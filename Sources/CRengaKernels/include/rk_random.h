/* rk_random.h: counter-based random numbers (Philox 4x32-10, Salmon et al. 2011): no state, any element at any time, by any thread.
 * Not here: distributions (RengaData builds them on these words). */
#ifndef RK_RANDOM_H
#define RK_RANDOM_H
#include <stdint.h>

/* out[4] = Philox4x32-10 of the 128-bit counter (counter_low, counter_high) under the 64-bit key. */
static inline void rk_philox(uint64_t key, uint64_t counter_low, uint64_t counter_high, uint32_t out[4]) {
  uint32_t k0 = (uint32_t)key, k1 = (uint32_t)(key >> 32);
  uint32_t x0 = (uint32_t)counter_low, x1 = (uint32_t)(counter_low >> 32), x2 = (uint32_t)counter_high, x3 = (uint32_t)(counter_high >> 32);
  for (int round = 0; round < 10; round++) {
    uint64_t p0 = (uint64_t)0xD2511F53u * x0, p1 = (uint64_t)0xCD9E8D57u * x2;
    uint32_t y0 = (uint32_t)(p1 >> 32) ^ x1 ^ k0, y2 = (uint32_t)(p0 >> 32) ^ x3 ^ k1;
    x1 = (uint32_t)p1;
    x3 = (uint32_t)p0;
    x0 = y0;
    x2 = y2;
    k0 += 0x9E3779B9u;
    k1 += 0xBB67AE85u;
  }
  out[0] = x0, out[1] = x1, out[2] = x2, out[3] = x3;
}
#endif
