/* loops_joins.h: sums and scaled sums of whole maps, where a network's branches meet: written once and compiled for each element type.
 * Included by loops_body.h before loops_maps.h, after the same definitions. */

INLINE void OF_TYPE(add_to_map)(void *sum, int64_t i, vec x, int64_t part) { store_map(sum, i, load_map(sum, i, part) + x, part); }

INLINE void OF_TYPE(sum_at)(const void *const *src, int32_t terms, float scale, int relu, void *dst, int64_t i, int64_t part) {
  vec total = load_map(src[0], i, part);
  for (int32_t k = 1; k < terms; k++) total += load_map(src[k], i, part);
  total *= scale;
  store_map(dst, i, relu ? rectify(total) : total, part);
}

/* The sum of the part that begins at `begin`, with the common numbers of terms unrolled. */
static void OF_TYPE(sum)(const rk_sum_args *args, int64_t begin, int64_t end) {
  const void *src[RK_MAX_SUM] = {0};
  for (int32_t k = 0; k < args->terms; k++) src[k] = rk_at(args->src[k], TYPE, begin);
  const int64_t count = end - begin;
  const int32_t terms = args->terms, relu = args->relu;
  const float scale = args->scale;
  void *dst = rk_to(args->dst, TYPE, begin);
  if (terms == 1) EACH(count, OF_TYPE(sum_at)(src, 1, scale, relu, dst, j, part));
  else if (terms == 2) EACH(count, OF_TYPE(sum_at)(src, 2, scale, relu, dst, j, part));
  else EACH(count, OF_TYPE(sum_at)(src, terms, scale, relu, dst, j, part));
}

static void OF_TYPE(scaled)(int64_t count, float scale, const void *src, int32_t accumulate, void *dst) {
  if (accumulate) EACH(count, OF_TYPE(add_to_map)(dst, j, load_map(src, j, part) * scale, part));
  else EACH(count, store_map(dst, j, load_map(src, j, part) * scale, part));
}
