/* x86/avx512/convolution_half_maps.h: members of rk_half_kernels that AMX and AVX512_BF16 share (convolution_half_maps.c). */
#ifndef RK_X86_CONVOLUTION_HALF_MAPS_H
#define RK_X86_CONVOLUTION_HALF_MAPS_H
#include "../../convolution_half.h"

void rk_half_finish_rows(const rk_half_finish *finish);
void rk_half_finish_pooled(const rk_half_finish *finish, int64_t below);
void rk_half_fence(void);
void rk_half_plane(const uint16_t *src, int64_t src_pixel, int64_t pixels, uint16_t *dst);
int rk_half_copy(const uint16_t *src, int64_t count, uint16_t *dst);
int rk_half_wild(const uint16_t *src, int64_t row, int64_t rows, int64_t count);
int rk_half_transpose_pixels(const rk_half_transpose *transpose);
int rk_half_pair_pixels(const rk_half_pairs *pairs);
#endif
