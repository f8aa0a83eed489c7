/* x86/avx512/compact.h: lines of compact weights (convolution_stream.c) for AVX-512: how one is made and read.
 * Include it after vector.h. Not here: which exponents a panel's codes stand for, weights that have none of them. */
#include <string.h>

#define RK_COMPACT 1

/* Bytes of a vector of signs and mantissas, of which a line has two, then 16 bytes of codes: output i's below output 16 + i's. */
RK_INLINE int compact_bytes(const int half) { return half ? 16 : 48; }

/* The sign and mantissa of three bytes each, in the upper bytes of words. */
RK_INLINE __m512i compact_spread(const char *from) {
  const __m512i words = _mm512_setr_epi32(0, 1, 2, 2, 3, 4, 5, 5, 6, 7, 8, 8, 9, 10, 11, 11);
  const __m512i bytes = _mm512_broadcast_i32x4(_mm_setr_epi8(-1, 0, 1, 2, -1, 3, 4, 5, -1, 6, 7, 8, -1, 9, 10, 11));
  return _mm512_shuffle_epi8(_mm512_permutexvar_epi32(words, _mm512_loadu_si512(from)), bytes);
}

/* The weights of a line, to the bit: the sign spreads over the exponent's place, where the exponent then goes. */
RK_INLINE void compact_line(const char *line, const uint32_t *exponents, rk_vector *weight, const int half) {
  const __m512i table = _mm512_loadu_si512(exponents), place = _mm512_set1_epi32(0x7f800000);
  const __m512i codes = _mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)(line + 2 * compact_bytes(half))));
  for (int v = 0; v < 2; v++) {
    const char *from = line + v * compact_bytes(half);
    const __m512i rest = half ? _mm512_slli_epi32(_mm512_cvtepi8_epi32(_mm_loadu_si128((const __m128i *)from)), 16)
                              : _mm512_srai_epi32(compact_spread(from), 8);
    const __m512i exponent = _mm512_permutexvar_epi32(v == 0 ? codes : _mm512_srli_epi32(codes, 4), table);
    enum { WHERE_PLACE_SECOND_ELSE_FIRST = 0xd8 };
    weight[v] = _mm512_castsi512_ps(_mm512_ternarylogic_epi32(rest, exponent, place, WHERE_PLACE_SECOND_ELSE_FIRST));
  }
}

static uint32_t compact_store(const float *weight, int32_t base, int half, void *line) {
  __m512i codes[2];
  uint32_t strays = 0;
  for (int v = 0; v < 2; v++) {
    const __m512 value = _mm512_loadu_ps(weight + v * 16);
    __m512i bits = _mm512_castps_si512(value);
    if (half) { /* as rk_bf16_rounded */
      const __mmask16 nan = _mm512_cmp_ps_mask(value, value, _CMP_UNORD_Q);
      const __m512i odd = _mm512_and_si512(_mm512_srli_epi32(bits, 16), _mm512_set1_epi32(1));
      const __m512i rounded = _mm512_add_epi32(bits, _mm512_add_epi32(odd, _mm512_set1_epi32(0x7fff)));
      bits = _mm512_mask_or_epi32(rounded, nan, bits, _mm512_set1_epi32(0x400000));
    }
    const __m512i exponent = _mm512_and_si512(_mm512_srli_epi32(bits, 23), _mm512_set1_epi32(255));
    const __m512i code = _mm512_sub_epi32(exponent, _mm512_set1_epi32(base));
    const __mmask16 coded = _mm512_cmplt_epu32_mask(_mm512_sub_epi32(code, _mm512_set1_epi32(1)), _mm512_set1_epi32(15));
    const __mmask16 zero = _mm512_testn_epi32_mask(exponent, exponent);
    const __mmask16 stray = (__mmask16) ~(coded | zero);
    /* A stray becomes the least coded power of two, with its sign. */
    const __m512i least = _mm512_or_si512(_mm512_and_si512(bits, _mm512_set1_epi32(INT32_MIN)), _mm512_set1_epi32((base + 1) << 23));
    codes[v] = _mm512_mask_mov_epi32(_mm512_maskz_mov_epi32((__mmask16)~zero, code), stray, _mm512_set1_epi32(1));
    bits = _mm512_mask_mov_epi32(bits, stray, least);
    strays |= (uint32_t)stray << (16 * v);
    char *to = (char *)line + v * compact_bytes(half);
    if (half) {
      const __m512i sign = _mm512_and_si512(_mm512_srli_epi32(bits, 24), _mm512_set1_epi32(0x80));
      const __m512i mantissa = _mm512_and_si512(_mm512_srli_epi32(bits, 16), _mm512_set1_epi32(0x7f));
      _mm_storeu_si128((__m128i *)to, _mm512_cvtepi32_epi8(_mm512_or_si512(sign, mantissa)));
    } else {
      const __m512i words = _mm512_setr_epi32(0, 1, 2, 4, 5, 6, 8, 9, 10, 12, 13, 14, 0, 0, 0, 0);
      const __m512i bytes = _mm512_broadcast_i32x4(_mm_setr_epi8(0, 1, 2, 4, 5, 6, 8, 9, 10, 12, 13, 14, -1, -1, -1, -1));
      const __m512i sign = _mm512_and_si512(_mm512_srli_epi32(bits, 8), _mm512_set1_epi32(0x800000));
      const __m512i mantissa = _mm512_and_si512(bits, _mm512_set1_epi32(0x7fffff));
      const __m512i packed = _mm512_permutexvar_epi32(words, _mm512_shuffle_epi8(_mm512_or_si512(sign, mantissa), bytes));
      _mm512_mask_storeu_epi32(to, 0xfff, packed);
    }
  }
  const __m512i both = _mm512_or_si512(codes[0], _mm512_slli_epi32(codes[1], 4));
  _mm_storeu_si128((__m128i *)((char *)line + 2 * compact_bytes(half)), _mm512_cvtepi32_epi8(both));
  return strays;
}
