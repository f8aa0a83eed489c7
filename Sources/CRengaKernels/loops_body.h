/* loops_body.h: the inner loops, written once and compiled for each instruction set. Included by the files that define
 *   WIDTH                     floats of a vector,
 *   LOOPS                     the name of the table,
 *   load_part, store_part     the first `part` < WIDTH floats of a vector (zeros beyond),
 * after switching the target on. Not here: threads, shapes.
 *
 * Comparisons are written so that a NaN stays a NaN. */

#define INLINE static inline __attribute__((always_inline))

/* `part` is the constant WIDTH in the main loops, where the test folds away. */
INLINE vec load(const float *from, int64_t part) { return part == WIDTH ? *(const vec_unaligned *)from : load_part(from, part); }
INLINE void store(float *to, vec value, int64_t part) {
  if (part == WIDTH) *(vec_unaligned *)to = value;
  else store_part(to, value, part);
}

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

/* ---- Batch normalisation ---- */

INLINE void affine_at(rk_affine_loop a, int64_t i, int64_t j, int64_t part, int add, int relu) {
  vec x = load(a.src + i, part);
  if (a.center != NULL) x -= load(a.center + j, part);
  x = x * load(a.scale + j, part) + load(a.shift + j, part);
  if (add) x += load(a.add + i, part);
  store(a.dst + i, relu ? rectify(x) : x, part);
}

static void affine(const rk_affine_loop *loop) {
  const rk_affine_loop a = *loop;
  if (a.add != NULL && a.relu) EACH_PERIODIC(a.count, a.period, affine_at(a, i, j, part, 1, 1))
  else if (a.add != NULL) EACH_PERIODIC(a.count, a.period, affine_at(a, i, j, part, 1, 0))
  else if (a.relu) EACH_PERIODIC(a.count, a.period, affine_at(a, i, j, part, 0, 1))
  else EACH_PERIODIC(a.count, a.period, affine_at(a, i, j, part, 0, 0))
}

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

INLINE void moments_at(rk_moments_loop a, int64_t i, int64_t j, int64_t part) {
  vec x = load(a.src + i, part) - load(a.center + j, part);
  add_to(a.sum + j, x, part);
  store(a.square + j, load(a.square + j, part) + x * x, part);
}

static void moments(const rk_moments_loop *loop) {
  const rk_moments_loop a = *loop;
  clear(a.sum, a.period);
  if (a.square == NULL) {
    EACH_PERIODIC(a.count, a.period, add_to(a.sum + j, load(a.src + i, part), part))
    return;
  }
  clear(a.square, a.period);
  EACH_PERIODIC(a.count, a.period, moments_at(a, i, j, part))
}

INLINE vec masked(const float *dst, const float *ddst, int64_t i, int64_t part) {
  vec d = load(ddst + i, part);
  return dst == NULL ? d : choose(load(dst + i, part) > 0, d, spread(0));
}

INLINE void gradient_moments_at(rk_gradient_moments_loop a, int64_t i, int64_t j, int64_t part) {
  vec d = masked(a.dst, a.ddst, i, part);
  add_to(a.sum + j, d, part);
  store(a.product + j, load(a.product + j, part) + d * (load(a.src + i, part) - load(a.center + j, part)), part);
}

static void gradient_moments(const rk_gradient_moments_loop *loop) {
  const rk_gradient_moments_loop a = *loop;
  clear(a.sum, a.period);
  clear(a.product, a.period);
  if (a.dst != NULL) EACH_PERIODIC(a.count, a.period, gradient_moments_at(a, i, j, part))
  else EACH_PERIODIC(a.count, a.period, gradient_moments_at(a, i, j, part))
}

/* The source is read before anything is stored: dsrc or dadd may be ddst. */
INLINE void gradient_affine_at(rk_gradient_affine_loop a, int64_t i, int64_t j, int64_t part) {
  vec d = masked(a.dst, a.ddst, i, part);
  vec result = load(a.scale + j, part) * d;
  if (a.slope != NULL)
    result = load(a.slope + j, part) * (load(a.src + i, part) - load(a.center + j, part)) + (result + load(a.shift + j, part));
  if (a.accumulate_dsrc) result += load(a.dsrc + i, part);
  if (a.dadd != NULL) store(a.dadd + i, a.accumulate_dadd ? load(a.dadd + i, part) + d : d, part);
  store(a.dsrc + i, result, part);
}

INLINE void gradient_add_at(rk_gradient_affine_loop a, int64_t i, int64_t part) {
  vec d = masked(a.dst, a.ddst, i, part);
  store(a.dadd + i, a.accumulate_dadd ? load(a.dadd + i, part) + d : d, part);
}

static void gradient_affine(const rk_gradient_affine_loop *loop) {
  const rk_gradient_affine_loop a = *loop;
  if (a.dsrc == NULL) EACH(a.count, gradient_add_at(a, j, part));
  else EACH_PERIODIC(a.count, a.period, gradient_affine_at(a, i, j, part))
}

static void fold(int64_t period, int64_t c, const float *wide, float *folded) {
  EACH(c, store(folded + j, load(wide + j, part), part));
  for (int64_t at = c; at < period; at += c) EACH(c, add_to(folded + j, load(wide + at + j, part), part));
}

/* ---- Elementwise ---- */

INLINE void prelu_at(rk_prelu_loop a, int64_t i, int64_t j, int64_t part) {
  vec x = load(a.src + i, part);
  store(a.dst + i, choose(x > 0, x, load(a.slope + j, part) * x), part);
}

static void prelu(const rk_prelu_loop *loop) {
  const rk_prelu_loop a = *loop;
  EACH_PERIODIC(a.count, a.period, prelu_at(a, i, j, part))
}

INLINE void prelu_gradient_at(rk_prelu_gradient_loop a, int64_t i, int64_t j, int64_t part) {
  vec x = load(a.src + i, part), d = load(a.ddst + i, part);
  if (a.dslope != NULL) add_to(a.dslope + j, choose(x > 0, spread(0), x * d), part);
  if (a.dsrc == NULL) return;
  vec result = choose(x > 0, d, load(a.slope + j, part) * d);
  store(a.dsrc + i, a.accumulate ? load(a.dsrc + i, part) + result : result, part);
}

static void prelu_gradient(const rk_prelu_gradient_loop *loop) {
  const rk_prelu_gradient_loop a = *loop;
  if (a.dslope != NULL) clear(a.dslope, a.period);
  EACH_PERIODIC(a.count, a.period, prelu_gradient_at(a, i, j, part))
}

INLINE void sum_at(const float *const *src, int32_t terms, float scale, int relu, float *dst, int64_t i, int64_t part) {
  vec total = load(src[0] + i, part);
  for (int32_t k = 1; k < terms; k++) total += load(src[k] + i, part);
  total *= scale;
  store(dst + i, relu ? rectify(total) : total, part);
}

/* The sum of the part that begins at `begin`, with the common numbers of terms unrolled. */
static void sum(const rk_sum_args *args, int64_t begin, int64_t end) {
  const float *src[RK_MAX_SUM] = {0};
  for (int32_t k = 0; k < args->terms; k++) src[k] = args->src[k] + begin;
  const int64_t count = end - begin;
  const int32_t terms = args->terms, relu = args->relu;
  const float scale = args->scale;
  float *dst = args->dst + begin;
  if (terms == 1) EACH(count, sum_at(src, 1, scale, relu, dst, j, part));
  else if (terms == 2) EACH(count, sum_at(src, 2, scale, relu, dst, j, part));
  else EACH(count, sum_at(src, terms, scale, relu, dst, j, part));
}

INLINE void relu_backward_at(rk_relu_backward_args a, int64_t i, int64_t part) {
  vec d = masked(a.dst, a.ddst, i, part) * a.scale;
  store(a.dsrc + i, a.accumulate ? load(a.dsrc + i, part) + d : d, part);
}

static void relu_backward(const rk_relu_backward_args *args, int64_t begin, int64_t end) {
  rk_relu_backward_args a = *args;
  a.dst += begin, a.ddst += begin, a.dsrc += begin;
  EACH(end - begin, relu_backward_at(a, j, part));
}

INLINE void copy_at(float *dst, const float *src, int32_t accumulate, int64_t part) {
  vec x = load(src, part);
  store(dst, accumulate ? load(dst, part) + x : x, part);
}

static void copy(const rk_copy_loop *loop) {
  const rk_copy_loop a = *loop;
  for (int64_t row = 0; row < a.rows; row++)
    EACH(a.count, copy_at(a.dst + row * a.dst_step + j, a.src + row * a.src_step + j, a.accumulate, part));
}

static void scaled(int64_t count, float scale, const float *src, int32_t accumulate, float *dst) {
  if (accumulate) EACH(count, add_to(dst + j, load(src + j, part) * scale, part));
  else EACH(count, store(dst + j, load(src + j, part) * scale, part));
}

/* ---- Dropout ---- */

typedef uint32_t word_vec __attribute__((ext_vector_type(WIDTH)));
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

static void dropout(const rk_dropout_loop *loop) {
  typedef uint32_t word_unaligned __attribute__((ext_vector_type(WIDTH), aligned(4)));
  const rk_dropout_loop a = *loop;
  int64_t i = 0;
  for (; i + WIDTH <= a.count; i += WIDTH) {
    const mask kept = *(const word_unaligned *)(a.words + i) <= a.limit;
    const vec x = choose(kept, load(a.src + i, WIDTH) * a.scale, spread(0));
    store(a.dst + i, a.accumulate ? load(a.dst + i, WIDTH) + x : x, WIDTH);
  }
  for (; i < a.count; i++) {
    const float x = a.words[i] <= a.limit ? a.src[i] * a.scale : 0;
    a.dst[i] = a.accumulate ? a.dst[i] + x : x;
  }
}

/* ---- Windows ---- */

INLINE void window_max_at(rk_window w, const float *src, float *dst, int64_t part) {
  vec best = spread(-__builtin_inff());
  for (int64_t y = 0; y < w.ny; y++)
    for (int64_t x = 0; x < w.nx; x++) best = larger(load(src + y * w.step_y + x * w.step_x, part), best);
  store(dst, best, part);
}

static void window_max(const rk_window *window, const float *src, float *dst) {
  const rk_window w = *window;
  EACH(w.count, window_max_at(w, src + j, dst + j, part));
}

INLINE void window_sum_at(rk_window w, const float *src, float scale, float *dst, int64_t part) {
  vec total = spread(0);
  for (int64_t y = 0; y < w.ny; y++) {
    vec line = spread(0); /* large windows: sums of lines round less than one long sum */
    for (int64_t x = 0; x < w.nx; x++) line += load(src + y * w.step_y + x * w.step_x, part);
    total += line;
  }
  store(dst, total * scale, part);
}

static void window_sum(const rk_window *window, const float *src, float scale, float *dst) {
  const rk_window w = *window;
  EACH(w.count, window_sum_at(w, src + j, scale, dst + j, part));
}

INLINE void window_max_gradient_at(rk_window w, const float *src, const float *ddst, float *dsrc, int64_t first_y, int64_t last_y,
                                   int64_t part) {
  vec best = spread(-__builtin_inff());
  mask where = {0}; /* number of the tap that holds it; the first tap where all are -inf */
  int32_t tap = 0;
  for (int64_t y = 0; y < w.ny; y++)
    for (int64_t x = 0; x < w.nx; x++, tap++) {
      vec value = load(src + y * w.step_y + x * w.step_x, part);
      mask better = (value > best) | (value != value);
      best = choose(better, value, best);
      where = better ? (mask)tap : where;
    }
  vec d = load(ddst, part);
  for (int64_t y = first_y; y < last_y; y++)
    for (int64_t x = 0; x < w.nx; x++)
      add_to(dsrc + y * w.step_y + x * w.step_x, choose(where == (mask)(int32_t)(y * w.nx + x), d, spread(0)), part);
}

static void window_max_gradient(const rk_window *window, const float *src, const float *ddst, float *dsrc, int64_t first_y,
                                int64_t last_y) {
  const rk_window w = *window;
  EACH(w.count, window_max_gradient_at(w, src + j, ddst + j, dsrc + j, first_y, last_y, part));
}

INLINE void window_sum_gradient_at(rk_window w, vec d, float *dsrc, int64_t first_y, int64_t last_y, int64_t part) {
  for (int64_t y = first_y; y < last_y; y++)
    for (int64_t x = 0; x < w.nx; x++) add_to(dsrc + y * w.step_y + x * w.step_x, d, part);
}

static void window_sum_gradient(const rk_window *window, const float *ddst, float scale, float *dsrc, int64_t first_y, int64_t last_y) {
  const rk_window w = *window;
  EACH(w.count, window_sum_gradient_at(w, load(ddst + j, part) * scale, dsrc + j, first_y, last_y, part));
}

/* ---- Softmax ---- */

/* exp(x) for x <= 88: 2^n times a polynomial on [-ln 2 / 2, ln 2 / 2] (Cephes' coefficients); below -87.3 it is 0. */
INLINE vec exponential(vec x) {
  const float LOG2E = 1.44269504f, LN2_HIGH = 0.693359375f, LN2_LOW = -2.12194440e-4f, LOWEST = -87.33f;
  const float ROUNDER = 12582912.0f; /* 1.5 * 2^23: adding it rounds to an integer in the low bits */
  vec bounded = choose(x < LOWEST, spread(LOWEST), x);
  vec shifted = bounded * LOG2E + ROUNDER;
  vec n = shifted - ROUNDER;
  vec r = bounded - n * LN2_HIGH;
  r = r - n * LN2_LOW;
  vec p = spread(1.9875691500e-4f);
  p = p * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = p * r * r + r + 1.0f;
  /* Casts between vectors keep the bits. */
  mask exponent = ((mask)shifted - (mask)spread(ROUNDER)) << 23;
  vec result = (vec)((mask)p + exponent);
  return choose(x < LOWEST, spread(0), choose(x != x, x, result));
}

static float exponentials(int64_t c, const float *src, float shift, float *dst) {
  vec total = spread(0);
  int64_t j = 0;
  for (; j + WIDTH <= c; j += WIDTH) {
    vec e = exponential(load(src + j, WIDTH) - shift);
    total += e;
    if (dst != NULL) store(dst + j, e, WIDTH);
  }
  float rest = 0;
  if (j < c) {
    float lanes[WIDTH];
    vec e = exponential(load_part(src + j, c - j) - shift);
    *(vec_unaligned *)lanes = e;
    for (int64_t i = 0; i < c - j; i++) rest += lanes[i];
    if (dst != NULL) store_part(dst + j, e, c - j);
  }
  return add_lanes(total) + rest;
}

static float maximum(int64_t c, const float *src) {
  float best = -__builtin_inff();
  vec lanes = spread(best);
  int64_t j = 0;
  for (; j + WIDTH <= c; j += WIDTH) lanes = larger(load(src + j, WIDTH), lanes);
  for (int i = 0; i < WIDTH; i++) best = lanes[i] > best || lanes[i] != lanes[i] ? lanes[i] : best;
  for (; j < c; j++) best = src[j] > best || src[j] != src[j] ? src[j] : best;
  return best;
}

static float dot(int64_t c, const float *a, const float *b) {
  vec total = spread(0);
  EACH(c, total += load(a + j, part) * load(b + j, part));
  return add_lanes(total);
}

INLINE void softmax_gradient_at(const float *dst, const float *ddst, float dot, int32_t accumulate, float *dsrc, int64_t part) {
  vec d = load(dst, part) * (load(ddst, part) - dot);
  store(dsrc, accumulate ? load(dsrc, part) + d : d, part);
}

static void softmax_gradient(int64_t c, const float *dst, const float *ddst, float dot, int32_t accumulate, float *dsrc) {
  EACH(c, softmax_gradient_at(dst + j, ddst + j, dot, accumulate, dsrc + j, part));
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

const rk_loops LOOPS = {
    .affine = affine,
    .bytes = bytes,
    .moments = moments,
    .gradient_moments = gradient_moments,
    .gradient_affine = gradient_affine,
    .prelu = prelu,
    .prelu_gradient = prelu_gradient,
    .fold = fold,
    .sum = sum,
    .relu_backward = relu_backward,
    .window_max = window_max,
    .window_sum = window_sum,
    .window_max_gradient = window_max_gradient,
    .window_sum_gradient = window_sum_gradient,
    .copy = copy,
    .philox = philox,
    .dropout = dropout,
    .scaled = scaled,
    .exponentials = exponentials,
    .maximum = maximum,
    .dot = dot,
    .softmax_gradient = softmax_gradient,
    .sgd = sgd,
    .adamw = adamw,
};
