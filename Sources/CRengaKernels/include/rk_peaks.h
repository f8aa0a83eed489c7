/* rk_peaks.h: what this machine can do at most, measured, so that a time can be read as a part of a limit. Not here: any kernel. */
#ifndef RK_PEAKS_H
#define RK_PEAKS_H
#include "rk_runtime.h"

#ifdef __cplusplus
extern "C" {
#endif

/* All threads together; 0 where the processor cannot. */
typedef struct rk_peaks {
  double f32_gflops;   /* multiply-adds in f32 (two operations each) by the widest vectors */
  double bf16_gflops;  /* multiply-adds in bf16 with f32 sums, by AMX tiles */
  double read_gbytes;  /* GB/s read from memory beyond the caches of a core */
  double write_gbytes; /* GB/s written to it, past the caches where the processor can */
} rk_peaks;

/* Measures with `threads` threads (1 … RK_MAX_THREADS): the best of several short runs, about 0.2 s and 128 MiB. Other programs' work
 * lowers the figures. Returns 0, or -1 without memory. */
int rk_measure_peaks(int32_t threads, rk_peaks *peaks);

#ifdef __cplusplus
}
#endif
#endif
