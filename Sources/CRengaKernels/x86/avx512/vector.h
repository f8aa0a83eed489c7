/* x86/avx512/vector.h: the vector layer for AVX-512: sixteen lanes. See generic/vector.h for what the names mean.
 * Include it inside the file's `#pragma clang attribute push`, after <immintrin.h>. */
#ifndef RK_VECTOR_H
#define RK_VECTOR_H
#include <stdint.h>

#define RK_LANES 16
#define RK_INLINE static inline __attribute__((always_inline))
typedef __m512 rk_vector;
typedef __mmask16 rk_mask;

RK_INLINE rk_mask rk_first(int64_t lanes) { return lanes >= 16 ? (rk_mask)0xffff : (rk_mask)((1u << lanes) - 1); }
RK_INLINE rk_vector rk_zero(void) { return _mm512_setzero_ps(); }
RK_INLINE rk_vector rk_broadcast(float value) { return _mm512_set1_ps(value); }
RK_INLINE rk_vector rk_load(const float *src) { return _mm512_loadu_ps(src); }
RK_INLINE void rk_store(float *dst, rk_vector value) { _mm512_storeu_ps(dst, value); }
RK_INLINE rk_vector rk_load_first(const float *src, rk_mask mask) { return _mm512_maskz_loadu_ps(mask, src); }
RK_INLINE void rk_store_first(float *dst, rk_mask mask, rk_vector value) { _mm512_mask_storeu_ps(dst, mask, value); }
/* Indices of channel k of each group of `group` lanes, and the vector of what lies there: of lane / group * group + k. */
typedef __m512i rk_index;
RK_INLINE rk_index rk_within(int64_t group, int64_t k) {
  const __m512i lanes = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
  return _mm512_or_si512(_mm512_and_si512(lanes, _mm512_set1_epi32((int32_t)-group)), _mm512_set1_epi32((int32_t)k));
}
RK_INLINE rk_vector rk_spread(const float *src, rk_index index) { return _mm512_permutexvar_ps(index, _mm512_loadu_ps(src)); }
/* Past the caches, to an address on a vector: for whole lines that are not read again soon. */
#define RK_STREAMS 1
RK_INLINE void rk_stream(float *dst, rk_vector value) { _mm512_stream_ps(dst, value); }
RK_INLINE void rk_stream_fence(void) { _mm_sfence(); }
RK_INLINE rk_vector rk_add(rk_vector a, rk_vector b) { return _mm512_add_ps(a, b); }
RK_INLINE rk_vector rk_sub(rk_vector a, rk_vector b) { return _mm512_sub_ps(a, b); }
RK_INLINE rk_vector rk_mul(rk_vector a, rk_vector b) { return _mm512_mul_ps(a, b); }
RK_INLINE rk_vector rk_fma(rk_vector a, rk_vector b, rk_vector c) { return _mm512_fmadd_ps(a, b, c); }
RK_INLINE rk_vector rk_fnma(rk_vector a, rk_vector b, rk_vector c) { return _mm512_fnmadd_ps(a, b, c); }
RK_INLINE rk_vector rk_where_negative(rk_vector value, rk_vector other) {
  return _mm512_mask_mov_ps(value, _mm512_cmp_ps_mask(value, _mm512_setzero_ps(), _CMP_LT_OQ), other);
}
RK_INLINE rk_vector rk_larger(rk_vector a, rk_vector b) {
  return _mm512_mask_mov_ps(_mm512_max_ps(a, b), _mm512_cmp_ps_mask(a, a, _CMP_UNORD_Q), a);
}
/* vmaxps and vminps give their second operand where one is NaN. */
RK_INLINE rk_vector rk_at_least(rk_vector bound, rk_vector value) { return _mm512_max_ps(bound, value); }
RK_INLINE rk_vector rk_at_most(rk_vector bound, rk_vector value) { return _mm512_min_ps(bound, value); }
RK_INLINE rk_vector rk_relu(rk_vector value) { return rk_at_least(rk_zero(), value); }
#endif
