/* rk_numbers.h: numbers of other programs' files as f32, and weights in the order of axes that those programs keep.
 * Not here: files (RengaFormats), images (rk_image.h), packing for a convolution (rk_convolution.h). */
#ifndef RK_NUMBERS_H
#define RK_NUMBERS_H
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Number types of files, little-endian. */
typedef enum rk_number {
  RK_NUMBER_F64,
  RK_NUMBER_F32,
  RK_NUMBER_F16,
  RK_NUMBER_BF16,
  RK_NUMBER_I64,
  RK_NUMBER_I32,
  RK_NUMBER_I16,
  RK_NUMBER_I8,
  RK_NUMBER_U64,
  RK_NUMBER_U32,
  RK_NUMBER_U16,
  RK_NUMBER_U8,
  RK_NUMBER_BOOL /* one byte; whatever is not 0 becomes 1 */
} rk_number;

/* Bytes of one number. */
int64_t rk_number_bytes(rk_number type);
/* dst[i] = src[i], rounded to the nearest f32 where that is none. src need not be aligned and must not overlap dst. */
void rk_numbers_to_f32(rk_number type, const void *src, int64_t count, float *dst);

/* Weights with the outputs slowest, as ONNX and PyTorch keep them: dst[k - first,c,tap] = src[tap,c,k] for the `count` outputs from `first`.
 * src [taps,C,K]; dst [count,C,taps]. A convolution has R S taps and C/G inputs, a linear layer behind a flattened map H W and C. */
void rk_weights_outputs_first(const float *src, int64_t taps, int64_t c, int64_t k, int64_t first, int64_t count, float *dst);
/* The way back: dst[tap,c,k] = src[k,c,tap]. src [K,C,taps]; dst [taps,C,K]. */
void rk_weights_outputs_last(const float *src, int64_t taps, int64_t c, int64_t k, float *dst);

#ifdef __cplusplus
}
#endif
#endif
