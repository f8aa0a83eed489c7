/* element.h: one element of a map of either type, and where it lies. Not here: whole vectors of them (vector.h, loops_body.h). */
#ifndef RK_ELEMENT_H
#define RK_ELEMENT_H
#include "rk_runtime.h"
#include <string.h>

/* A bf16 is the upper half of a float: eight bits of exponent, seven of mantissa. */
static inline float rk_bf16_widened(uint16_t half) {
  const uint32_t bits = (uint32_t)half << 16;
  float value;
  memcpy(&value, &bits, sizeof value);
  return value;
}

/* To the nearest, ties to even; denormals too; a NaN stays one, made quiet. */
static inline uint16_t rk_bf16_rounded(float value) {
  uint32_t bits;
  memcpy(&bits, &value, sizeof bits);
  if (value != value) return (uint16_t)(bits >> 16 | 0x40);
  return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

static inline int64_t rk_bytes_of(rk_type type, int64_t count) { return count * (type == RK_BF16 ? 2 : 4); }

/* The address of element i. */
static inline const void *rk_at(const void *map, rk_type type, int64_t i) { return (const char *)map + rk_bytes_of(type, i); }
static inline void *rk_to(void *map, rk_type type, int64_t i) { return (char *)map + rk_bytes_of(type, i); }

static inline float rk_get(const void *map, rk_type type, int64_t i) {
  return type == RK_BF16 ? rk_bf16_widened(((const uint16_t *)map)[i]) : ((const float *)map)[i];
}
static inline void rk_put(void *map, rk_type type, int64_t i, float value) {
  if (type == RK_BF16) ((uint16_t *)map)[i] = rk_bf16_rounded(value);
  else ((float *)map)[i] = value;
}

#endif
