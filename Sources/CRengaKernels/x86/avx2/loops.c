/* loops.c (avx2): the inner loops on vectors of eight with AVX2 and FMA. */
#include "../../loops.h"
#if defined(__x86_64__)
#include <immintrin.h>
#include <math.h>

#define WIDTH 8
#define LOOPS rk_loops_avx2
typedef float vec __attribute__((ext_vector_type(WIDTH)));
typedef float vec_unaligned __attribute__((ext_vector_type(WIDTH), aligned(4)));
typedef int32_t mask __attribute__((ext_vector_type(WIDTH)));

#pragma clang attribute push(__attribute__((target("avx2,fma"))), apply_to = function)

static const int32_t edge[2 * WIDTH] = {-1, -1, -1, -1, -1, -1, -1, -1};
static inline __m256i edge_mask(int64_t part) { return _mm256_loadu_si256((const __m256i *)(edge + WIDTH - part)); }
static inline vec load_part(const float *from, int64_t part) { return (vec)_mm256_maskload_ps(from, edge_mask(part)); }
static inline void store_part(float *to, vec value, int64_t part) { _mm256_maskstore_ps(to, edge_mask(part), (__m256)value); }

#include "../../loops_body.h"
#pragma clang attribute pop
#endif
