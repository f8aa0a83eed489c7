/* winograd_outputs.h: Winograd's inverse transform A^T M A of tiles, with all that a convolution's end does: bias, sum, activation, pooling.
 * Included by winograd_kernels.h. Not here: the products M (winograd_products.h, winograd.c). */

RK_INLINE rk_vector finish(const rk_winograd_output *output, rk_vector value, int64_t offset, int64_t k, rk_mask mask, const int masked) {
  if (output->add) {
    rk_vector added = load_lanes(output->add + offset, mask, masked);
    if (output->second) added = rk_mul(rk_add(added, load_lanes(output->second + offset, mask, masked)), rk_broadcast(0.5f));
    value = rk_add(value, added);
  }
  if (output->activation == RK_ACTIVATION_RELU) return rk_relu(value);
  if (output->activation == RK_ACTIVATION_PRELU)
    return rk_where_negative(value, rk_mul(value, load_lanes(output->slope + k, mask, masked)));
  if (rk_conv_is_late(output->activation)) return rk_bounded(output->activation, output->slope, value);
  return value;
}

RK_INLINE void keep(const rk_winograd_output *output, int64_t offset, rk_vector value, rk_mask mask, const int masked) {
  if (masked) rk_store_first(output->dst + offset, mask, value);
  else if (RK_STREAMS && output->stream) rk_stream(output->dst + offset, value);
  else rk_store(output->dst + offset, value);
}

/* Where a tile's outputs go: the offset of its first pixel, before pooling and after. */
typedef struct tile_target {
  int64_t rows, columns, dst, pooled;
} tile_target;

/* One row of a tile's outputs, of one vector of outputs k. `plain`: the sums themselves, all columns of them. */
RK_INLINE void output_row(const rk_winograd *winograd, const rk_winograd_output *output, const rk_vector *t, tile_target target, int i,
                          int64_t k, rk_vector bias, rk_mask mask, const int m, const int masked, const int plain) {
  for (int j = 0; j < m; j++) {
    if (!plain && j >= target.columns) break;
    const int64_t offset = target.dst + i * winograd->at.dst_row + j * winograd->at.dst_pixel + k;
    if (plain) rk_store(output->dst + offset, t[j]);
    else keep(output, offset, finish(output, rk_add(t[j], bias), offset, k, mask, masked), mask, masked);
  }
}

/* Rows 0 and 2, or 1 and 3, of a tile by m = 4: what they share is the sums, or the differences, of what belongs to +-point. */
RK_INLINE void output_rows_4(const rk_winograd *winograd, const rk_winograd_output *output, const float *line, tile_target target, int64_t k,
                             rk_vector bias, rk_mask mask, const int odd, const int masked, const int plain) {
  const rk_vector low_a = rk_broadcast(odd ? RK_A : 1), low_b = rk_broadcast(odd ? RK_B : 1);
  const rk_vector high_a = rk_broadcast(odd ? RK_A2 * RK_A : RK_A2), high_b = rk_broadcast(odd ? RK_B2 * RK_B : RK_B2);
  rk_vector low[6], high[6], t[4];
  for (int j = 0; j < 6; j++) {
    rk_vector d[6];
    for (int i = 0; i < 6; i++)
      if (i != (odd ? 0 : 5)) d[i] = rk_load(line + (i * 6 + j) * output->plane);
    const rk_vector a = odd ? rk_sub(d[1], d[2]) : rk_add(d[1], d[2]), b = odd ? rk_sub(d[3], d[4]) : rk_add(d[3], d[4]);
    low[j] = odd ? rk_fma(low_a, a, rk_mul(low_b, b)) : rk_add(d[0], rk_add(a, b));
    high[j] = odd ? rk_fma(high_a, a, rk_fma(high_b, b, d[5])) : rk_fma(high_a, a, rk_mul(high_b, b));
  }
  if (plain || odd < target.rows) {
    output_line(low, t, 1, 4);
    output_row(winograd, output, t, target, odd, k, bias, mask, 4, masked, plain);
  }
  if (plain || odd + 2 < target.rows) {
    output_line(high, t, 1, 4);
    output_row(winograd, output, t, target, odd + 2, k, bias, mask, 4, masked, plain);
  }
}

/* rows x columns of one tile's m x m outputs, of one vector of outputs k; pooled: the largest of each 2x2 of them. */
RK_INLINE void output_vector(const rk_winograd *winograd, const rk_winograd_output *output, const float *line, tile_target target, int64_t k,
                             rk_mask mask, const int m, const int masked, const int pool) {
  const int a = m + 2;
  const rk_correlation *at = &winograd->at;
  rk_vector half[RK_WINOGRAD_MOST_POSITIONS], above[4], bias = output->bias ? load_lanes(output->bias + k, mask, masked) : rk_zero();
  if (m == 4 && !pool) {
    output_rows_4(winograd, output, line, target, k, bias, mask, 0, masked, 0);
    output_rows_4(winograd, output, line, target, k, bias, mask, 1, masked, 0);
    return;
  }
  for (int j = 0; j < a; j++) {
    rk_vector d[6];
    for (int i = 0; i < a; i++) d[i] = rk_load(line + (i * a + j) * output->plane);
    output_line(d, half + j, a, m);
  }
  for (int i = 0; i < m; i++) {
    rk_vector t[4];
    if (i >= target.rows) break;
    output_line(half + i * a, t, 1, m);
    if (!pool) {
      output_row(winograd, output, t, target, i, k, bias, mask, m, masked, 0);
      continue;
    }
    for (int j = 0; j < m; j++) {
      if (j >= target.columns) break;
      const int64_t offset = target.dst + i * at->dst_row + j * at->dst_pixel + k;
      t[j] = finish(output, rk_add(t[j], bias), offset, k, mask, masked);
      if (i % 2 == 0) above[j] = t[j];
      else t[j] = rk_larger(t[j], above[j]);
      if (i % 2 == 1 && j % 2 == 1)
        keep(output, target.pooled + ((i / 2) * (at->out_w / 2) + j / 2) * at->dst_pixel + k, rk_larger(t[j], t[j - 1]), mask, masked);
    }
  }
}

RK_INLINE void output_tiles(const rk_winograd *winograd, const rk_winograd_output *output, int64_t begin, int64_t end, const int m,
                            const int pool) {
  const rk_correlation *at = &winograd->at;
  int64_t whole = winograd->at.k / RK_LANES * RK_LANES;
  rk_mask tail = rk_first(winograd->at.k - whole);
  const float *line = output->products;
  const int plain = !output->bias && !output->add && output->activation == RK_ACTIVATION_NONE && !output->stream;
  for (int64_t tile = begin; tile < end; tile++, line += winograd->k_line) {
    tile_position position = position_of(winograd, tile, m);
    const tile_target target = {
        .rows = rk_min64(m, at->out_h - position.y),
        .columns = rk_min64(m, at->out_w - position.x),
        .dst = at->dst_first + position.n * at->dst_image + position.y * at->dst_row + position.x * at->dst_pixel,
        .pooled = ((position.n * (at->out_h / 2) + position.y / 2) * (at->out_w / 2) + position.x / 2) * at->dst_pixel,
    };
    if (m == 4 && !pool && plain && target.rows == 4 && target.columns == 4) {
      for (int64_t k = 0; k < whole; k += RK_LANES) {
        output_rows_4(winograd, output, line + k, target, k, rk_zero(), tail, 0, 0, 1);
        output_rows_4(winograd, output, line + k, target, k, rk_zero(), tail, 1, 0, 1);
      }
    } else {
      for (int64_t k = 0; k < whole; k += RK_LANES) output_vector(winograd, output, line + k, target, k, tail, m, 0, pool);
    }
    if (whole < winograd->at.k) output_vector(winograd, output, line + whole, target, whole, tail, m, 1, pool);
  }
  if (output->stream) rk_stream_fence();
}
