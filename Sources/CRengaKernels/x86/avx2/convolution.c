/* x86/avx2/convolution.c: convolution's micro-kernels for AVX2 with FMA. */
#if defined(__x86_64__)
#include "../../convolution_internal.h"
#include <immintrin.h>
#pragma clang attribute push(__attribute__((target("avx2,fma"))), apply_to = function)
#include "vector.h"
#define RK_TILE_ROWS 6
#define RK_OUTER_ROWS_1 8
#define RK_OUTER_ROWS_2 6
#define RK_GROUPED_W_1 4
#define RK_GROUPED_W_2 4
#define RK_KERNELS rk_conv_kernels_avx2
#include "../../convolution_kernels.h"
#pragma clang attribute pop
#endif
