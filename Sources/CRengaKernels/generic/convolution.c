/* generic/convolution.c: convolution's micro-kernels in portable C: SSE2 on x86-64, NEON on aarch64. */
#include "vector.h"
#define RK_TILE_ROWS 6
#define RK_OUTER_ROWS_1 8
#define RK_OUTER_ROWS_2 6
#define RK_KERNELS rk_conv_kernels_generic
#include "../convolution_kernels.h"
