/* x86/avx2/vector.h: the vector layer for AVX2 with FMA: eight lanes. See generic/vector.h for what the names mean.
 * Include it inside the file's `#pragma clang attribute push`, after <immintrin.h>. */
#ifndef RK_VECTOR_H
#define RK_VECTOR_H
#include <stdint.h>

#define RK_LANES 8
#define RK_INLINE static inline __attribute__((always_inline))
typedef __m256 rk_vector;
typedef __m256i rk_mask;

RK_INLINE rk_mask rk_first(int64_t lanes) {
  return _mm256_cmpgt_epi32(_mm256_set1_epi32((int32_t)lanes), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}
RK_INLINE rk_vector rk_zero(void) { return _mm256_setzero_ps(); }
RK_INLINE rk_vector rk_broadcast(float value) { return _mm256_set1_ps(value); }
RK_INLINE rk_vector rk_load(const float *src) { return _mm256_loadu_ps(src); }
RK_INLINE void rk_store(float *dst, rk_vector value) { _mm256_storeu_ps(dst, value); }
RK_INLINE rk_vector rk_load_first(const float *src, rk_mask mask) { return _mm256_maskload_ps(src, mask); }
RK_INLINE void rk_store_first(float *dst, rk_mask mask, rk_vector value) { _mm256_maskstore_ps(dst, mask, value); }
/* Indices of channel k of each group of `group` lanes, and the vector of what lies there: of lane / group * group + k. */
typedef __m256i rk_index;
RK_INLINE rk_index rk_within(int64_t group, int64_t k) {
  const __m256i lanes = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
  return _mm256_or_si256(_mm256_and_si256(lanes, _mm256_set1_epi32((int32_t)-group)), _mm256_set1_epi32((int32_t)k));
}
RK_INLINE rk_vector rk_spread(const float *src, rk_index index) { return _mm256_permutevar8x32_ps(_mm256_loadu_ps(src), index); }
/* Stores past the caches would be of half lines: not here. */
#define RK_STREAMS 0
RK_INLINE void rk_stream(float *dst, rk_vector value) { rk_store(dst, value); }
RK_INLINE void rk_stream_fence(void) {}
RK_INLINE rk_vector rk_add(rk_vector a, rk_vector b) { return _mm256_add_ps(a, b); }
RK_INLINE rk_vector rk_sub(rk_vector a, rk_vector b) { return _mm256_sub_ps(a, b); }
RK_INLINE rk_vector rk_mul(rk_vector a, rk_vector b) { return _mm256_mul_ps(a, b); }
RK_INLINE rk_vector rk_fma(rk_vector a, rk_vector b, rk_vector c) { return _mm256_fmadd_ps(a, b, c); }
RK_INLINE rk_vector rk_fnma(rk_vector a, rk_vector b, rk_vector c) { return _mm256_fnmadd_ps(a, b, c); }
RK_INLINE rk_vector rk_where_negative(rk_vector value, rk_vector other) {
  return _mm256_blendv_ps(value, other, _mm256_cmp_ps(value, _mm256_setzero_ps(), _CMP_LT_OQ));
}
RK_INLINE rk_vector rk_larger(rk_vector a, rk_vector b) {
  return _mm256_blendv_ps(_mm256_max_ps(a, b), a, _mm256_cmp_ps(a, a, _CMP_UNORD_Q));
}
/* vmaxps and vminps give their second operand where one is NaN. */
RK_INLINE rk_vector rk_at_least(rk_vector bound, rk_vector value) { return _mm256_max_ps(bound, value); }
RK_INLINE rk_vector rk_at_most(rk_vector bound, rk_vector value) { return _mm256_min_ps(bound, value); }
RK_INLINE rk_vector rk_relu(rk_vector value) { return rk_at_least(rk_zero(), value); }
#endif
