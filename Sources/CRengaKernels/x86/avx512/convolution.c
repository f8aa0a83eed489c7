/* x86/avx512/convolution.c: convolution's micro-kernels for AVX-512. */
#if defined(__x86_64__)
#include "../../convolution_internal.h"
#include <immintrin.h>
#pragma clang attribute push(__attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma"))), apply_to = function)
#include "vector.h"
#include "compact.h"
#define RK_TILE_ROWS 14
#define RK_OUTER_ROWS_1 16
#define RK_OUTER_ROWS_2 14
#define RK_GROUPED_W_1 8
#define RK_GROUPED_W_2 7
#define RK_KERNELS rk_conv_kernels_avx512
#include "../../convolution_kernels.h"
#pragma clang attribute pop
#endif
