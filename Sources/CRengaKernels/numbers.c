/* numbers.c: number types of files made f32; axes of weights exchanged. Not here: kernels of a plan. */
#include "rk_numbers.h"
#include <string.h>

int64_t rk_number_bytes(rk_number type) {
  switch (type) {
  case RK_NUMBER_F64:
  case RK_NUMBER_I64:
  case RK_NUMBER_U64: return 8;
  case RK_NUMBER_F32:
  case RK_NUMBER_I32:
  case RK_NUMBER_U32: return 4;
  case RK_NUMBER_F16:
  case RK_NUMBER_BF16:
  case RK_NUMBER_I16:
  case RK_NUMBER_U16: return 2;
  default: return 1;
  }
}

static float from_bits(uint32_t bits) {
  float value;
  memcpy(&value, &bits, sizeof value);
  return value;
}

static float from_bf16(uint16_t half) { return from_bits((uint32_t)half << 16); }

/* Exponent and fraction moved into their places of an f32; a product with 2^112 sets the exponent's bias right, also of subnormals.
 * Infinity and NaN get the exponent that the product cannot give. */
static float from_f16(uint16_t half) {
  const float value = from_bits((uint32_t)(half & 0x7FFF) << 13) * 0x1p112f;
  uint32_t bits;
  memcpy(&bits, &value, sizeof bits);
  if ((half & 0x7C00) == 0x7C00) bits |= 0x7F800000;
  return from_bits(bits | (uint32_t)(half & 0x8000) << 16);
}

static float from_bool(uint8_t value) { return value ? 1.0f : 0.0f; }

/* memcpy: a file's numbers stand at any byte. */
#define CONVERT(type, expression)                                                                                                            \
  for (int64_t i = 0; i < count; i++) {                                                                                                      \
    type value;                                                                                                                              \
    memcpy(&value, bytes + i * (int64_t)sizeof value, sizeof value);                                                                         \
    dst[i] = expression;                                                                                                                     \
  }                                                                                                                                          \
  break

void rk_numbers_to_f32(rk_number type, const void *src, int64_t count, float *dst) {
  const char *bytes = src;
  switch (type) {
  case RK_NUMBER_F64: CONVERT(double, (float)value);
  case RK_NUMBER_F32: CONVERT(float, value);
  case RK_NUMBER_F16: CONVERT(uint16_t, from_f16(value));
  case RK_NUMBER_BF16: CONVERT(uint16_t, from_bf16(value));
  case RK_NUMBER_I64: CONVERT(int64_t, (float)value);
  case RK_NUMBER_I32: CONVERT(int32_t, (float)value);
  case RK_NUMBER_I16: CONVERT(int16_t, (float)value);
  case RK_NUMBER_I8: CONVERT(int8_t, (float)value);
  case RK_NUMBER_U64: CONVERT(uint64_t, (float)value);
  case RK_NUMBER_U32: CONVERT(uint32_t, (float)value);
  case RK_NUMBER_U16: CONVERT(uint16_t, (float)value);
  case RK_NUMBER_U8: CONVERT(uint8_t, (float)value);
  case RK_NUMBER_BOOL: CONVERT(uint8_t, from_bool(value));
  }
}

/* Outputs at a time: as many as share a cache line on the side where they are neighbours. */
enum { BLOCK = 16 };

void rk_weights_outputs_first(const float *src, int64_t taps, int64_t c, int64_t k, int64_t first, int64_t count, float *dst) {
  for (int64_t block = 0; block < count; block += BLOCK) {
    const int64_t outputs = count - block < BLOCK ? count - block : BLOCK;
    for (int64_t in = 0; in < c; in++) {
      for (int64_t tap = 0; tap < taps; tap++) {
        const float *from = src + (tap * c + in) * k + first + block;
        float *to = dst + (block * c + in) * taps + tap;
        for (int64_t out = 0; out < outputs; out++) to[out * c * taps] = from[out];
      }
    }
  }
}

void rk_weights_outputs_last(const float *src, int64_t taps, int64_t c, int64_t k, float *dst) {
  for (int64_t block = 0; block < k; block += BLOCK) {
    const int64_t outputs = k - block < BLOCK ? k - block : BLOCK;
    for (int64_t in = 0; in < c; in++) {
      for (int64_t tap = 0; tap < taps; tap++) {
        const float *from = src + (block * c + in) * taps + tap;
        float *to = dst + (tap * c + in) * k + block;
        for (int64_t out = 0; out < outputs; out++) to[out] = from[out * c * taps];
      }
    }
  }
}
