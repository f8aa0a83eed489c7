/* convolution_grouped_kernels.h: the micro-kernels of grouped convolution, part of convolution_kernels.h: a vector of outputs holds several
 * groups, and its multiply-adds take a pixel's vector with one channel of each group spread over its lanes; where a group has a vector's
 * channels or more, one channel in all lanes. No product of two groups is made. Not here: blocking, packing, threads.
 *
 * What bounds them: such a spreading takes one of the two units that multiply. Two rows of eight pixels share the spread pixels of four
 * source rows: 40 for 144 multiply-adds of a 3x3 filter. */

#define RK_GROUPED_MOST_W 8

/* Sums of `rows` x `columns` outputs of one vector: sums[row][column][lanes]. src: the copy's first pixel under them, in the group's first
 * plane. `three`: as in rk_conv_grouped; two rows: rows of taps lie one row apart too. `several`: groups are narrower than the vector. */
RK_INLINE void grouped_tile(const rk_conv_grouped *grouped, const float *src, const float *packed, float *sums, const int rows,
                            const int columns, const int three, const int several) {
  const rk_correlation *at = &grouped->at;
  const int values = columns + (three ? 2 : 0), joined = three ? 3 : 1;
  const int64_t tap = at->c * RK_LANES, turns = three ? 1 : at->taps_w, channels = several ? at->c : RK_LANES;
  const int64_t column_step = at->dilation_w / at->stride_w, phase_step = at->dilation_w % at->stride_w;
  rk_vector sum[2][RK_GROUPED_MOST_W];
  for (int y = 0; y < rows; y++)
    for (int x = 0; x < columns; x++) sum[y][x] = rk_zero();
  for (int64_t i = 0; i < at->taps_h + rows - 1; i++) {
    int64_t column = 0, phase = 0;
    for (int64_t j = 0; j < turns; j++) {
      const float *pixel = src + i * at->dilation_h * grouped->row_floats + (phase * grouped->copy_w + column) * RK_LANES;
      const float *weight = packed + (i * at->taps_w + j) * tap;
      for (int64_t plane = 0; plane < (several ? 1 : grouped->planes); plane++, pixel += grouped->plane_floats) {
        for (int64_t k = 0; k < channels; k++, weight += RK_LANES) {
          const rk_index index = rk_within(at->c, k);
          rk_vector value[RK_GROUPED_MOST_W + 2];
#pragma clang loop unroll(full)
          for (int x = 0; x < values; x++)
            value[x] = several ? rk_spread(pixel + x * RK_LANES, index) : rk_broadcast(pixel[x * RK_LANES + k]);
#pragma clang loop unroll(full)
          for (int y = 0; y < rows; y++) {
            if (rows > 1 && (y == 0 ? i == at->taps_h : i == 0)) continue;
#pragma clang loop unroll(full)
            for (int s = 0; s < joined; s++) {
              const rk_vector factor = rk_load(weight + s * tap - y * 3 * tap);
#pragma clang loop unroll(full)
              for (int x = 0; x < columns; x++) sum[y][x] = rk_fma(value[x + s], factor, sum[y][x]);
            }
          }
        }
      }
      column += column_step;
      phase += phase_step;
      if (phase >= at->stride_w) phase -= at->stride_w, column++;
    }
  }
  for (int y = 0; y < rows; y++)
    for (int x = 0; x < columns; x++) rk_store(sums + (y * columns + x) * RK_LANES, sum[y][x]);
}

RK_INLINE void grouped_tiles(const rk_conv_grouped *grouped, const float *src, const float *packed, float *sums, int64_t rows,
                             const int columns) {
#if RK_LANES == 16
  if (grouped->at.c >= RK_LANES) {
    if (rows == 2) grouped_tile(grouped, src, packed, sums, 2, columns, 1, 0);
    else grouped_tile(grouped, src, packed, sums, 1, columns, 1, 0);
    return;
  }
#endif
  if (rows == 2) grouped_tile(grouped, src, packed, sums, 2, columns, 1, 1);
  else grouped_tile(grouped, src, packed, sums, 1, columns, 0, 1);
}

/* `count` outputs of one row: bias, sum, activation. */
static void grouped_store(const rk_conv_grouped *grouped, const float *sums, int64_t dst, int64_t k, int64_t lanes, int64_t count) {
  const rk_mask mask = rk_first(lanes);
  const rk_vector bias = grouped->bias ? rk_load_first(grouped->bias + k, mask) : rk_zero();
  const rk_vector slope = grouped->activation == RK_ACTIVATION_PRELU ? rk_load_first(grouped->slope + k, mask) : rk_zero();
  for (int64_t x = 0; x < count; x++, dst += grouped->at.dst_pixel) {
    rk_vector value = rk_add(rk_load(sums + x * RK_LANES), bias);
    if (grouped->add) value = rk_add(value, rk_load_first(grouped->add + dst, mask));
    if (grouped->activation == RK_ACTIVATION_RELU) value = rk_relu(value);
    if (grouped->activation == RK_ACTIVATION_PRELU) value = rk_where_negative(value, rk_mul(value, slope));
    if (rk_conv_is_late(grouped->activation)) value = rk_bounded(grouped->activation, grouped->slope, value);
    if (RK_STREAMS && grouped->stream) rk_stream(grouped->dst + dst, value);
    else rk_store_first(grouped->dst + dst, mask, value);
  }
}

/* Row h of image n, `lanes` channels from c, with zeros around it. */
static void grouped_copy_row(const rk_conv_grouped *grouped, int64_t n, int64_t h, int64_t c, int64_t lanes, float *copy) {
  const rk_correlation *at = &grouped->at;
  const rk_mask mask = rk_first(lanes);
  const int inside = h >= 0 && h < at->src_h;
  const float *src = grouped->src + (n * at->src_h + (inside ? h : 0)) * at->src_w * at->src_c + c;
  for (int64_t phase = 0; phase < at->stride_w; phase++, copy += grouped->copy_w * RK_LANES) {
    int64_t begin = 0, end = inside ? grouped->copy_w : 0, x = 0;
    if (inside) rk_conv_clip(phase + at->offset_w, at->stride_w, at->src_w, &begin, &end);
    for (; x < rk_min64(begin, grouped->copy_w); x++) rk_store(copy + x * RK_LANES, rk_zero());
    const float *pixel = src + (phase + at->offset_w) * at->src_c;
    for (; x < end; x++) rk_store(copy + x * RK_LANES, rk_load_first(pixel + x * at->stride_w * at->src_c, mask));
    for (; x < grouped->copy_w; x++) rk_store(copy + x * RK_LANES, rk_zero());
  }
}

static void grouped_rows(const rk_conv_grouped *grouped, int64_t n, int64_t slab, int64_t y, int64_t rows, float *copy) {
  const rk_correlation *at = &grouped->at;
  const int64_t planes = grouped->planes, last = y + rows, columns = grouped->tile_w, top = y * at->stride_h;
  const int64_t seen = at->taps_h > 0 ? (rows - 1) * at->stride_h + (at->taps_h - 1) * at->dilation_h + 1 : 0;
  const int64_t vector_floats = at->taps_h * at->taps_w * at->c * RK_LANES;
  const int pairs = grouped->three && at->stride_h == 1 && at->dilation_h == 1;
  float sums[2 * RK_GROUPED_MOST_W * RK_LANES];
  /* This slab's share of the rows behind the last one seen. */
  const int64_t row_bytes = at->src_w * at->src_c * (int64_t)sizeof(float), slabs = rk_div_up(at->groups * at->k, planes * RK_LANES);
  uintptr_t next = (uintptr_t)grouped->src + (uintptr_t)((n * at->src_h + top + at->offset_h + seen) * row_bytes) +
                   (uintptr_t)(rows * at->stride_h * row_bytes / slabs * slab);
  for (int64_t plane = 0; plane < planes; plane++)
    for (int64_t i = 0; i < seen; i++) {
      const int64_t c = (slab * planes + plane) * RK_LANES;
      grouped_copy_row(grouped, n, top + i + at->offset_h, c, rk_min64(RK_LANES, at->src_c - c),
                       copy + plane * grouped->plane_floats + i * grouped->row_floats);
    }
  for (int64_t vector = slab * planes; vector < (slab + 1) * planes; vector++) {
    const int64_t k = vector * RK_LANES, lanes = rk_min64(RK_LANES, at->groups * at->k - k);
    const float *packed = grouped->packed + vector * vector_floats;
    for (int64_t row = y; row < last;) {
      const int64_t height = pairs && row + 1 < last ? 2 : 1;
      const float *src = copy + (row * at->stride_h - top) * grouped->row_floats;
      for (int64_t x = 0; x < at->out_w; x += columns) {
        for (int64_t byte = 0; byte < grouped->ahead; byte += 64, next += 64) __builtin_prefetch((const void *)next, 0, 2);
        if (RK_GROUPED_W_1 == RK_GROUPED_W_2 || columns == RK_GROUPED_W_1)
          grouped_tiles(grouped, src + x * RK_LANES, packed, sums, height, RK_GROUPED_W_1);
        else grouped_tiles(grouped, src + x * RK_LANES, packed, sums, height, RK_GROUPED_W_2);
        for (int64_t i = 0; i < height; i++)
          grouped_store(grouped, sums + i * columns * RK_LANES,
                        at->dst_first + n * at->dst_image + (row + i) * at->dst_row + x * at->dst_pixel + k, k, lanes,
                        rk_min64(columns, at->out_w - x));
      }
      row += height;
    }
  }
}

/* ---- Backward-weight ---- */

/* Neighbouring columns of taps summed together. */
#define RK_GROUPED_TAPS 3

/* Walks over the part of the next band's maps that the loops over this band's pixels ask for. */
typedef struct grouped_ahead {
  uintptr_t src, ddst;
  int64_t src_step, ddst_step; /* bytes a pixel; 0 where maps stay in L2 */
} grouped_ahead;

RK_INLINE void grouped_prefetch(grouped_ahead *ahead) {
  __builtin_prefetch((const void *)ahead->src, 0, 2);
  __builtin_prefetch((const void *)ahead->ddst, 0, 2);
  ahead->src += (uintptr_t)ahead->src_step;
  ahead->ddst += (uintptr_t)ahead->ddst_step;
}

/* sum[j][k] += d[j] with channel k of each group of a source pixel, for all j. */
RK_INLINE void grouped_pixel(rk_vector (*sum)[8], const float *pixel, const rk_vector *d, const int group) {
#pragma clang loop unroll(full)
  for (int k = 0; k < group; k++) {
    const rk_vector value = rk_spread(pixel, rk_within(group, k));
    for (int j = 0; j < RK_GROUPED_TAPS; j++) sum[j][k] = rk_fma(value, d[j], sum[j][k]);
  }
}

/* Output pixel x of a row by taps [j0, j0 + taps), but for source pixels [lo, hi). */
RK_INLINE void grouped_outside(const rk_correlation *at, rk_vector (*sum)[8], const float *src, const float *ddst, int64_t x, int64_t j0,
                               int64_t taps, int64_t lo, int64_t hi, grouped_ahead *ahead, const int group) {
  const rk_vector d = rk_load(ddst + x * RK_LANES);
  grouped_prefetch(ahead);
#pragma clang loop unroll(full)
  for (int j = 0; j < RK_GROUPED_TAPS; j++) {
    const int64_t w = x * at->stride_w + (j0 + j) * at->dilation_w + at->offset_w;
    if (j >= taps || w < 0 || w >= at->src_w || (w >= lo && w < hi)) continue;
#pragma clang loop unroll(full)
    for (int k = 0; k < group; k++) sum[j][k] = rk_fma(rk_spread(src + w * RK_LANES, rk_within(group, k)), d, sum[j][k]);
  }
}

/* Taps (i, [j0, j0 + taps)) over `rows` rows whose first are at src and ddst. dweight: of the first tap. Where taps and pixels are
 * neighbours, a source pixel's spread vectors meet three pixels of ddst at once; at the ends, taps see fewer. */
RK_INLINE void grouped_weight_taps(const rk_conv_grouped *grouped, const float *src, const float *ddst, int64_t rows, int64_t j0,
                                   int64_t taps, float *dweight, rk_mask mask, grouped_ahead *ahead, const int group) {
  const rk_correlation *at = &grouped->at;
  const int64_t outputs = at->groups * at->k, shift = j0 + at->offset_w;
  const int slides = grouped->three && taps == RK_GROUPED_TAPS;
  int64_t lo = slides ? rk_max64(shift + 2, 0) : at->src_w, hi = slides ? rk_min64(shift + at->out_w, at->src_w) : at->src_w;
  if (lo >= hi) lo = hi = at->src_w;
  /* Pixels [before, after) are dealt with once the others are; before > 0. */
  const int64_t before = rk_min64(lo == hi ? at->out_w : rk_max64(lo - shift, 0), at->out_w);
  const int64_t after = lo == hi ? at->out_w : rk_max64(hi - shift - 2, before);
  rk_vector sum[RK_GROUPED_TAPS][8];
#pragma clang loop unroll(full)
  for (int j = 0; j < RK_GROUPED_TAPS; j++)
    for (int k = 0; k < group; k++) sum[j][k] = j < taps ? rk_load_first(dweight + (j * group + k) * outputs, mask) : rk_zero();
  grouped_ahead next = *ahead;
  for (int64_t row = 0; row < rows; row++) {
    for (int64_t w = lo; w < hi; w++) {
      const float *gradient = ddst + (w - shift) * RK_LANES;
      grouped_prefetch(&next);
      const rk_vector d[RK_GROUPED_TAPS] = {rk_load(gradient), rk_load(gradient - RK_LANES), rk_load(gradient - 2 * RK_LANES)};
      grouped_pixel(sum, src + w * RK_LANES, d, group);
    }
    for (int64_t x = 0; x < at->out_w; x = x + 1 == before ? after : x + 1)
      grouped_outside(at, sum, src, ddst, x, j0, taps, lo, hi, &next, group);
    src += at->stride_h * grouped->row_floats;
    ddst += at->out_w * RK_LANES;
  }
  *ahead = next;
#pragma clang loop unroll(full)
  for (int j = 0; j < RK_GROUPED_TAPS; j++)
    for (int k = 0; k < group; k++)
      if (j < taps) rk_store_first(dweight + (j * group + k) * outputs, mask, sum[j][k]);
}

/* `count` pixels of one vector of channels, `pitch` floats apart, together. */
static void grouped_gather(const float *src, int64_t count, int64_t pitch, rk_mask mask, float *copy) {
  for (int64_t i = 0; i < count; i++) rk_store(copy + i * RK_LANES, rk_load_first(src + i * pitch, mask));
}

static void grouped_weight(const rk_conv_grouped *grouped, int64_t n, int64_t vector, int64_t y, int64_t rows, float *copy, float *dweight) {
  const rk_correlation *at = &grouped->at;
  const int64_t k = vector * RK_LANES, outputs = at->groups * at->k, top = rk_max64(y * at->stride_h + at->offset_h, 0);
  const int64_t end = rk_min64((y + rows - 1) * at->stride_h + (at->taps_h - 1) * at->dilation_h + at->offset_h + 1, at->src_h);
  const rk_mask mask = rk_first(rk_min64(RK_LANES, outputs - k));
  float *ddst = copy + grouped->plane_floats;
  if (end <= top) return;
  const int64_t vectors = rk_div_up(outputs, RK_LANES), turns = at->taps_h * rk_div_up(at->taps_w, RK_GROUPED_TAPS) * vectors;
  grouped_ahead ahead = {.src_step = grouped->ahead * at->stride_h * at->stride_w * at->src_c * (int64_t)sizeof(float) / turns,
                         .ddst_step = grouped->ahead * outputs * (int64_t)sizeof(float) / turns};
  ahead.src = (uintptr_t)(grouped->src + (n * at->src_h + end) * at->src_w * at->src_c);
  ahead.ddst = (uintptr_t)(grouped->ddst + n * at->dst_image + (y + rows) * at->dst_row);
  ahead.src += (uintptr_t)(vector * rows * at->stride_h * at->src_w * at->src_c * (int64_t)sizeof(float) / vectors);
  ahead.ddst += (uintptr_t)(vector * rows * at->dst_row * (int64_t)sizeof(float) / vectors);
  grouped_gather(grouped->src + (n * at->src_h + top) * at->src_w * at->src_c + k, (end - top) * at->src_w, at->src_c, mask, copy);
  grouped_gather(grouped->ddst + n * at->dst_image + y * at->dst_row + k, rows * at->out_w, at->dst_pixel, mask, ddst);
  for (int64_t i = 0; i < at->taps_h; i++) {
    int64_t first = y, last = y + rows;
    rk_conv_clip(i * at->dilation_h + at->offset_h, at->stride_h, at->src_h, &first, &last);
    if (first >= last) continue;
    const float *src = copy + (first * at->stride_h + i * at->dilation_h + at->offset_h - top) * grouped->row_floats;
    for (int64_t j = 0; j < at->taps_w; j += RK_GROUPED_TAPS) {
      float *sums = dweight + (i * at->taps_w + j) * at->c * outputs + k;
      const float *gradient = ddst + (first - y) * at->out_w * RK_LANES;
      const int64_t taps = rk_min64(RK_GROUPED_TAPS, at->taps_w - j);
      if (at->c == 2) grouped_weight_taps(grouped, src, gradient, last - first, j, taps, sums, mask, &ahead, 2);
      if (at->c == 4) grouped_weight_taps(grouped, src, gradient, last - first, j, taps, sums, mask, &ahead, 4);
#if RK_LANES > 8
      if (at->c == 8) grouped_weight_taps(grouped, src, gradient, last - first, j, taps, sums, mask, &ahead, 8);
#endif
    }
  }
}
