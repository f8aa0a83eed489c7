/* rk_runtime.h: what every kernel stands on: instruction sets, the team of threads, and the program that runs steps.
 * Not here: any operator, any allocation, any file.
 *
 * A *step* is a function and its arguments. A *program* is an array of steps, run in order inside ONE parallel region;
 * a barrier stands after every step. A step sees its team (own index, size) and divides its work by itself, in a way
 * that never changes the result: whatever is reduced over threads is cut into pieces fixed by the shape alone. A thread that is late for
 * a step finds its share done by another. */
#ifndef RK_RUNTIME_H
#define RK_RUNTIME_H
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Instruction sets in rising order of capability; a kernel table of a lower one always exists. */
typedef enum rk_isa {
  RK_ISA_REFERENCE = 0, /* plain C twins: no intrinsics, no blocking */
  RK_ISA_GENERIC = 1,   /* blocked loops in portable C (SSE2 on x86-64, NEON by the compiler on aarch64) */
  RK_ISA_AVX2 = 2,      /* AVX2 + FMA */
  RK_ISA_AVX512 = 3,    /* AVX-512 F, BW, DQ, VL */
  /* The next two differ from AVX-512 in products of bf16 alone; tables without entries of their own for them use AVX-512's. */
  RK_ISA_AVX512_BF16 = 4, /* and AVX512_BF16 */
  RK_ISA_AMX = 5          /* and AMX-TILE, AMX-BF16, where the operating system lets this process have the tiles */
} rk_isa;

/* The best set of this processor, lowered by the environment's RENGA_ISA (reference, generic, avx2, avx512, avx512_bf16, amx);
 * read once. */
rk_isa rk_isa_best(void);
/* The same for a name instead of the environment's: NULL, an unknown name or one that this processor cannot run lowers nothing. */
rk_isa rk_isa_lowered(const char *wish);
/* True where this processor and operating system can run `isa`. */
int rk_isa_supported(rk_isa isa);
/* "avx512", …; never NULL. */
const char *rk_isa_name(rk_isa isa);
/* The compiler that built the kernels and what it was told, in words; never NULL. */
const char *rk_compiler(void);

/* Element types of maps: activations and their gradients. Per-channel vectors, parameters, statistics, losses and scratch are float. */
typedef enum rk_type { RK_F32 = 0, RK_BF16 = 1 } rk_type;

/* Largest team that rk_run accepts. */
#define RK_MAX_THREADS 256
/* Alignment in bytes of every buffer that Renga allocates. */
#define RK_ALIGNMENT 64

/* One share of a step as the thread that does it sees it: that thread's own, or that of another which has not begun it. */
typedef struct rk_team {
  int32_t tid;   /* 0 … nth - 1; two shares of the same index never run at once */
  int32_t nth;   /* threads in the team, and shares of each step, >= 1 */
  void *barrier; /* private */
} rk_team;

/* Waits until every thread of the team is here; what each wrote before, all see after. Every thread must call it equally often.
 * About 0.3 us on two cores; who waits long yields and then sleeps, so a team larger than the machine gets on. */
void rk_team_barrier(const rk_team *team);

/* This thread's share [begin, end) of `count` items, in consecutive ranges whose lengths differ by at most one. */
static inline void rk_share(int64_t count, const rk_team *team, int64_t *begin, int64_t *end) {
  int64_t quotient = count / team->nth, rest = count % team->nth, tid = team->tid;
  *begin = tid * quotient + (tid < rest ? tid : rest);
  *end = *begin + quotient + (tid < rest ? 1 : 0);
}

/* Gives the pieces [0, count) of a step's work each to one thread: to each thread its own share as rk_share cuts them, in order, so that it
 * finds what it made itself in its core's cache; then, to threads that are done (a virtual core may be slow), the last ones of others.
 *   for (int64_t piece = -1; rk_take(team, count, &piece);) ...
 * Every thread of the team runs this loop with the same count, at most RK_MOST_PIECES, and no other between two barriers. Who gets a piece
 * differs from run to run: no result may depend on it. A team without a barrier (of a caller's making) keeps to the shares. */
#define RK_MOST_PIECES (INT64_C(1) << 21)
int rk_take(const rk_team *team, int64_t count, int64_t *piece);

typedef void (*rk_step_fn)(const void *args, const rk_team *team);
typedef struct rk_step {
  rk_step_fn run;
  const void *args;       /* owned by the plan that made the step; must stay until the run ends */
  const int32_t *enabled; /* NULL = always. Read when the step's turn comes: where it is 0 every thread skips the step, but not its barrier.
                           * May be written by an earlier step, by no thread while this one's turn lasts. */
} rk_step;

/* Runs `count` steps on at most `threads` threads (1 … RK_MAX_THREADS; the OpenMP runtime may give fewer, with the same result).
 * seconds: NULL, or `count` entries to which each step's wall time in seconds is ADDED.
 * stop: NULL, or a flag polled before the first step and between steps: non-zero ends the program early.
 * Returns 0, or 1 when stopped. One thread (or fewer) runs in the calling thread without OpenMP. Leaves no OpenMP setting changed; the
 * team's threads wait at most about 1 ms for the next run before they sleep (KMP_BLOCKTIME and OMP_WAIT_POLICY of the user win).
 * May be called from several threads at once, and in a child after fork. */
int rk_run(const rk_step *steps, size_t count, int32_t threads, double *seconds, const volatile int32_t *stop);

/* The processors that the scheduler may put the calling thread on, at least 1 and at most RK_MAX_THREADS. More threads at work than these only
 * wait for each other. */
int32_t rk_processors(void);

/* ---- Bands ---- */

/* A *band* is a step made of steps: a batch is cut into chunks of images, and each chunk is taken through all the band's steps by ONE
 * thread, for which the team is of size 1, so that what one step makes the next finds in that core's own cache. Chunks are taken as by
 * rk_take: each thread has a share, and a slower one takes fewer. No step may touch what another chunk's steps write, so the result does
 * not depend on who takes what; whatever is summed over chunks has a place for each of them. */

/* Most 8-byte words of the arguments of a step in a band. */
#define RK_BAND_MOST_WORDS 64

/* A word of the arguments (an address) that grows with the chunk's index, and with the thread's (its own memory, a *slot*). */
typedef struct rk_patch {
  size_t word;
  int64_t per_chunk, per_slot; /* bytes */
} rk_patch;

typedef struct rk_band_step {
  rk_step step;     /* args: those of chunk 0 in slot 0; `enabled` is asked for each chunk */
  const void *tail; /* NULL, or the arguments of the last chunk in slot 0, where it has fewer images than the others */
  size_t words;     /* of the arguments, at most RK_BAND_MOST_WORDS */
  const rk_patch *patches;
  size_t patch_count;
} rk_band_step;

typedef struct rk_band_args {
  const rk_band_step *steps;
  size_t count;
  int64_t chunks;
  int32_t backwards; /* each thread takes its share of the chunks from the last to the first */
  double *seconds;   /* NULL, or [slots][count]: to which each step's time in each slot's thread is added */
} rk_band_args;
void rk_band(const void *args, const rk_team *team);

/* min(affinity mask, cgroup v1/v2 CPU quota rounded up, OMP_NUM_THREADS, RENGA_NUM_THREADS), at least 1. Read anew at each call. */
int32_t rk_default_threads(void);

/* Bytes of one core's second-level cache as the system says, in 256 KiB ... 4 MiB; 1 MiB where it does not say. */
size_t rk_second_level_bytes(void);

/* The control group part of it: the CPU quota in whole processors (rounded up), or 0 where none is set. membership: a file in the form
 * of /proc/self/cgroup; root: where the hierarchies are mounted (/sys/fs/cgroup). */
int32_t rk_cgroup_threads(const char *membership, const char *root);

/* At least `bytes` bytes (0 too), aligned to RK_ALIGNMENT, contents unset; or NULL (too large or no memory). From 2 MiB on the system is
 * asked for huge pages. Freed by rk_free; rk_free(NULL) is fine. */
void *rk_alloc(size_t bytes);
void rk_free(void *block);

/* A step: gives a block fresh from rk_alloc, of at least 4 MiB, its huge pages; contents stay unset. Clearing them takes most of the time of
 * first writing to them, and threads that come to the same page at once would each clear one. */
typedef struct rk_touch_args {
  void *block;
  size_t bytes; /* at most RK_MOST_PIECES huge pages of them are touched */
} rk_touch_args;
void rk_touch(const void *args, const rk_team *team);

/* The calling thread's message buffer of RK_MESSAGE_BYTES bytes: fixed, thread-local, no allocation. */
#define RK_MESSAGE_BYTES 1024
char *rk_message_buffer(void);

#ifdef __cplusplus
}
#endif
#endif
