/* winograd_gradients.h: the transforms of backward-weight by F(4x4, 3x3): A dY A^T of tiles, and G^T S G of their sums.
 * Included by winograd_kernels.h. Not here: the sums (winograd_backward_weight.c). */

/* Rows `row` and row + 1, those of +-point. */
RK_INLINE void gradient_pair(const tile_pixels *pixels, int64_t k, rk_mask mask, float *line, int64_t plane, float point, const int row,
                             const int masked, const int whole) {
  const rk_vector p = rk_broadcast(point), p2 = rk_broadcast(point * point);
  rk_vector plus[4], minus[4], t[6];
  for (int j = 0; j < 4; j++) {
    rk_vector y[4];
    load_column(pixels, k, mask, j, y, 0, 1, 4, masked, whole);
    const rk_vector even = rk_fma(p2, y[2], y[0]), odd = rk_fma(p2, y[3], y[1]);
    plus[j] = rk_fma(p, odd, even);
    minus[j] = rk_fnma(p, odd, even);
  }
  gradient_line(plus, t);
  store_line(t, line + row * 6 * plane + k, plane, 6);
  gradient_line(minus, t);
  store_line(t, line + (row + 1) * 6 * plane + k, plane, 6);
}

/* Row 0 from row 0, row 5 from row 3. */
RK_INLINE void gradient_end(const tile_pixels *pixels, int64_t k, rk_mask mask, float *line, int64_t plane, const int end, const int masked,
                            const int whole) {
  rk_vector y[4], t[6];
  for (int j = 0; j < 4; j++) load_column(pixels, k, mask, j, y + j, end * 3, 1, 1, masked, whole);
  gradient_line(y, t);
  store_line(t, line + end * 5 * 6 * plane + k, plane, 6);
}

RK_INLINE void gradient_vector(const tile_pixels *pixels, int64_t k, rk_mask mask, float *line, int64_t plane, const int masked,
                               const int whole) {
  gradient_end(pixels, k, mask, line, plane, 0, masked, whole);
  gradient_pair(pixels, k, mask, line, plane, RK_A, 1, masked, whole);
  gradient_pair(pixels, k, mask, line, plane, RK_B, 3, masked, whole);
  gradient_end(pixels, k, mask, line, plane, 1, masked, whole);
}

RK_INLINE void gradient_lines(const tile_pixels *pixels, int64_t count, float *line, int64_t plane, const int whole) {
  const int64_t end = count / RK_LANES * RK_LANES;
  const rk_mask tail = rk_first(count - end);
  for (int64_t k = 0; k < end; k += RK_LANES) gradient_vector(pixels, k, tail, line, plane, 0, whole);
  if (end < count) gradient_vector(pixels, end, tail, line, plane, 1, whole);
}

static void gradient_tiles(const rk_winograd *winograd, const float *ddst, const float *zeros, int64_t begin, int64_t end, float *lines,
                           int64_t plane) {
  const rk_correlation *at = &winograd->at;
  for (int64_t tile = begin; tile < end; tile++, lines += winograd->k_line) {
    tile_position position = position_of(winograd, tile, 4);
    const tile_pixels pixels =
        pixels_of(ddst + position.n * at->dst_image, zeros, at->out_h, at->out_w, at->dst_pixel, position.y, position.x, 4);
    if (pixels.end == 4) gradient_lines(&pixels, at->k, lines, plane, 1);
    else gradient_lines(&pixels, at->k, lines, plane, 0);
  }
}

static void weight_gradient(const rk_winograd *winograd, const float *sums, int64_t pieces, int64_t piece_step, int64_t c, float *dweight) {
  int64_t k_count = winograd->at.k, c_count = winograd->at.c, plane = rk_winograd_plane(c_count, winograd->k_line);
  for (int64_t k = 0; k < k_count; k += RK_LANES) {
    rk_mask mask = rk_first(rk_min64(RK_LANES, k_count - k));
    rk_vector half[18];
    for (int j = 0; j < 6; j++) {
      rk_vector t[6];
      for (int i = 0; i < 6; i++) {
        const float *sum = sums + (i * 6 + j) * plane + c * winograd->k_line + k;
        t[i] = rk_load(sum);
        for (int64_t piece = 1; piece < pieces; piece++) t[i] = rk_add(t[i], rk_load(sum + piece * piece_step));
      }
      weight_gradient_line(t, half + j, 6);
    }
    for (int i = 0; i < 3; i++) {
      rk_vector g[3];
      weight_gradient_line(half + i * 6, g, 1);
      for (int j = 0; j < 3; j++) rk_store_first(dweight + ((i * 3 + j) * c_count + c) * k_count + k, mask, g[j]);
    }
  }
}
