/* peaks.c: what this machine can do at most, measured: multiply-adds in f32 (AVX-512 or AVX2), multiply-adds in bf16 (AMX tiles),
 * and bytes a second read from and written to memory beyond every cache. Prints one JSON object. Not here: any kernel of Renga.
 *
 * Build and run: clang -O2 -std=gnu11 -pthread Benchmarks/kernels/peaks.c -o /tmp/peaks && /tmp/peaks [THREADS]
 *
 * Every figure is the best of several short runs with 1 thread and with THREADS (default 2). Figures that the processor cannot have are
 * left out. */
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

enum { MOST_THREADS = 64, RUNS = 7 };
/* Read and written by each thread: larger than any cache that is not shared with other machines. */
static const size_t kBytes = (size_t)64 << 20;

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

/* Does `rounds` rounds of work on this thread's buffer; the amount of one round is the measure's own. */
typedef void (*work_fn)(char *buffer, int64_t rounds);
typedef struct job {
  work_fn work;
  char *buffer;
  int64_t rounds;
  pthread_barrier_t *start;
  double began, ended;
} job;

static void *run_job(void *argument) {
  job *one = argument;
  one->work(one->buffer, 1);
  pthread_barrier_wait(one->start);
  one->began = now();
  one->work(one->buffer, one->rounds);
  one->ended = now();
  return NULL;
}

/* Rounds a second of all threads together: the best of RUNS. */
static double rate(work_fn work, int threads, int64_t rounds, char **buffers) {
  double best = 0;
  for (int run = 0; run < RUNS; run++) {
    pthread_t ids[MOST_THREADS];
    job jobs[MOST_THREADS];
    pthread_barrier_t start;
    pthread_barrier_init(&start, NULL, (unsigned)threads);
    for (int t = 0; t < threads; t++) {
      jobs[t] = (job){work, buffers[t], rounds, &start, 0, 0};
      if (pthread_create(&ids[t], NULL, run_job, &jobs[t]) != 0) exit(1);
    }
    double began = 1e300, ended = 0;
    for (int t = 0; t < threads; t++) {
      pthread_join(ids[t], NULL);
      began = jobs[t].began < began ? jobs[t].began : began;
      ended = jobs[t].ended > ended ? jobs[t].ended : ended;
    }
    pthread_barrier_destroy(&start);
    double found = (double)(rounds * threads) / (ended - began);
    best = found > best ? found : best;
  }
  return best;
}

#if defined(__x86_64__)
enum { CHAINS = 12, STEPS = 1000 };

/* One round: STEPS x CHAINS multiply-adds of 16 floats; enough chains to hide the latency of both ports. */
__attribute__((target("avx512f"))) static void fma_avx512(char *buffer, int64_t rounds) {
  __m512 sum[CHAINS], a = _mm512_set1_ps(0.999f), b = _mm512_set1_ps(1e-6f);
  for (int i = 0; i < CHAINS; i++) sum[i] = _mm512_set1_ps((float)i);
  for (int64_t step = 0; step < rounds * STEPS; step++) {
#pragma clang loop unroll(full)
    for (int i = 0; i < CHAINS; i++) sum[i] = _mm512_fmadd_ps(sum[i], a, b);
  }
  for (int i = 1; i < CHAINS; i++) sum[0] = _mm512_add_ps(sum[0], sum[i]);
  _mm512_storeu_ps((float *)buffer, sum[0]);
}

/* The same with 8 floats. */
__attribute__((target("avx2,fma"))) static void fma_avx2(char *buffer, int64_t rounds) {
  __m256 sum[CHAINS], a = _mm256_set1_ps(0.999f), b = _mm256_set1_ps(1e-6f);
  for (int i = 0; i < CHAINS; i++) sum[i] = _mm256_set1_ps((float)i);
  for (int64_t step = 0; step < rounds * STEPS; step++) {
#pragma clang loop unroll(full)
    for (int i = 0; i < CHAINS; i++) sum[i] = _mm256_fmadd_ps(sum[i], a, b);
  }
  for (int i = 1; i < CHAINS; i++) sum[0] = _mm256_add_ps(sum[0], sum[i]);
  _mm256_storeu_ps((float *)buffer, sum[0]);
}

/* One round: STEPS x 4 tile products of 16x16x32 bf16. */
__attribute__((target("amx-tile,amx-bf16"))) static void amx_bf16(char *buffer, int64_t rounds) {
  struct {
    uint8_t palette, row, reserved[14];
    uint16_t bytes[16];
    uint8_t rows[16];
  } __attribute__((packed, aligned(64))) shape = {.palette = 1};
  for (int i = 0; i < 8; i++) {
    shape.bytes[i] = 64;
    shape.rows[i] = 16;
  }
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

/* One round: kBytes written past the caches. */
__attribute__((target("avx2"))) static void write_memory(char *buffer, int64_t rounds) {
  __m256i value = _mm256_set1_epi8(1);
  for (int64_t round = 0; round < rounds; round++) {
    for (size_t i = 0; i < kBytes; i += 128) {
      for (size_t j = 0; j < 128; j += 32) _mm256_stream_si256((__m256i *)(buffer + i + j), value);
    }
  }
  _mm_sfence();
}
#else
static void write_memory(char *buffer, int64_t rounds) {
  for (int64_t round = 0; round < rounds; round++) memset(buffer, (int)round, kBytes);
}
#endif

/* One round: kBytes read. */
static void read_memory(char *buffer, int64_t rounds) {
  typedef uint64_t vector __attribute__((vector_size(64)));
  vector sums[4] = {{0}};
  for (int64_t round = 0; round < rounds; round++) {
    const vector *src = (const vector *)buffer;
    for (size_t i = 0; i < kBytes / sizeof(vector); i += 4) {
      for (int j = 0; j < 4; j++) sums[j] += src[i + (size_t)j];
    }
  }
  for (int j = 1; j < 4; j++) sums[0] += sums[j];
  /* Kept, so that the reads are. */
  volatile uint64_t keep = sums[0][0] + sums[0][7];
  (void)keep;
}

static const char *separator = "{";
static void print(const char *name, double one, double all) {
  printf("%s\"%s\": [%.1f, %.1f]", separator, name, one, all);
  separator = ", ";
}

int main(int argc, char **argv) {
  int threads = argc > 1 ? atoi(argv[1]) : 2;
  threads = threads < 1 ? 1 : threads > MOST_THREADS ? MOST_THREADS : threads;
  char *buffers[MOST_THREADS];
  for (int t = 0; t < threads; t++) {
    buffers[t] = aligned_alloc(64, kBytes);
    if (!buffers[t]) return 1;
    memset(buffers[t], t, kBytes);
  }
#if defined(__x86_64__)
  int wide = __builtin_cpu_supports("avx512f");
  if (wide || (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))) {
    work_fn fma = wide ? fma_avx512 : fma_avx2;
    double scale = 2e-9 * STEPS * CHAINS * (wide ? 16 : 8);
    print("f32_gflops", scale * rate(fma, 1, 1000, buffers), scale * rate(fma, threads, 1000, buffers));
  }
  if (amx_allowed()) {
    double scale = 2e-9 * STEPS * 4 * 16 * 16 * 32;
    print("bf16_gflops", scale * rate(amx_bf16, 1, 300, buffers), scale * rate(amx_bf16, threads, 300, buffers));
  }
#endif
  double gigabytes = 1e-9 * (double)kBytes;
  print("read_gbytes", gigabytes * rate(read_memory, 1, 1, buffers), gigabytes * rate(read_memory, threads, 1, buffers));
  print("write_gbytes", gigabytes * rate(write_memory, 1, 1, buffers), gigabytes * rate(write_memory, threads, 1, buffers));
  printf(", \"threads\": %d}\n", threads);
  for (int t = 0; t < threads; t++) free(buffers[t]);
  return 0;
}
