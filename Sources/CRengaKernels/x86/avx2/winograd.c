/* x86/avx2/winograd.c: Winograd's transforms for AVX2. */
#if defined(__x86_64__)
#include "../../winograd_internal.h"
#include <immintrin.h>
#pragma clang attribute push(__attribute__((target("avx2,fma"))), apply_to = function)
#include "vector.h"
#define RK_WINOGRAD rk_winograd_avx2
#include "../../winograd_kernels.h"
#pragma clang attribute pop
#endif
