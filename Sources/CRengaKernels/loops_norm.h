/* loops_norm.h: what batch normalisation does with each value, written once and compiled for each element type. Included by loops_body.h
 * as loops_maps.h, after the same definitions. Not here: its sums (loops_sums.h), what is a part of the batch (batch_norm_parts.c).
 *
 * A map beside periodic arrays is a matrix with rows of one period. It is walked in columns of one vector (EACH_BLOCK): what is periodic is
 * loaded, and sums are stored, once a column and not once a vector. */

/* `add`: 1, or NARROW where it ends before the row does. */
INLINE void OF_TYPE(affine_column)(rk_affine_loop a, int64_t i, int64_t j, int64_t rows, int64_t part, int64_t next, int add,
                                   int relu) {
  const vec center = a.center == NULL ? spread(0) : load(a.center + j, part), scale = load(a.scale + j, part);
  const vec shift = load(a.shift + j, part);
  const int64_t rest = add == NARROW ? narrow_part(a.narrow - j, part) : part;
  int64_t from = add == NARROW ? i / a.period * a.narrow + j : i;
  for (int64_t row = 0; row < rows; row++, i += a.period, from += add == NARROW ? a.narrow : a.period) {
    FETCH(a.src, next + row * WIDTH, 0);
    if (add) FETCH(a.add, next + row * WIDTH, 0);
    if (add) FETCH(a.dst, next + row * WIDTH, 1);
    vec x = (load_map(a.src, i, part) - center) * scale + shift;
    if (add && rest > 0) x += load_map(a.add, from, rest);
    store_map(a.dst, i, relu ? rectify(x) : x, part);
  }
}

RARELY static void OF_TYPE(affine_edge)(rk_affine_loop a, int64_t i, int64_t j, int64_t rows, int64_t part) {
  OF_TYPE(affine_column)(a, i, j, rows, part, i, a.add == NULL ? 0 : a.narrow == 0 ? 1 : NARROW, a.relu);
}

#define AFFINE(add, relu)                                                                                                                  \
  EACH_BLOCK(a.count, a.period, OF_TYPE(affine_column)(a, i, j, rows, WIDTH, next, add, relu), OF_TYPE(affine_edge)(a, i, j, rows, part))
static void OF_TYPE(affine)(const rk_affine_loop *loop) {
  const rk_affine_loop a = *loop;
  if (a.add != NULL && a.narrow != 0)
    EACH_BLOCK(a.count, a.period, OF_TYPE(affine_edge)(a, i, j, rows, WIDTH), OF_TYPE(affine_edge)(a, i, j, rows, part))
  else if (a.add != NULL && a.relu) AFFINE(1, 1)
  else if (a.add != NULL) AFFINE(1, 0)
  else if (a.relu) AFFINE(0, 1)
  else AFFINE(0, 0)
}
#undef AFFINE

/* ddst[i], masked; x: the centred source there. */
INLINE vec OF_TYPE(masked_by)(const void *dst, const void *ddst, vec x, vec scale, vec shift, int64_t i, int64_t part, int mask) {
  const vec d = load_map(ddst, i, part);
  if (mask == BY_SOURCE) return choose(x * scale + shift > 0, d, spread(0));
  return mask == BY_RESULT ? choose(load_map(dst, i, part) > 0, d, spread(0)) : d;
}

/* The source is read before anything is stored: dsrc or dadd may be ddst. `add` as above, of dadd; 0 where there is none. */
INLINE void OF_TYPE(gradient_affine_column)(rk_gradient_affine_loop a, int64_t i, int64_t j, int64_t rows, int64_t part, int64_t next,
                                            int mask, int add) {
  const int by_source = mask == BY_SOURCE, reads = a.slope != NULL || by_source;
  const vec zero = spread(0), center = reads ? load(a.center + j, part) : zero, scale = load(a.scale + j, part);
  const vec slope = a.slope != NULL ? load(a.slope + j, part) : zero, shift = a.slope != NULL ? load(a.shift + j, part) : zero;
  const vec mask_scale = by_source ? load(a.mask_scale + j, part) : zero, mask_shift = by_source ? load(a.mask_shift + j, part) : zero;
  const int64_t rest = add == NARROW ? narrow_part(a.narrow - j, part) : part;
  int64_t to = add == NARROW ? i / a.period * a.narrow + j : i;
  for (int64_t row = 0; row < rows; row++, i += a.period, to += add == NARROW ? a.narrow : a.period) {
    FETCH(a.src, next + row * WIDTH, 0);
    FETCH(a.ddst, next + row * WIDTH, 0);
    if (mask == BY_RESULT) FETCH(a.dst, next + row * WIDTH, 0);
    if (add == 1) FETCH(a.dadd, next + row * WIDTH, 1);
    const vec x = reads ? load_map(a.src, i, part) - center : zero;
    const vec d = OF_TYPE(masked_by)(a.dst, a.ddst, x, mask_scale, mask_shift, i, part, mask);
    vec result = scale * d;
    if (a.slope != NULL) result = slope * x + (result + shift);
    if (a.dsrc != NULL && a.accumulate_dsrc) result += load_map(a.dsrc, i, part);
    if (add && rest > 0) store_map(a.dadd, to, a.accumulate_dadd ? load_map(a.dadd, to, rest) + d : d, rest);
    if (a.dsrc != NULL) store_map(a.dsrc, i, result, part);
  }
}

RARELY static void OF_TYPE(gradient_affine_edge)(rk_gradient_affine_loop a, int64_t i, int64_t j, int64_t rows, int64_t part) {
  OF_TYPE(gradient_affine_column)(a, i, j, rows, part, i, MASK_OF(a), a.dadd == NULL ? 0 : a.narrow == 0 ? 1 : NARROW);
}

#define GRADIENT_AFFINE(mask, add)                                                                                                         \
  EACH_BLOCK(a.count, a.period, OF_TYPE(gradient_affine_column)(a, i, j, rows, WIDTH, next, mask, add),                                    \
             OF_TYPE(gradient_affine_edge)(a, i, j, rows, part))
/* What follows a convolution in a network as a rule, and everything else. */
static void OF_TYPE(gradient_affine)(const rk_gradient_affine_loop *loop) {
  rk_gradient_affine_loop a = *loop;
  const int mask = MASK_OF(a), add = a.dadd == NULL ? 0 : a.narrow == 0 ? 1 : NARROW;
  const int usual = a.slope != NULL && a.dsrc != NULL && !a.accumulate_dsrc && !a.accumulate_dadd;
  if (usual) a.accumulate_dsrc = a.accumulate_dadd = 0;
  if (usual && mask == BY_SOURCE && !add) GRADIENT_AFFINE(BY_SOURCE, 0)
  else if (usual && mask == BY_RESULT && add == 1) GRADIENT_AFFINE(BY_RESULT, 1)
  else if (usual && mask == UNMASKED && !add) GRADIENT_AFFINE(UNMASKED, 0)
  else
    EACH_BLOCK(a.count, a.period, OF_TYPE(gradient_affine_edge)(a, i, j, rows, WIDTH), OF_TYPE(gradient_affine_edge)(a, i, j, rows, part))
}
#undef GRADIENT_AFFINE
