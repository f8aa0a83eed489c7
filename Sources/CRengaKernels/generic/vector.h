/* generic/vector.h: the vector layer of the portable kernels: four lanes of the compiler's vector extension.
 * The kernels that are written once for all instruction sets (convolution_kernels.h, ...) see only these names; each set has its own
 * vector.h. A mask keeps the first lanes of a vector: memory behind the others is neither read nor written. */
#ifndef RK_VECTOR_H
#define RK_VECTOR_H
#include <stdint.h>
#include <string.h>

#define RK_LANES 4
#define RK_INLINE static inline __attribute__((always_inline))
typedef float rk_vector __attribute__((vector_size(16)));
typedef int32_t rk_vector_bits __attribute__((vector_size(16)));
typedef int64_t rk_mask;

RK_INLINE rk_mask rk_first(int64_t lanes) { return lanes; }
RK_INLINE rk_vector rk_zero(void) { return (rk_vector){0, 0, 0, 0}; }
RK_INLINE rk_vector rk_broadcast(float value) { return (rk_vector){value, value, value, value}; }
RK_INLINE rk_vector rk_load(const float *src) {
  rk_vector value;
  memcpy(&value, src, sizeof value);
  return value;
}
RK_INLINE void rk_store(float *dst, rk_vector value) { memcpy(dst, &value, sizeof value); }
RK_INLINE rk_vector rk_load_first(const float *src, rk_mask mask) {
  rk_vector value = rk_zero();
  for (int64_t i = 0; i < mask; i++) value[i] = src[i];
  return value;
}
RK_INLINE void rk_store_first(float *dst, rk_mask mask, rk_vector value) {
  for (int64_t i = 0; i < mask; i++) dst[i] = value[i];
}
/* Stores past the caches would be of half lines: not here. */
#define RK_STREAMS 0
RK_INLINE void rk_stream(float *dst, rk_vector value) { rk_store(dst, value); }
RK_INLINE void rk_stream_fence(void) {}
RK_INLINE rk_vector rk_add(rk_vector a, rk_vector b) { return a + b; }
RK_INLINE rk_vector rk_sub(rk_vector a, rk_vector b) { return a - b; }
RK_INLINE rk_vector rk_mul(rk_vector a, rk_vector b) { return a * b; }
/* a b + c */
RK_INLINE rk_vector rk_fma(rk_vector a, rk_vector b, rk_vector c) { return a * b + c; }
/* c - a b */
RK_INLINE rk_vector rk_fnma(rk_vector a, rk_vector b, rk_vector c) { return c - a * b; }
/* `other` where value < 0, else value: a NaN stays. */
RK_INLINE rk_vector rk_where_negative(rk_vector value, rk_vector other) {
  rk_vector_bits negative = value < rk_zero();
  return (rk_vector)((negative & (rk_vector_bits)other) | (~negative & (rk_vector_bits)value));
}
/* The larger; NaN where either is. */
RK_INLINE rk_vector rk_larger(rk_vector a, rk_vector b) {
  rk_vector_bits first = (a > b) | (a != a);
  return (rk_vector)((first & (rk_vector_bits)a) | (~first & (rk_vector_bits)b));
}
/* The larger or the smaller of the two: a NaN in `value` stays. */
RK_INLINE rk_vector rk_at_least(rk_vector bound, rk_vector value) {
  rk_vector_bits below = value < bound;
  return (rk_vector)((below & (rk_vector_bits)bound) | (~below & (rk_vector_bits)value));
}
RK_INLINE rk_vector rk_at_most(rk_vector bound, rk_vector value) {
  rk_vector_bits above = value > bound;
  return (rk_vector)((above & (rk_vector_bits)bound) | (~above & (rk_vector_bits)value));
}
RK_INLINE rk_vector rk_relu(rk_vector value) { return rk_where_negative(value, rk_zero()); }
#endif
