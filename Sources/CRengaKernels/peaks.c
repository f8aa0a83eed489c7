/* peaks.c: what this machine can do at most, measured: multiply-adds in f32 (AVX-512, AVX2 or what the compiler makes of vectors),
 * multiply-adds in bf16 (AMX tiles), bytes a second read and written beyond the caches. Not here: any kernel of a network. */
#include "rk_peaks.h"
#include <string.h>
#if defined(__x86_64__)
#include <immintrin.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

enum { RUNS = 7, CHAINS = 12, STEPS = 1000, PAGE = 4096 };
/* Read and written by the team together: more than the caches of a few cores. */
static const int64_t kBytes = (int64_t)128 << 20;

/* Does `rounds` rounds of work on this thread's bytes; what one round is, each work says. */
typedef void (*work_fn)(char *buffer, int64_t bytes, int64_t rounds);
typedef struct work_args {
  work_fn work;
  char *buffer;
  int64_t rounds;
  int32_t *threads; /* set to the team's size */
} work_args;

static void run_work(const void *args, const rk_team *team) {
  const work_args *a = args;
  int64_t begin, end;
  rk_share(kBytes / PAGE, team, &begin, &end);
  if (team->tid == 0) *a->threads = team->nth;
  a->work(a->buffer + begin * PAGE, (end - begin) * PAGE, a->rounds);
}

/* Rounds of all threads together in a second, the best of RUNS runs of `rounds` rounds. */
static double rounds_a_second(work_fn work, int32_t threads, int64_t rounds, char *buffer) {
  double best = 0;
  int32_t team = 1;
  work_args warm = {work, buffer, 1, &team}, timed = {work, buffer, rounds, &team};
  rk_step steps[] = {{.run = run_work, .args = &warm}, {.run = run_work, .args = &timed}};
  for (int run = 0; run < RUNS; run++) {
    double seconds[2] = {0, 0};
    rk_run(steps, 2, threads, seconds, NULL);
    double found = (double)rounds * team / seconds[1];
    best = found > best ? found : best;
  }
  return best;
}

/* One round: STEPS x CHAINS multiply-adds of 4 floats; enough chains to hide the latency of two ports. */
static void fma_generic(char *buffer, int64_t bytes, int64_t rounds) {
  typedef float vector __attribute__((vector_size(16)));
  vector sum[CHAINS], a = {0.999f, 0.999f, 0.999f, 0.999f}, b = {1e-6f, 1e-6f, 1e-6f, 1e-6f};
  for (int i = 0; i < CHAINS; i++) sum[i] = a * (float)i;
  (void)bytes;
  for (int64_t step = 0; step < rounds * STEPS; step++) {
    for (int i = 0; i < CHAINS; i++) sum[i] = sum[i] * a + b;
  }
  for (int i = 1; i < CHAINS; i++) sum[0] += sum[i];
  memcpy(buffer, &sum[0], sizeof sum[0]);
}

#if defined(__x86_64__)
/* The same with 16 floats. */
__attribute__((target("avx512f"))) static void fma_avx512(char *buffer, int64_t bytes, int64_t rounds) {
  __m512 sum[CHAINS], a = _mm512_set1_ps(0.999f), b = _mm512_set1_ps(1e-6f);
  for (int i = 0; i < CHAINS; i++) sum[i] = _mm512_set1_ps((float)i);
  (void)bytes;
  for (int64_t step = 0; step < rounds * STEPS; step++) {
#pragma clang loop unroll(full)
    for (int i = 0; i < CHAINS; i++) sum[i] = _mm512_fmadd_ps(sum[i], a, b);
  }
  for (int i = 1; i < CHAINS; i++) sum[0] = _mm512_add_ps(sum[0], sum[i]);
  _mm512_storeu_ps((float *)buffer, sum[0]);
}

/* The same with 8 floats. */
__attribute__((target("avx2,fma"))) static void fma_avx2(char *buffer, int64_t bytes, int64_t rounds) {
  __m256 sum[CHAINS], a = _mm256_set1_ps(0.999f), b = _mm256_set1_ps(1e-6f);
  for (int i = 0; i < CHAINS; i++) sum[i] = _mm256_set1_ps((float)i);
  (void)bytes;
  for (int64_t step = 0; step < rounds * STEPS; step++) {
#pragma clang loop unroll(full)
    for (int i = 0; i < CHAINS; i++) sum[i] = _mm256_fmadd_ps(sum[i], a, b);
  }
  for (int i = 1; i < CHAINS; i++) sum[0] = _mm256_add_ps(sum[0], sum[i]);
  _mm256_storeu_ps((float *)buffer, sum[0]);
}

/* One round: STEPS x 4 tile products of 16x16x32 bf16. */
__attribute__((target("amx-tile,amx-bf16"))) static void amx_bf16(char *buffer, int64_t bytes, int64_t rounds) {
  struct {
    uint8_t palette, row, reserved[14];
    uint16_t bytes[16];
    uint8_t rows[16];
  } __attribute__((packed, aligned(64))) shape = {.palette = 1};
  for (int i = 0; i < 8; i++) {
    shape.bytes[i] = 64;
    shape.rows[i] = 16;
  }
  (void)bytes;
  _tile_loadconfig(&shape);
  _tile_zero(0), _tile_zero(1), _tile_zero(2), _tile_zero(3);
  _tile_zero(4), _tile_zero(5), _tile_zero(6), _tile_zero(7);
  for (int64_t step = 0; step < rounds * STEPS; step++) {
    _tile_dpbf16ps(0, 4, 6);
    _tile_dpbf16ps(1, 4, 7);
    _tile_dpbf16ps(2, 5, 6);
    _tile_dpbf16ps(3, 5, 7);
  }
  _tile_stored(0, buffer, 64);
  _tile_release();
}

/* Linux gives a process the tiles on request (ARCH_REQ_XCOMP_PERM, feature 18). */
static int amx_allowed(void) {
  return __builtin_cpu_supports("amx-bf16") && syscall(SYS_arch_prctl, 0x1023, 18) == 0;
}

/* One round: all of this thread's bytes written past the caches. */
static void write_memory(char *buffer, int64_t bytes, int64_t rounds) {
  __m128i value = _mm_set1_epi8(1);
  for (int64_t round = 0; round < rounds; round++) {
    for (int64_t i = 0; i < bytes; i += 64) {
      for (int64_t j = 0; j < 64; j += 16) _mm_stream_si128((__m128i *)(buffer + i + j), value);
    }
  }
  _mm_sfence();
}
#else
static void write_memory(char *buffer, int64_t bytes, int64_t rounds) {
  for (int64_t round = 0; round < rounds; round++) memset(buffer, (int)round, (size_t)bytes);
}
#endif

/* One round: all of this thread's bytes read. */
static void read_memory(char *buffer, int64_t bytes, int64_t rounds) {
  typedef uint64_t vector __attribute__((vector_size(64)));
  vector sums[4] = {{0}};
  for (int64_t round = 0; round < rounds; round++) {
    const vector *src = (const vector *)buffer;
    for (int64_t i = 0; i < bytes / (int64_t)sizeof(vector); i += 4) {
      for (int j = 0; j < 4; j++) sums[j] += src[i + j];
    }
  }
  for (int j = 1; j < 4; j++) sums[0] += sums[j];
  /* Kept, so that the reads are. */
  volatile uint64_t keep = sums[0][0] + sums[0][7];
  (void)keep;
}

int rk_measure_peaks(int32_t threads, rk_peaks *peaks) {
  memset(peaks, 0, sizeof *peaks);
  char *buffer = rk_alloc((size_t)kBytes);
  if (buffer == NULL) return -1;
  memset(buffer, 1, (size_t)kBytes);
  const int64_t many = 1000;
  const double fma = 2e-9 * STEPS * CHAINS;
#if defined(__x86_64__)
  if (rk_isa_supported(RK_ISA_AVX512))
    peaks->f32_gflops = 16 * fma * rounds_a_second(fma_avx512, threads, many, buffer);
  else if (rk_isa_supported(RK_ISA_AVX2))
    peaks->f32_gflops = 8 * fma * rounds_a_second(fma_avx2, threads, many, buffer);
  else
    peaks->f32_gflops = 4 * fma * rounds_a_second(fma_generic, threads, many, buffer);
  if (amx_allowed()) peaks->bf16_gflops = 2e-9 * STEPS * 4 * 16 * 16 * 32 * rounds_a_second(amx_bf16, threads, many, buffer);
#else
  peaks->f32_gflops = 4 * fma * rounds_a_second(fma_generic, threads, many, buffer);
#endif
  /* One round of all threads goes through every byte once. */
  const double gigabytes = 1e-9 * (double)kBytes;
  peaks->read_gbytes = gigabytes / threads * rounds_a_second(read_memory, threads, 1, buffer);
  peaks->write_gbytes = gigabytes / threads * rounds_a_second(write_memory, threads, 1, buffer);
  rk_free(buffer);
  return 0;
}
