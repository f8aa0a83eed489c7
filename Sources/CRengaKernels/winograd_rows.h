/* winograd_rows.h: B^T d B by m = 4 of maps of one vector of channels, row of tiles by row of tiles. Included by winograd_kernels.h.
 *
 * Neighbouring tiles share two of their six columns: what the transform makes of those is kept in registers, and where a tile lies is found
 * out once a row of them. Same operations as for a tile by itself (source_pair, source_end), so the same bits. */

/* The rows of pixels that a row of tiles sees, from the map's first column on; those outside the map are a line of zeros, `step` 0. */
typedef struct tile_rows {
  const float *row[6];
  int64_t step[6], w;
} tile_rows;

/* Which two rows of the transform: 0 and 5, or those of +-RK_A, or of +-RK_B. */
enum { ROWS_OF_ENDS, ROWS_OF_A, ROWS_OF_B };

/* The two rows' sums of one column. */
RK_INLINE void rows_of_column(const tile_rows *rows, int64_t column, rk_vector *first, rk_vector *second, const int which, const int whole) {
  rk_vector d[6];
  for (int i = which == ROWS_OF_ENDS ? 0 : 1; i < (which == ROWS_OF_ENDS ? 6 : 5); i++)
    d[i] = whole || (column >= 0 && column < rows->w) ? rk_load(rows->row[i] + column * rows->step[i]) : rk_zero();
  if (which == ROWS_OF_ENDS) {
    const rk_vector sum = rk_broadcast(RK_A2 + RK_B2), product = rk_broadcast(RK_A2 * RK_B2);
    *first = rk_fma(product, d[0], rk_fnma(sum, d[2], d[4]));
    *second = rk_fma(product, d[1], rk_fnma(sum, d[3], d[5]));
    return;
  }
  const rk_vector point = rk_broadcast(which == ROWS_OF_A ? RK_A : RK_B), other = rk_broadcast(which == ROWS_OF_A ? RK_B2 : RK_A2);
  const rk_vector odd = rk_fnma(other, d[1], d[3]), even = rk_fnma(other, d[2], d[4]);
  *first = rk_fma(point, odd, even);
  *second = rk_fnma(point, odd, even);
}

/* Both rows of `tiles` tiles from column x on. */
RK_INLINE void rows_of_tiles(const tile_rows *rows, int64_t x, int64_t tiles, float *line, int64_t plane, const int which) {
  float *low = line + (which == ROWS_OF_ENDS ? 0 : which == ROWS_OF_A ? 1 : 3) * 6 * plane;
  float *high = line + (which == ROWS_OF_ENDS ? 5 : which == ROWS_OF_A ? 2 : 4) * 6 * plane;
  rk_vector first[6], second[6], t[6];
  for (int j = 0; j < 2; j++) rows_of_column(rows, x + j, first + j, second + j, which, 0);
  for (; tiles > 0; tiles--, x += 4, low += RK_LANES, high += RK_LANES) {
    if (x + 2 >= 0 && x + 6 <= rows->w)
      for (int j = 2; j < 6; j++) rows_of_column(rows, x + j, first + j, second + j, which, 1);
    else
      for (int j = 2; j < 6; j++) rows_of_column(rows, x + j, first + j, second + j, which, 0);
    source_line(first, t, 1, 4);
    store_line(t, low, plane, 6);
    source_line(second, t, 1, 4);
    store_line(t, high, plane, 6);
    for (int j = 0; j < 2; j++) first[j] = first[j + 4], second[j] = second[j + 4];
  }
}

static void source_rows(const rk_winograd *winograd, const float *src, const float *zeros, int64_t begin, int64_t end, float *lines,
                        int64_t plane) {
  const rk_correlation *at = &winograd->at;
  for (int64_t tile = begin, tiles; tile < end; tile += tiles, lines += tiles * RK_LANES) {
    const tile_position position = position_of(winograd, tile, 4);
    const float *image = src + position.n * at->src_h * at->src_w * RK_LANES;
    tile_rows rows = {.w = at->src_w};
    tiles = rk_min64(end - tile, winograd->tiles_w - position.x / 4);
    for (int i = 0; i < 6; i++) {
      const int64_t y = position.y + at->offset_h + i;
      const int inside = y >= 0 && y < at->src_h;
      rows.row[i] = inside ? image + y * at->src_w * RK_LANES : zeros;
      rows.step[i] = inside ? RK_LANES : 0;
    }
    for (int64_t i = 0; i < tiles; i++)
      prefetch_below(at, src, (tile_position){position.n, position.y, position.x + 4 * i}, 4);
    const int64_t x = position.x + at->offset_w;
    rows_of_tiles(&rows, x, tiles, lines, plane, ROWS_OF_ENDS);
    rows_of_tiles(&rows, x, tiles, lines, plane, ROWS_OF_A);
    rows_of_tiles(&rows, x, tiles, lines, plane, ROWS_OF_B);
  }
}
