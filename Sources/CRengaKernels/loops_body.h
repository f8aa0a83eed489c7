/* loops_body.h: the inner loops, written once and compiled for each instruction set. Included by the files that define
 *   WIDTH                     floats of a vector,
 *   LOOPS                     the name of the table,
 *   load_part, store_part     the first `part` < WIDTH floats of a vector (zeros beyond),
 * after switching the target on. Not here: threads, shapes, the loops over maps (loops_maps.h).
 *
 * Comparisons are written so that a NaN stays a NaN. */

#define INLINE static inline __attribute__((always_inline))
/* Small rather than fast. */
#define RARELY __attribute__((minsize, noinline))

/* `part` is the constant WIDTH in the main loops, where the test folds away. */
INLINE vec load(const float *from, int64_t part) { return part == WIDTH ? *(const vec_unaligned *)from : load_part(from, part); }
INLINE void store(float *to, vec value, int64_t part) {
  if (part == WIDTH) *(vec_unaligned *)to = value;
  else store_part(to, value, part);
}

/* Halves of words: vectors of bf16. */
typedef uint16_t halves __attribute__((ext_vector_type(WIDTH)));
typedef uint16_t halves_unaligned __attribute__((ext_vector_type(WIDTH), aligned(2)));
typedef uint32_t word_vec __attribute__((ext_vector_type(WIDTH)));

#ifndef load_halves /* by way of the stack */
INLINE halves load_halves(const uint16_t *from, int64_t part) {
  halves half = {0};
  __builtin_memcpy(&half, from, (size_t)part * sizeof *from);
  return half;
}
INLINE void store_halves(uint16_t *to, halves half, int64_t part) { __builtin_memcpy(to, &half, (size_t)part * sizeof *to); }
#endif

INLINE vec load_bf16(const void *map, int64_t i, int64_t part) {
  const uint16_t *from = (const uint16_t *)map + i;
  const halves half = part == WIDTH ? *(const halves_unaligned *)from : load_halves(from, part);
  return (vec)(__builtin_convertvector(half, word_vec) << 16);
}

/* rk_bf16_rounded of each lane. */
INLINE void store_bf16(void *map, int64_t i, vec value, int64_t part) {
  uint16_t *to = (uint16_t *)map + i;
  const word_vec bits = (word_vec)value, rounded = (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
  const halves half = __builtin_convertvector(value == value ? rounded : (bits >> 16 | 0x40), halves);
  if (part == WIDTH) *(halves_unaligned *)to = half;
  else store_halves(to, half, part);
}

INLINE vec load_f32(const void *map, int64_t i, int64_t part) { return load((const float *)map + i, part); }
INLINE void store_f32(void *map, int64_t i, vec value, int64_t part) { store((float *)map + i, value, part); }

INLINE vec spread(float value) { return (vec)value; }
INLINE vec choose(mask which, vec yes, vec no) { return which ? yes : no; }
INLINE vec rectify(vec x) { return choose(x < 0, spread(0), x); }
INLINE vec larger(vec x, vec best) { return choose((x > best) | (x != x), x, best); }

INLINE float add_lanes(vec x) {
  float lanes[WIDTH];
  *(vec_unaligned *)lanes = x;
  for (int half = WIDTH / 2; half > 0; half /= 2)
    for (int i = 0; i < half; i++) lanes[i] += lanes[i + half];
  return lanes[0];
}

/* Calls `work` for each vector of a row of `length`: at j, `part` floats. */
#define EACH(length, work)                                                                                                                 \
  do {                                                                                                                                     \
    int64_t j = 0;                                                                                                                         \
    for (const int64_t part = WIDTH; j + WIDTH <= (length); j += WIDTH) { work; }                                                          \
    if (j < (length)) {                                                                                                                    \
      const int64_t part = (length) - j;                                                                                                   \
      work;                                                                                                                                \
    }                                                                                                                                      \
  } while (0)

/* The same over a flat array beside periodic ones: at i, and j within the period. */
#define EACH_PERIODIC(count, period, work)                                                                                                 \
  for (int64_t base = 0; base < (count); base += (period)) {                                                                               \
    const int64_t length = (count) - base < (period) ? (count) - base : (period);                                                          \
    EACH(length, const int64_t i = base + j; work);                                                                                        \
  }

/* ---- Float arrays ---- */

static void bytes(const rk_bytes_loop *loop) {
  typedef uint8_t byte_vec __attribute__((ext_vector_type(WIDTH), aligned(1)));
  const rk_bytes_loop a = *loop;
  for (int64_t base = 0; base < a.count; base += a.period) {
    const int64_t length = a.count - base < a.period ? a.count - base : a.period;
    int64_t j = 0;
    for (; j + WIDTH <= length; j += WIDTH) {
      vec x = __builtin_convertvector(*(const byte_vec *)(a.src + base + j), vec);
      store(a.dst + base + j, (x - load(a.center + j, WIDTH)) * load(a.scale + j, WIDTH), WIDTH);
    }
    for (; j < length; j++) a.dst[base + j] = ((float)a.src[base + j] - a.center[j]) * a.scale[j];
  }
}

INLINE void clear(float *sum, int64_t count) { EACH(count, store(sum + j, spread(0), part)); }
INLINE void add_to(float *sum, vec x, int64_t part) { store(sum, load(sum, part) + x, part); }

static void shifted(int64_t c, float first, float second, float *dst) {
  EACH(c, store(dst + j, load(dst + j, part) - first - second, part));
}

static void fold(int64_t period, int64_t c, const float *wide, float *folded) {
  EACH(c, store(folded + j, load(wide + j, part), part));
  for (int64_t at = c; at < period; at += c) EACH(c, add_to(folded + j, load(wide + at + j, part), part));
}

static float dot(int64_t c, const float *a, const float *b) {
  vec total = spread(0);
  EACH(c, total += load(a + j, part) * load(b + j, part));
  return add_lanes(total);
}

#include "loops_math.h"

/* ---- Random numbers ---- */

typedef uint64_t wide_vec __attribute__((ext_vector_type(WIDTH)));

/* The halves of a 32 x 32 bit product. */
INLINE word_vec multiply(word_vec x, uint64_t factor, word_vec *high) {
  const wide_vec product = __builtin_convertvector(x, wide_vec) * factor;
  *high = __builtin_convertvector(product >> 32, word_vec);
  return __builtin_convertvector(product, word_vec);
}

/* WIDTH counters side by side: rk_random.h's rounds, one lane each. */
INLINE void philox_block(uint64_t key, uint64_t first, uint64_t high, uint32_t *words) {
  uint32_t k0 = (uint32_t)key, k1 = (uint32_t)(key >> 32), lanes[4][WIDTH];
  for (int lane = 0; lane < WIDTH; lane++) {
    lanes[0][lane] = (uint32_t)(first + (uint64_t)lane);
    lanes[1][lane] = (uint32_t)((first + (uint64_t)lane) >> 32);
  }
  word_vec x0, x1, x2 = (word_vec)(uint32_t)high, x3 = (word_vec)(uint32_t)(high >> 32), high0, high1;
  __builtin_memcpy(&x0, lanes[0], sizeof x0);
  __builtin_memcpy(&x1, lanes[1], sizeof x1);
  for (int round = 0; round < 10; round++, k0 += 0x9E3779B9u, k1 += 0xBB67AE85u) {
    const word_vec low0 = multiply(x0, 0xD2511F53u, &high0), low1 = multiply(x2, 0xCD9E8D57u, &high1);
    x0 = high1 ^ x1 ^ k0;
    x2 = high0 ^ x3 ^ k1;
    x1 = low1;
    x3 = low0;
  }
  __builtin_memcpy(lanes[0], &x0, sizeof x0);
  __builtin_memcpy(lanes[1], &x1, sizeof x1);
  __builtin_memcpy(lanes[2], &x2, sizeof x2);
  __builtin_memcpy(lanes[3], &x3, sizeof x3);
  for (int lane = 0; lane < WIDTH; lane++)
    for (int word = 0; word < 4; word++) words[4 * lane + word] = lanes[word][lane];
}

static void philox(uint64_t key, uint64_t first, uint64_t high, int64_t count, uint32_t *words) {
  int64_t i = 0;
  for (; i + WIDTH <= count; i += WIDTH) philox_block(key, first + (uint64_t)i, high, words + 4 * i);
  for (; i < count; i++) rk_philox(key, first + (uint64_t)i, high, words + 4 * i);
}

/* ---- Optimisers ---- */

INLINE void sgd_at(rk_sgd_args a, float rate, float gradient_scale, float weight_decay, int64_t i, int64_t part) {
  vec p = load(a.parameter + i, part);
  vec g = load(a.gradient + i, part) * gradient_scale + p * weight_decay;
  if (a.velocity != NULL) {
    vec v = load(a.velocity + i, part) * a.momentum + g;
    store(a.velocity + i, v, part);
    g = a.nesterov ? v * a.momentum + g : v;
  }
  store(a.parameter + i, p - g * rate, part);
}

static void sgd(const rk_sgd_args *args, const rk_parameter_range *range, int64_t begin, int64_t end) {
  const float rate = *args->rate * range->rate_scale, gradient_scale = args->gradient_scale == NULL ? 1 : *args->gradient_scale;
  const float weight_decay = range->weight_decay;
  const rk_sgd_args a = *args;
  EACH(end - begin, sgd_at(a, rate, gradient_scale, weight_decay, begin + j, part));
}

typedef struct adamw_factors {
  float gradient_scale, decay, rate, root_correction; /* decay = 1 - rate weight_decay; rate = rate / (1 - beta1^t) */
} adamw_factors;

INLINE void adamw_at(rk_adamw_args a, adamw_factors f, int64_t i, int64_t part) {
  vec g = load(a.gradient + i, part) * f.gradient_scale, m = load(a.first + i, part), v = load(a.second + i, part);
  m = m + (g - m) * (1 - a.beta1);
  v = v * a.beta2 + g * g * (1 - a.beta2);
  store(a.first + i, m, part);
  store(a.second + i, v, part);
  vec p = load(a.parameter + i, part) * f.decay;
  store(a.parameter + i, p - m / (__builtin_elementwise_sqrt(v) / f.root_correction + a.epsilon) * f.rate, part);
}

static void adamw(const rk_adamw_args *args, const rk_parameter_range *range, int64_t begin, int64_t end) {
  const rk_adamw_args a = *args;
  const double rate = (double)*a.rate * range->rate_scale, t = (double)*a.step;
  const adamw_factors f = {.gradient_scale = a.gradient_scale == NULL ? 1 : *a.gradient_scale,
                           .decay = (float)(1 - rate * range->weight_decay),
                           .rate = (float)(rate / (1 - pow(a.beta1, t))),
                           .root_correction = (float)sqrt(1 - pow(a.beta2, t))};
  EACH(end - begin, adamw_at(a, f, begin + j, part));
}

/* ---- Maps ---- */

/* How a ReLU's mask is known. */
enum { UNMASKED, BY_RESULT, BY_SOURCE };
#define MASK_OF(loop) ((loop).mask_scale != NULL ? BY_SOURCE : (loop).dst != NULL ? BY_RESULT : UNMASKED)

/* Rows of a column (loops_norm.h, loops_sums.h): as many as leave some maps' rows in the first-level cache, but enough to be worth
 * beginning one. */
INLINE int64_t column_height(int64_t period) { return period >= 256 ? 8 : 2048 / period; }
enum { ROWS_AT_ONCE = 4 };

/* A flat array as a matrix [count / period, period] in columns of one vector, each from element i and place j of the period on: `work` for
 * those of whole vectors and of `rows` rows, a multiple of ROWS_AT_ONCE; `edge` for the others, of `part` floats. What is left behind the
 * last whole row is a row by itself. `next`: where in the next block, walked from end to end, this column's share begins. */
#define EACH_BLOCK(count, period, work, edge)                                                                                              \
  for (int64_t base = 0, rows = 0, length = 0; base < (count); base += rows * length) {                                                    \
    const int64_t left = (count) - base, height = column_height(period);                                                                   \
    length = left < (period) ? left : (period);                                                                                            \
    rows = left / length < height ? left / length : height;                                                                                \
    if (rows >= ROWS_AT_ONCE) rows -= rows % ROWS_AT_ONCE;                                                                                 \
    for (int64_t j = 0; j < length; j += WIDTH) {                                                                                          \
      const int64_t i = base + j, part = length - j < WIDTH ? length - j : WIDTH, next = base + rows * (length + j);                       \
      (void)next;                                                                                                                          \
      if (rows >= ROWS_AT_ONCE && part == WIDTH) work;                                                                                     \
      else edge;                                                                                                                           \
    }                                                                                                                                      \
  }

/* Calls the work for each of a column's rows, at element `at`. Sums of rows beside each other, k, need not wait for one another. */
#define EACH_ROW(rows, at_once, first, period, ...)                                                                                        \
  for (int64_t row = 0; row < (rows); row += (at_once)) {                                                                                  \
    _Pragma("clang loop unroll(full)") for (int k = 0; k < (at_once); k++) {                                                               \
      const int64_t at = (first) + (row + k) * (period);                                                                                   \
      __VA_ARGS__                                                                                                                          \
    }                                                                                                                                      \
  }

/* Asks for the line of element i: memory foresees rows that follow each other, but not columns, nor beyond the end of a page. */
#define FETCH(map, i, writes) __builtin_prefetch((const char *)(map) + (uintptr_t)(i) * (TYPE == RK_F32 ? 4 : 2), writes, 2)

/* A sum with rows of fewer channels: of the vector with so many of them left. */
enum { NARROW = 2 };
INLINE int64_t narrow_part(int64_t left, int64_t part) { return left < part ? left : part; }

#define TYPE RK_F32
#define OF_TYPE(name) name##_f32
#define load_map load_f32
#define store_map store_f32
#include "loops_joins.h"
#include "loops_maps.h"
#include "loops_norm.h"
#include "loops_sums.h"
#include "loops_pointwise.h"
#undef TYPE
#undef OF_TYPE
#undef load_map
#undef store_map

#define TYPE RK_BF16
#define OF_TYPE(name) name##_bf16
#define load_map load_bf16
#define store_map store_bf16
#include "loops_joins.h"
#include "loops_maps.h"
#include "loops_norm.h"
#include "loops_sums.h"
#include "loops_pointwise.h"
#undef TYPE
#undef OF_TYPE
#undef load_map
#undef store_map

#define TABLE(type, rounds)                                                                                                                \
  {.affine = affine_##rounds, .bytes = bytes, .moments = moments_##type, .gradient_moments = gradient_moments_##type,                      \
   .gradient_affine = gradient_affine_##rounds, .prelu = prelu_##type, .prelu_gradient = prelu_gradient_##type, .fold = fold,              \
   .sum = sum_##rounds, .relu_backward = relu_backward_##type, .window_max = window_max_##type, .window_sum = window_sum_##type,           \
   .window_max_gradient = window_max_gradient_##type, .window_sum_gradient = window_sum_gradient_##type, .copy = copy_##type,              \
   .philox = philox, .dropout = dropout_##type, .scaled = scaled_##rounds, .widen = widen_##type, .narrow = narrow_##type,                 \
   .exponentials = exponentials_##type, .maximum = maximum_##type, .dot = dot, .softmax_gradient = softmax_gradient_##type,                \
   .shifted = shifted, .log_softmax_gradient = log_softmax_gradient_##type, .pointwise = pointwise_##type,                                 \
   .pointwise_gradient = pointwise_gradient_##type, .arithmetic = arithmetic_##type,                                                       \
   .arithmetic_gradient = arithmetic_gradient_##type, .weighted = weighted_##type, .lrn = lrn_##type, .lrn_gradient = lrn_gradient_##type, \
   .sgd = sgd, .adamw = adamw}

const rk_loops LOOPS[2] = {TABLE(f32, f32), TABLE(bf16, bf16)};
