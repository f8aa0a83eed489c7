/* x86/avx512/winograd.c: Winograd's transforms for AVX-512. */
#if defined(__x86_64__)
#include "../../winograd_internal.h"
#include <immintrin.h>
#pragma clang attribute push(__attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma"))), apply_to = function)
#include "vector.h"
#define RK_PRODUCT_ROWS_1 16
#define RK_PRODUCT_ROWS_2 8
#define RK_WINOGRAD rk_winograd_avx512
#include "../../winograd_kernels.h"
#pragma clang attribute pop
#endif
