/* loops_maps.h: the inner loops over maps, written once and compiled for each element type. Included by loops_body.h, which defines
 *   TYPE                    the rk_type of the maps,
 *   OF_TYPE(name)           the name of a function for it,
 *   load_map, store_map     a vector of floats from and to element i of a map.
 * Not here: arrays that are float in any case (loops_body.h). */

/* ---- Elementwise ---- */

INLINE void OF_TYPE(prelu_at)(rk_prelu_loop a, int64_t i, int64_t j, int64_t part) {
  vec x = load_map(a.src, i, part);
  store_map(a.dst, i, choose(x > 0, x, load(a.slope + j, part) * x), part);
}

static void OF_TYPE(prelu)(const rk_prelu_loop *loop) {
  const rk_prelu_loop a = *loop;
  EACH_PERIODIC(a.count, a.period, OF_TYPE(prelu_at)(a, i, j, part))
}

INLINE void OF_TYPE(prelu_gradient_at)(rk_prelu_gradient_loop a, int64_t i, int64_t j, int64_t part) {
  vec x = load_map(a.src, i, part), d = load_map(a.ddst, i, part);
  if (a.dslope != NULL) add_to(a.dslope + j, choose(x > 0, spread(0), x * d), part);
  if (a.dsrc == NULL) return;
  vec result = choose(x > 0, d, load(a.slope + j, part) * d);
  store_map(a.dsrc, i, a.accumulate ? load_map(a.dsrc, i, part) + result : result, part);
}

static void OF_TYPE(prelu_gradient)(const rk_prelu_gradient_loop *loop) {
  const rk_prelu_gradient_loop a = *loop;
  if (a.dslope != NULL) clear(a.dslope, a.period);
  EACH_PERIODIC(a.count, a.period, OF_TYPE(prelu_gradient_at)(a, i, j, part))
}

INLINE vec OF_TYPE(masked)(const void *dst, const void *ddst, int64_t i, int64_t part) {
  vec d = load_map(ddst, i, part);
  return dst == NULL ? d : choose(load_map(dst, i, part) > 0, d, spread(0));
}

INLINE void OF_TYPE(relu_backward_at)(rk_relu_backward_args a, int64_t i, int64_t part) {
  vec d = OF_TYPE(masked)(a.dst, a.ddst, i, part) * a.scale;
  store_map(a.dsrc, i, a.accumulate ? load_map(a.dsrc, i, part) + d : d, part);
}

static void OF_TYPE(relu_backward)(const rk_relu_backward_args *args, int64_t begin, int64_t end) {
  rk_relu_backward_args a = *args;
  a.dst = rk_at(a.dst, TYPE, begin), a.ddst = rk_at(a.ddst, TYPE, begin), a.dsrc = rk_to(a.dsrc, TYPE, begin);
  EACH(end - begin, OF_TYPE(relu_backward_at)(a, j, part));
}

INLINE void OF_TYPE(copy_at)(rk_copy_loop a, int64_t dst, int64_t src, int64_t part) {
  vec x = load_map(a.src, src, part);
  store_map(a.dst, dst, a.accumulate ? load_map(a.dst, dst, part) + x : x, part);
}

static void OF_TYPE(copy)(const rk_copy_loop *loop) {
  const rk_copy_loop a = *loop;
  for (int64_t row = 0; row < a.rows; row++)
    EACH(a.count, OF_TYPE(copy_at)(a, row * a.dst_step + j, row * a.src_step + j, part));
}

static void OF_TYPE(widen)(int64_t count, const void *src, float *dst) { EACH(count, store(dst + j, load_map(src, j, part), part)); }
static void OF_TYPE(narrow)(int64_t count, const float *src, void *dst) { EACH(count, store_map(dst, j, load(src + j, part), part)); }

/* ---- Dropout ---- */

static void OF_TYPE(dropout)(const rk_dropout_loop *loop) {
  typedef uint32_t word_unaligned __attribute__((ext_vector_type(WIDTH), aligned(4)));
  const rk_dropout_loop a = *loop;
  int64_t i = 0;
  for (; i + WIDTH <= a.count; i += WIDTH) {
    const mask kept = *(const word_unaligned *)(a.words + i) <= a.limit;
    const vec x = choose(kept, load_map(a.src, i, WIDTH) * a.scale, spread(0));
    store_map(a.dst, i, a.accumulate ? load_map(a.dst, i, WIDTH) + x : x, WIDTH);
  }
  for (; i < a.count; i++) {
    const float x = a.words[i] <= a.limit ? rk_get(a.src, TYPE, i) * a.scale : 0;
    rk_put(a.dst, TYPE, i, a.accumulate ? rk_get(a.dst, TYPE, i) + x : x);
  }
}

/* ---- Windows ---- */

INLINE void OF_TYPE(window_max_at)(rk_window w, const void *src, void *dst, int64_t j, int64_t part) {
  vec best = spread(-__builtin_inff());
  for (int64_t y = 0; y < w.ny; y++)
    for (int64_t x = 0; x < w.nx; x++) best = larger(load_map(src, y * w.step_y + x * w.step_x + j, part), best);
  store_map(dst, j, best, part);
}

static void OF_TYPE(window_max)(const rk_window *window, const void *src, void *dst) {
  const rk_window w = *window;
  EACH(w.count, OF_TYPE(window_max_at)(w, src, dst, j, part));
}

INLINE void OF_TYPE(window_sum_at)(rk_window w, const void *src, float scale, void *dst, int64_t j, int64_t part) {
  vec total = spread(0);
  for (int64_t y = 0; y <= w.ny; y++) {
    vec line = spread(0); /* large windows: sums of lines round less than one long sum */
    const int64_t nx = y < w.ny ? w.nx : w.rest;
    for (int64_t x = 0; x < nx; x++) line += load_map(src, y * w.step_y + x * w.step_x + j, part);
    total += line;
  }
  store_map(dst, j, total * scale, part);
}

static void OF_TYPE(window_sum)(const rk_window *window, const void *src, float scale, void *dst) {
  const rk_window w = *window;
  EACH(w.count, OF_TYPE(window_sum_at)(w, src, scale, dst, j, part));
}

INLINE void OF_TYPE(window_max_gradient_at)(rk_window w, const void *src, const void *ddst, void *dsrc, int64_t first_y,
                                            int64_t last_y, int64_t j, int64_t part) {
  vec best = spread(-__builtin_inff());
  mask where = {0}; /* number of the tap that holds it; the first tap where all are -inf */
  int32_t tap = 0;
  for (int64_t y = 0; y < w.ny; y++)
    for (int64_t x = 0; x < w.nx; x++, tap++) {
      vec value = load_map(src, y * w.step_y + x * w.step_x + j, part);
      mask better = (value > best) | (value != value);
      best = choose(better, value, best);
      where = better ? (mask)tap : where;
    }
  vec d = load_map(ddst, j, part);
  for (int64_t y = first_y; y < last_y; y++)
    for (int64_t x = 0; x < w.nx; x++)
      OF_TYPE(add_to_map)(dsrc, y * w.step_y + x * w.step_x + j, choose(where == (mask)(int32_t)(y * w.nx + x), d, spread(0)), part);
}

static void OF_TYPE(window_max_gradient)(const rk_window *window, const void *src, const void *ddst, void *dsrc, int64_t first_y,
                                         int64_t last_y) {
  const rk_window w = *window;
  EACH(w.count, OF_TYPE(window_max_gradient_at)(w, src, ddst, dsrc, first_y, last_y, j, part));
}

INLINE void OF_TYPE(window_sum_gradient_at)(rk_window w, vec d, void *dsrc, int64_t first_y, int64_t last_y, int64_t j, int64_t part) {
  for (int64_t y = first_y; y < last_y; y++)
    for (int64_t x = 0; x < w.nx; x++) OF_TYPE(add_to_map)(dsrc, y * w.step_y + x * w.step_x + j, d, part);
}

static void OF_TYPE(window_sum_gradient)(const rk_window *window, const void *ddst, float scale, void *dsrc, int64_t first_y,
                                         int64_t last_y) {
  const rk_window w = *window;
  EACH(w.count, OF_TYPE(window_sum_gradient_at)(w, load_map(ddst, j, part) * scale, dsrc, first_y, last_y, j, part));
}

/* ---- Softmax ---- */

static float OF_TYPE(exponentials)(int64_t c, const void *src, float shift, float *dst) {
  vec total = spread(0);
  int64_t j = 0;
  for (; j + WIDTH <= c; j += WIDTH) {
    vec e = exponential(load_map(src, j, WIDTH) - shift);
    total += e;
    if (dst != NULL) store(dst + j, e, WIDTH);
  }
  float rest = 0;
  if (j < c) {
    float lanes[WIDTH];
    vec e = exponential(load_map(src, j, c - j) - shift);
    *(vec_unaligned *)lanes = e;
    for (int64_t i = 0; i < c - j; i++) rest += lanes[i];
    if (dst != NULL) store_part(dst + j, e, c - j);
  }
  return add_lanes(total) + rest;
}

static float OF_TYPE(maximum)(int64_t c, const void *src) {
  float best = -__builtin_inff();
  vec lanes = spread(best);
  int64_t j = 0;
  for (; j + WIDTH <= c; j += WIDTH) lanes = larger(load_map(src, j, WIDTH), lanes);
  for (int i = 0; i < WIDTH; i++) best = lanes[i] > best || lanes[i] != lanes[i] ? lanes[i] : best;
  for (; j < c; j++) {
    const float x = rk_get(src, TYPE, j);
    best = x > best || x != x ? x : best;
  }
  return best;
}

INLINE void OF_TYPE(softmax_gradient_at)(const float *dst, const float *ddst, float dot, int32_t accumulate, void *dsrc, int64_t j,
                                         int64_t part) {
  vec d = load(dst + j, part) * (load(ddst + j, part) - dot);
  store_map(dsrc, j, accumulate ? load_map(dsrc, j, part) + d : d, part);
}

static void OF_TYPE(softmax_gradient)(int64_t c, const float *dst, const float *ddst, float dot, int32_t accumulate, void *dsrc) {
  EACH(c, OF_TYPE(softmax_gradient_at)(dst, ddst, dot, accumulate, dsrc, j, part));
}

INLINE void OF_TYPE(log_softmax_gradient_at)(const float *dst, const float *ddst, float total, int32_t accumulate, void *dsrc, int64_t j,
                                             int64_t part) {
  vec d = load(ddst + j, part) - exponential(load(dst + j, part)) * total;
  store_map(dsrc, j, accumulate ? load_map(dsrc, j, part) + d : d, part);
}

static void OF_TYPE(log_softmax_gradient)(int64_t c, const float *dst, const float *ddst, int32_t accumulate, void *dsrc) {
  vec sum = spread(0);
  EACH(c, sum += load(ddst + j, part));
  const float total = add_lanes(sum);
  EACH(c, OF_TYPE(log_softmax_gradient_at)(dst, ddst, total, accumulate, dsrc, j, part));
}
