/* loops.c (avx512): the inner loops on vectors of sixteen with AVX-512 F, BW, DQ, VL; and, where AVX512_BF16 rounds (denormal numbers to
 * zero), those of batch norm and of sums that store bf16. */
#include "../../loops.h"
#if defined(__x86_64__)
#include <immintrin.h>
#include <math.h>

#define WIDTH 16
#define LOOPS rk_loops_avx512
typedef float vec __attribute__((ext_vector_type(WIDTH)));
typedef float vec_unaligned __attribute__((ext_vector_type(WIDTH), aligned(4)));
typedef int32_t mask __attribute__((ext_vector_type(WIDTH)));

#pragma clang attribute push(__attribute__((target("avx2,fma,avx512f,avx512bw,avx512dq,avx512vl"))), apply_to = function)

static inline __mmask16 edge_mask(int64_t part) { return (__mmask16)((1u << part) - 1); }
static inline vec load_part(const float *from, int64_t part) { return (vec)_mm512_maskz_loadu_ps(edge_mask(part), from); }
static inline void store_part(float *to, vec value, int64_t part) { _mm512_mask_storeu_ps(to, edge_mask(part), (__m512)value); }
#define load_halves(from, part) ((halves)_mm256_maskz_loadu_epi16(edge_mask(part), from))
#define store_halves(to, half, part) _mm256_mask_storeu_epi16(to, edge_mask(part), (__m256i)(half))

#include "../../loops_body.h"
#pragma clang attribute pop

#pragma clang attribute push(__attribute__((target("avx2,fma,avx512f,avx512bw,avx512dq,avx512vl,avx512bf16"))), apply_to = function)
INLINE void store_rounded(void *map, int64_t i, vec value, int64_t part) {
  const __mmask16 stored = part == WIDTH ? (__mmask16)0xffff : edge_mask(part);
  _mm256_mask_storeu_epi16((uint16_t *)map + i, stored, (__m256i)_mm512_cvtneps_pbh((__m512)value));
}

#define TYPE RK_BF16
#define OF_TYPE(name) name##_rounded
#define load_map load_bf16
#define store_map store_rounded
#include "../../loops_joins.h"
#include "../../loops_norm.h"
#pragma clang attribute pop

const rk_loops rk_loops_avx512_bf16 = TABLE(bf16, rounded);
#endif
