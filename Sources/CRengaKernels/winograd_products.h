/* winograd_products.h: Winograd's products of whole blocks of tiles with weights that stay in L2, in one function for all positions.
 * Included by winograd_kernels.h where the instruction set has registers for them: RK_PRODUCT_ROWS_1 and RK_PRODUCT_ROWS_2 are the tiles
 * taken at once by one vector of outputs and by two. Not here: the transforms, and the products of other shapes (winograd.c).
 *
 * Against the general tiles of convolution (16, 32, 64 channels): 0.65, 0.85 and 0.95 of the time, because nothing is decided or fetched
 * within a tile. Every output is the same chain of multiply-adds. */

/* Hides where a pointer comes from: else clang keeps one pointer a row, or offsets that take four bytes each. */
#define RK_HIDE(value) __asm__("" : "+r"(value))

/* One line of the panel into all sums: `row(i)` is where the operand of tile i lies. */
#define RK_PRODUCT_LINE(row)                                                                                                               \
  do {                                                                                                                                     \
    rk_vector weight[2];                                                                                                                   \
    for (int v = 0; v < vectors; v++) weight[v] = rk_load(panel + (line * vectors + v) * RK_LANES);                                        \
    _Pragma("clang loop unroll(full)") for (int i = 0; i < rows; i++) {                                                                    \
      const rk_vector value = rk_broadcast(*(const float *)(row(i)));                                                                      \
      for (int v = 0; v < vectors; v++) sum[i][v] = rk_fma(value, weight[v], sum[i][v]);                                                   \
    }                                                                                                                                      \
  } while (0)

/* `rows` tiles of `c` channels by a panel of `vectors` of outputs. One vector: lines of tiles are as long. `asked`: cache lines to ask for
 * with each four channels, from `wanted` on: in a burst they would wait for each other, and the products for them. */
RK_INLINE void block_products(const float *src, int64_t c, int64_t src_line, const float *panel, float *dst, int64_t dst_line,
                              const char *wanted, int64_t asked, const int rows, const int vectors) {
  rk_vector sum[rows][2];
  for (int i = 0; i < rows; i++)
    for (int v = 0; v < vectors; v++) sum[i][v] = rk_zero();
  int64_t one = src_line * (int64_t)sizeof(float), three = 3 * one;
  /* Of narrow lines the middle one is in reach of offsets of one byte, which are multiples of a float: half as many bytes of instructions
   * are one and a half times as fast. */
  const int narrow = RK_LANES * (int)sizeof(float), middle = rows / 2;
  const char *low = (const char *)src + (vectors == 1 ? middle * narrow : 0), *high = (const char *)src + 4 * one;
  RK_HIDE(one);
  RK_HIDE(three);
#define RK_NEAR(i) (low + ((i) - middle) * narrow + line * 4)
#define RK_FAR(i) (((i) < 4 ? low : high) + ((i) % 4 == 0 ? 0 : (i) % 4 == 1 ? one : (i) % 4 == 2 ? 2 * one : three) + line * 4)
  for (; c >= 4; c -= 4, low += 16, high += 16, panel += 4 * vectors * RK_LANES) {
    RK_HIDE(low);
    RK_HIDE(high);
    for (int64_t i = 0; i < asked; i++, wanted += 64) __builtin_prefetch(wanted, 0, 2);
#pragma clang loop unroll(full)
    for (int line = 0; line < 4; line++)
      if (vectors == 1) RK_PRODUCT_LINE(RK_NEAR);
      else RK_PRODUCT_LINE(RK_FAR);
  }
  for (; c > 0; c--, low += 4, high += 4, panel += vectors * RK_LANES) {
    enum { line = 0 };
    if (vectors == 1) RK_PRODUCT_LINE(RK_NEAR);
    else RK_PRODUCT_LINE(RK_FAR);
  }
#undef RK_NEAR
#undef RK_FAR
  for (int i = 0; i < rows; i++)
    for (int v = 0; v < vectors; v++) rk_store(dst + i * dst_line + v * RK_LANES, sum[i][v]);
}

RK_INLINE void all_products(const rk_winograd_products *a, const int rows, const int vectors) {
  const int64_t fours = rk_max64(a->c / 4, 1), asked = rk_div_up(a->wanted_lines, fours);
  const char *wanted = (const char *)a->wanted;
  for (int64_t position = 0; position < a->positions; position++)
    for (int64_t k = 0; k < a->k_line; k += vectors * RK_LANES)
      for (int64_t tile = 0; tile < a->tiles; tile += rows, wanted += asked * fours * 64)
        block_products(a->lines + position * a->lines_plane + tile * a->c_line, a->c, vectors == 1 ? RK_LANES : a->c_line,
                       a->packed + (position * a->k_line + k) * a->c, a->products + position * a->products_plane + tile * a->k_line + k,
                       vectors == 1 ? RK_LANES : a->k_line, wanted, asked, rows, vectors);
}

static void products_1(const rk_winograd_products *products) { all_products(products, RK_PRODUCT_ROWS_1, 1); }
static void products_2(const rk_winograd_products *products) { all_products(products, RK_PRODUCT_ROWS_2, 2); }
