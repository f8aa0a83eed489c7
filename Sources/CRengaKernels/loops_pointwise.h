/* loops_pointwise.h: functions of elements and of pairs, weighted neighbours, and sums over neighbouring channels, for each element type.
 * Included by loops_body.h behind loops_maps.h. */

/* ---- Functions of one element ---- */

INLINE void OF_TYPE(pointwise_at)(rk_pointwise_args a, rk_function function, int64_t i, int64_t part) {
  store_map(a.dst, i, of_function(function, a.alpha, a.beta, load_map(a.src, i, part)), part);
}

INLINE void OF_TYPE(pointwise_gradient_at)(rk_pointwise_backward_args a, rk_function function, int64_t i, int64_t part) {
  vec d = load_map(a.ddst, i, part) * slope_of_function(function, a.alpha, a.beta, load_map(a.src, i, part));
  store_map(a.dsrc, i, a.accumulate ? load_map(a.dsrc, i, part) + d : d, part);
}

/* One loop for each function: the choice is made outside. */
#define EACH_FUNCTION(work)                                                                                                                \
  CASE_OF(RK_SIGMOID, work) CASE_OF(RK_TANH, work) CASE_OF(RK_LEAKY_RELU, work) CASE_OF(RK_CLIP, work) CASE_OF(RK_HARD_SIGMOID, work)       \
  CASE_OF(RK_HARD_SWISH, work) CASE_OF(RK_ELU, work) CASE_OF(RK_SOFTPLUS, work) CASE_OF(RK_SILU, work)
#define CASE_OF(name, work)                                                                                                                \
  case name: EACH(end - begin, work(a, name, j, part)); break;

static void OF_TYPE(pointwise)(const rk_pointwise_args *args, int64_t begin, int64_t end) {
  rk_pointwise_args a = *args;
  a.src = rk_at(a.src, TYPE, begin), a.dst = rk_to(a.dst, TYPE, begin);
  switch (a.function) { EACH_FUNCTION(OF_TYPE(pointwise_at)) }
}

static void OF_TYPE(pointwise_gradient)(const rk_pointwise_backward_args *args, int64_t begin, int64_t end) {
  rk_pointwise_backward_args a = *args;
  a.src = rk_at(a.src, TYPE, begin), a.ddst = rk_at(a.ddst, TYPE, begin), a.dsrc = rk_to(a.dsrc, TYPE, begin);
  switch (a.function) { EACH_FUNCTION(OF_TYPE(pointwise_gradient_at)) }
}

#undef CASE_OF
#undef EACH_FUNCTION

/* ---- Pairs of elements ---- */

/* An operand that is one element is read once; the choice is the same for a whole row. */
#define OPERAND(k) (a.one[k] ? single[k] : load_map(a.src[k], j, part))
#define SINGLES const vec single[2] = {spread(rk_get(a.src[0], TYPE, 0)), spread(rk_get(a.src[1], TYPE, 0))}
#define EACH_PAIRING                                                                                                                       \
  CASE_OF(RK_MULTIPLY) CASE_OF(RK_ADD) CASE_OF(RK_SUBTRACT) CASE_OF(RK_DIVIDE) CASE_OF(RK_MAXIMUM) CASE_OF(RK_MINIMUM)

static void OF_TYPE(arithmetic)(const rk_arithmetic_loop *loop) {
  const rk_arithmetic_loop a = *loop;
  SINGLES;
#define CASE_OF(name) case name: EACH(a.count, store_map(a.dst, j, of_pair(name, OPERAND(0), OPERAND(1)), part)); break;
  switch (a.pairing) { EACH_PAIRING }
#undef CASE_OF
}

static void OF_TYPE(arithmetic_gradient)(const rk_arithmetic_loop *loop) {
  const rk_arithmetic_loop a = *loop;
  SINGLES;
#define CASE_OF(name)                                                                                                                      \
  case name:                                                                                                                               \
    EACH(a.count,                                                                                                                          \
         add_to(a.gradient + j, load_map(a.ddst, j, part) * slope_of_pair(name, OPERAND(0), OPERAND(1), a.which), part));         \
    break;
  switch (a.pairing) { EACH_PAIRING }
#undef CASE_OF
}

#undef EACH_PAIRING
#undef SINGLES
#undef OPERAND

/* ---- Weighted neighbours ---- */

INLINE void OF_TYPE(weighted_at)(rk_weighted_window w, const void *src, void *dst, int64_t j, int64_t part) {
  vec total = spread(0);
  for (int64_t y = 0; y < w.ny; y++) {
    vec line = spread(0);
    for (int64_t x = 0; x < w.nx; x++) line += load_map(src, y * w.step_y + x * w.step_x + j, part) * w.weights_x[x];
    total += line * w.weights_y[y];
  }
  store_map(dst, j, total, part);
}

static void OF_TYPE(weighted)(const rk_weighted_window *window, const void *src, void *dst) {
  const rk_weighted_window w = *window;
  EACH(w.count, OF_TYPE(weighted_at)(w, src, dst, j, part));
}

/* ---- Neighbouring channels ---- */

/* The row's squares behind `before` zeros and before `after`. */
INLINE void OF_TYPE(lrn_squares)(const rk_lrn_args *a, const void *src, float *squares) {
  clear(squares, a->before);
  EACH(a->c, store(squares + a->before + j, load_map(src, j, part) * load_map(src, j, part), part));
  clear(squares + a->before + a->c, a->after);
}

static void OF_TYPE(lrn)(const rk_lrn_args *a, int64_t at, float *scratch) {
  const void *src = rk_at(a->src, TYPE, at);
  void *dst = rk_to(a->dst, TYPE, at);
  OF_TYPE(lrn_squares)(a, src, scratch);
  EACH(a->c, store_map(dst, j, load_map(src, j, part) * exponential(logarithm(lrn_sum(a, scratch + j, part)) * -a->beta), part));
}

INLINE void OF_TYPE(lrn_terms)(const rk_lrn_args *a, const void *src, const void *ddst, const float *squares, float *product, float *direct,
                               int64_t j, int64_t part) {
  const vec s = lrn_sum(a, squares + j, part), d = load_map(ddst, j, part) * exponential(logarithm(s) * -a->beta);
  store(direct + j, d, part);
  store(product + a->after + j, d * load_map(src, j, part) / s, part);
}

/* dsrc[i] = ddst[i] s[i]^-beta - 2 alpha beta src[i] times the sum of ddst[c] src[c] s[c]^(-beta - 1) over the c that i is a neighbour of. */
static void OF_TYPE(lrn_gradient)(const rk_lrn_backward_args *args, int64_t at, float *scratch) {
  const rk_lrn_args *a = &args->forward;
  const int64_t taps = a->before + 1 + a->after, wide = a->c + taps - 1;
  const void *src = rk_at(a->src, TYPE, at), *ddst = rk_at(args->ddst, TYPE, at);
  void *dsrc = rk_to(args->dsrc, TYPE, at);
  float *product = scratch + wide, *direct = product + wide;
  OF_TYPE(lrn_squares)(a, src, scratch);
  clear(product, a->after);
  EACH(a->c, OF_TYPE(lrn_terms)(a, src, ddst, scratch, product, direct, j, part));
  clear(product + a->after + a->c, a->before);
  const float factor = 2 * a->alpha * a->beta;
  EACH(a->c, const vec d = load(direct + j, part) - sum_of_neighbours(product + j, taps, part) * load_map(src, j, part) * factor;
       store_map(dsrc, j, args->accumulate ? load_map(dsrc, j, part) + d : d, part));
}
