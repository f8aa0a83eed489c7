/* checksum.c: CRC-32C by tables, by the processor's instruction in three streams at once, and by products of polynomials.
 * Not here: what is checked (RengaFormats). */
#include "rk_checksum.h"
#include <pthread.h>
#include <string.h>
#if defined(__aarch64__) && defined(__linux__)
#include <sys/auxv.h>
#endif

/* Polynomials over GF(2) modulo the generator, reflected: bit 31 is x^0. */
#define POLYNOMIAL 0x82F63B78u
#define ONE 0x80000000u

static uint32_t multiply(uint32_t a, uint32_t b) {
  uint32_t product = 0;
  for (uint32_t bit = ONE; bit != 0; bit >>= 1) {
    if (a & bit) product ^= b;
    b = b & 1 ? b >> 1 ^ POLYNOMIAL : b >> 1;
  }
  return product;
}

/* x to the power of 8 `bytes`: what `bytes` zero bytes multiply a remainder by. */
static uint32_t zeros(uint64_t bytes) {
  uint32_t power = ONE, square = ONE >> 8;
  for (; bytes > 0; bytes >>= 1) {
    if (bytes & 1) power = multiply(power, square);
    square = multiply(square, square);
  }
  return power;
}

/* The same for the size that this thread asked for before: pieces of one size follow each other. */
static uint32_t zeros_again(uint64_t bytes) {
  static _Thread_local struct {
    uint64_t bytes;
    uint32_t factor;
  } last = {.bytes = 0, .factor = ONE};
  if (last.bytes != bytes) last.factor = zeros(bytes), last.bytes = bytes;
  return last.factor;
}

uint32_t rk_crc32c_join(uint32_t first, uint32_t second, uint64_t second_size) {
  /* The complements before and behind cancel: what is left is the first remainder, carried through the second piece. */
  return multiply(first, zeros_again(second_size)) ^ second;
}

static uint64_t word_at(const uint8_t *bytes) {
  uint64_t word;
  memcpy(&word, bytes, sizeof word);
  return word;
}

/* ---- Tables: "slicing by 8" ---- */

/* table[k][byte]: the remainder of a byte followed by k zero bytes. */
static uint32_t table[8][256];

static void make_table(void) {
  for (uint32_t byte = 0; byte < 256; byte++) {
    uint32_t crc = byte;
    for (int i = 0; i < 8; i++) crc = crc & 1 ? crc >> 1 ^ POLYNOMIAL : crc >> 1;
    table[0][byte] = crc;
  }
  for (int k = 1; k < 8; k++)
    for (int byte = 0; byte < 256; byte++) table[k][byte] = table[k - 1][byte] >> 8 ^ table[0][table[k - 1][byte] & 255];
}

uint32_t rk_crc32c_portable(uint32_t crc, const void *raw, size_t size) {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  (void)pthread_once(&once, make_table);
  const uint8_t *bytes = raw;
  crc = ~crc;
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
  for (; size >= 8; bytes += 8, size -= 8) {
    uint64_t word = word_at(bytes) ^ crc;
    crc = 0;
    for (int k = 0; k < 8; k++) crc ^= table[7 - k][word >> 8 * k & 255];
  }
#endif
  for (; size > 0; bytes++, size--) crc = crc >> 8 ^ table[0][(crc ^ *bytes) & 255];
  return ~crc;
}

/* ---- The processor's instruction ---- */

#if defined(__x86_64__)
#include <nmmintrin.h>
#define HARDWARE __attribute__((target("sse4.2")))
#define TAKE_WORD(crc, word) ((uint32_t)_mm_crc32_u64((crc), (word)))
#define TAKE_BYTE(crc, byte) _mm_crc32_u8((crc), (byte))
static int has_instruction(void) { return __builtin_cpu_supports("sse4.2"); }
#elif defined(__aarch64__) && defined(__linux__)
#include <arm_acle.h>
#define HARDWARE __attribute__((target("crc")))
#define TAKE_WORD(crc, word) __crc32cd((crc), (word))
#define TAKE_BYTE(crc, byte) __crc32cb((crc), (byte))
enum { HAS_CRC32 = 1 << 7 }; /* HWCAP_CRC32 of the kernel's interface */
static int has_instruction(void) { return (getauxval(AT_HWCAP) & HAS_CRC32) != 0; }
#endif

#ifdef HARDWARE
/* The instruction takes 8 bytes a cycle but has its result after three: three streams keep it busy. Below this joining them costs more. */
enum { STREAMS_FROM = 16384 };

HARDWARE static uint32_t crc32c_hardware(uint32_t crc, const uint8_t *bytes, size_t size) {
  if (size >= STREAMS_FROM) {
    const size_t part = size / 24 * 8;
    uint32_t a = ~crc, b = 0, c = 0;
    for (size_t i = 0; i < part; i += 8) {
      a = TAKE_WORD(a, word_at(bytes + i));
      b = TAKE_WORD(b, word_at(bytes + part + i));
      c = TAKE_WORD(c, word_at(bytes + 2 * part + i));
    }
    const uint32_t shift = zeros_again(part);
    crc = ~(multiply(multiply(a, shift) ^ b, shift) ^ c);
    bytes += 3 * part, size -= 3 * part;
  }
  crc = ~crc;
  for (; size >= 8; bytes += 8, size -= 8) crc = TAKE_WORD(crc, word_at(bytes));
  for (; size > 0; bytes++, size--) crc = TAKE_BYTE(crc, *bytes);
  return ~crc;
}
#endif

/* ---- Products of polynomials: what is in a core's cache as fast as it comes from there ---- */

#if defined(__x86_64__)
#include <immintrin.h>
enum { FOLDED = 256, FOLDS_FROM = 4 * FOLDED };
/* x^(8 FOLDED + 32) and x^(8 FOLDED - 32), reflected as the products want them: what the halves of 16 bytes become FOLDED bytes later. */
#define FOLD_LOW 0xdcb17aa4
#define FOLD_HIGH 0xb9e02b86

__attribute__((target("avx512f,vpclmulqdq"))) static __m512i folded(__m512i sum, __m512i factors, const uint8_t *next) {
  const __m512i low = _mm512_clmulepi64_epi128(sum, factors, 0x00), high = _mm512_clmulepi64_epi128(sum, factors, 0x11);
  return _mm512_ternarylogic_epi64(low, high, _mm512_loadu_si512(next), 0x96);
}

/* Bytes are folded onto the FOLDED bytes behind them until no more are left: those have the same remainder. */
__attribute__((target("avx512f,vpclmulqdq"))) static uint32_t crc32c_products(uint32_t crc, const uint8_t *bytes, size_t size) {
  const __m512i factors = _mm512_broadcast_i32x4(_mm_set_epi64x(FOLD_HIGH, FOLD_LOW));
  __m512i sums[4];
  for (int i = 0; i < 4; i++) sums[i] = _mm512_loadu_si512(bytes + 64 * i);
  sums[0] = _mm512_xor_si512(sums[0], _mm512_zextsi128_si512(_mm_cvtsi32_si128((int)~crc)));
  for (bytes += FOLDED, size -= FOLDED; size >= FOLDED; bytes += FOLDED, size -= FOLDED)
    for (int i = 0; i < 4; i++) sums[i] = folded(sums[i], factors, bytes + 64 * i);
  _Alignas(64) uint8_t last[FOLDED];
  for (int i = 0; i < 4; i++) _mm512_store_si512(last + 64 * i, sums[i]);
  /* The complement that the remainder begins with is in the sums: it is taken out again. */
  return crc32c_hardware(crc32c_hardware(UINT32_MAX, last, FOLDED), bytes, size);
}
static int has_products(void) { return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("vpclmulqdq"); }
#endif

uint32_t rk_crc32c(uint32_t crc, const void *bytes, size_t size) {
#if defined(__x86_64__)
  if (size >= FOLDS_FROM && has_products()) return crc32c_products(crc, bytes, size);
#endif
#ifdef HARDWARE
  if (has_instruction()) return crc32c_hardware(crc, bytes, size);
#endif
  return rk_crc32c_portable(crc, bytes, size);
}
