/* runtime_isa.c: which instruction set to use. Not here: the tables of kernels (each operator's own). */
#include "rk_runtime.h"
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static const char *const names[] = {"reference", "generic", "avx2", "avx512", "avx512_bf16", "amx"};
enum { ISA_COUNT = sizeof names / sizeof names[0] };

const char *rk_isa_name(rk_isa isa) { return (unsigned)isa < ISA_COUNT ? names[isa] : "unknown"; }

#define TEXT_OF(number) #number
#define TEXT(number) TEXT_OF(number)
#if defined(__OPTIMIZE__)
#define OPTIMIZED "optimized"
#else
#define OPTIMIZED "not optimized"
#endif

const char *rk_compiler(void) { return __VERSION__ ", " OPTIMIZED ", OpenMP " TEXT(_OPENMP); }

#if defined(__x86_64__) && defined(__linux__)
/* Linux hands the 8 KB of tile registers only to a process that asks; the grant holds for all its threads and its children. */
static int amx_permitted(void) {
  enum { ARCH_REQ_XCOMP_PERM = 0x1023, XFEATURE_XTILEDATA = 18 };
  static _Atomic int known; /* 0 = not asked yet, 1 = refused, 2 = granted */
  int answer = atomic_load_explicit(&known, memory_order_relaxed);
  if (answer == 0) {
    answer = syscall(SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA) == 0 ? 2 : 1;
    atomic_store_explicit(&known, answer, memory_order_relaxed);
  }
  return answer == 2;
}
#elif defined(__x86_64__)
static int amx_permitted(void) { return 0; }
#endif

int rk_isa_supported(rk_isa isa) {
  switch (isa) {
  case RK_ISA_REFERENCE:
  case RK_ISA_GENERIC:
    return 1;
#if defined(__x86_64__)
  /* These ask the operating system too (XGETBV): a processor whose kernel does not save the registers counts as without. */
  case RK_ISA_AVX2:
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  case RK_ISA_AVX512:
    return rk_isa_supported(RK_ISA_AVX2) && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
  case RK_ISA_AVX512_BF16:
    return rk_isa_supported(RK_ISA_AVX512) && __builtin_cpu_supports("avx512bf16");
  case RK_ISA_AMX:
    return rk_isa_supported(RK_ISA_AVX512_BF16) && __builtin_cpu_supports("amx-tile") && __builtin_cpu_supports("amx-bf16") &&
           amx_permitted();
#endif
  default:
    return 0;
  }
}

rk_isa rk_isa_lowered(const char *wish) {
  int best = RK_ISA_GENERIC;
  for (int isa = RK_ISA_GENERIC; isa < ISA_COUNT; isa++)
    if (rk_isa_supported((rk_isa)isa)) best = isa;
  for (int isa = 0; wish != NULL && isa < best; isa++)
    if (strcmp(wish, names[isa]) == 0) return (rk_isa)isa;
  return (rk_isa)best;
}

rk_isa rk_isa_best(void) {
  /* 0 = not asked yet; two threads that ask at once find the same. */
  static _Atomic int known;
  int isa = atomic_load_explicit(&known, memory_order_relaxed) - 1;
  if (isa < 0) {
    isa = (int)rk_isa_lowered(getenv("RENGA_ISA"));
    atomic_store_explicit(&known, isa + 1, memory_order_relaxed);
  }
  return (rk_isa)isa;
}
