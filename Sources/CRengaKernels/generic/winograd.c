/* generic/winograd.c: Winograd's transforms in portable C. */
#include "vector.h"
#define RK_WINOGRAD rk_winograd_generic
#include "../winograd_kernels.h"
