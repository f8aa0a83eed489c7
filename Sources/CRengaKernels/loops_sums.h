/* loops_sums.h: the sums of batch normalisation, forward and backward, written once and compiled for each element type. Included by
 * loops_body.h after loops_norm.h, which walks its maps in the same way. */

INLINE void OF_TYPE(moments_column)(rk_moments_loop a, int64_t i, int64_t j, int64_t rows, int64_t part, int at_once) {
  const vec center = a.center == NULL ? spread(0) : load(a.center + j, part);
  vec sum[ROWS_AT_ONCE] = {0}, square[ROWS_AT_ONCE] = {0};
  EACH_ROW(rows, at_once, i, a.period, {
    const vec x = load_map(a.src, at, part) - center;
    sum[k] += x;
    square[k] += x * x;
  });
  add_to(a.sum + j, (sum[0] + sum[1]) + (sum[2] + sum[3]), part);
  if (a.square != NULL) add_to(a.square + j, (square[0] + square[1]) + (square[2] + square[3]), part);
}

RARELY static void OF_TYPE(moments_edge)(rk_moments_loop a, int64_t i, int64_t j, int64_t rows, int64_t part) {
  OF_TYPE(moments_column)(a, i, j, rows, part, 1);
}

static void OF_TYPE(moments)(const rk_moments_loop *loop) {
  const rk_moments_loop a = *loop;
  clear(a.sum, a.period);
  if (a.square != NULL) clear(a.square, a.period);
  EACH_BLOCK(a.count, a.period, OF_TYPE(moments_column)(a, i, j, rows, WIDTH, ROWS_AT_ONCE),
             OF_TYPE(moments_edge)(a, i, j, rows, part))
}

INLINE void OF_TYPE(gradient_moments_column)(rk_gradient_moments_loop a, int64_t i, int64_t j, int64_t rows, int64_t part, int64_t next,
                                             int mask, int at_once) {
  const vec center = load(a.center + j, part), scale = mask == BY_SOURCE ? load(a.mask_scale + j, part) : spread(0);
  const vec shift = mask == BY_SOURCE ? load(a.mask_shift + j, part) : spread(0);
  vec sum[ROWS_AT_ONCE] = {0}, product[ROWS_AT_ONCE] = {0};
  EACH_ROW(rows, at_once, i, a.period, {
    FETCH(a.src, next + (row + k) * WIDTH, 0);
    FETCH(a.ddst, next + (row + k) * WIDTH, 0);
    const vec x = load_map(a.src, at, part) - center;
    const vec d = OF_TYPE(masked_by)(a.dst, a.ddst, x, scale, shift, at, part, mask);
    if (mask == BY_RESULT && a.masked != NULL) store_map(a.masked, at, d, part);
    sum[k] += d;
    product[k] += d * x;
  });
  add_to(a.sum + j, (sum[0] + sum[1]) + (sum[2] + sum[3]), part);
  add_to(a.product + j, (product[0] + product[1]) + (product[2] + product[3]), part);
}

RARELY static void OF_TYPE(gradient_moments_edge)(rk_gradient_moments_loop a, int64_t i, int64_t j, int64_t rows, int64_t part) {
  OF_TYPE(gradient_moments_column)(a, i, j, rows, part, i, MASK_OF(a), 1);
}

#define GRADIENT_MOMENTS(mask)                                                                                                             \
  EACH_BLOCK(a.count, a.period, OF_TYPE(gradient_moments_column)(a, i, j, rows, WIDTH, next, mask, ROWS_AT_ONCE),                          \
             OF_TYPE(gradient_moments_edge)(a, i, j, rows, part))
static void OF_TYPE(gradient_moments)(const rk_gradient_moments_loop *loop) {
  const rk_gradient_moments_loop a = *loop;
  clear(a.sum, a.period);
  clear(a.product, a.period);
  if (MASK_OF(a) == BY_SOURCE) GRADIENT_MOMENTS(BY_SOURCE)
  else if (MASK_OF(a) == BY_RESULT) GRADIENT_MOMENTS(BY_RESULT)
  else GRADIENT_MOMENTS(UNMASKED)
}
#undef GRADIENT_MOMENTS
