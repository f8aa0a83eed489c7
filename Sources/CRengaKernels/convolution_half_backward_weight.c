/* convolution_half_backward_weight.c: backward-weight of bf16 maps by the products of forward: a tile's rows are 16 channels, its operands
 * the pixels of a few images, its outputs those of ddst. One group; other shapes take the widened way.
 * Not here: the products (x86/avx512/convolution_half.c), the exchange of rows and columns before them (convolution_half_maps.c there).
 *
 * For each image src is transposed to [C][padded pixels] and ddst packed as a panel over the same row pitch, with zeros where there is only
 * padding; then a tap is no more than an offset into the rows. With a stride, padded pixels are dealt out to as many planes as it has
 * phases, of which each tap sees one. Images are cut into pieces by the shape alone, each with its own sums.
 *
 * Zeros of the padding times an infinite number or a NaN would be NaNs where no tap sees it: such numbers are left out of the operands and
 * their products added one by one. */
#include "convolution_half.h"
#include "element.h"
#include <string.h>

#define MOST_PIECES 16
/* Bytes of one image's operands: what stays in L2. */
#define MOST_OPERAND_BYTES (INT64_C(1) << 20)
/* Bytes of operands of the images whose products are summed at once. */
#define BLOCK_BYTES (INT64_C(192) << 10)

/* One image's geometry. */
typedef struct layout {
  int64_t phases_h, phases_w;
  int64_t rows, pitch, pixels, steps; /* of a plane; its padded pixels of a row; ddst's pixels in that pitch; steps of 32 of them */
  int64_t plane, line;                /* bf16 numbers of one channel's plane, of all of its planes */
  int64_t channels, outputs;          /* rounded up to 16 */
  int64_t taps, sums;                 /* floats of a piece's sums: [tap][channels][outputs] and dbias */
  int64_t lines_image, panels_image;  /* bf16 numbers of an image's operands */
  int64_t images;                     /* summed at once */
} layout;

static layout layout_of(const rk_conv_shape *shape) {
  const int64_t reach_h = (shape->r - 1) * shape->dilation_h, reach_w = (shape->s - 1) * shape->dilation_w;
  layout l = {.phases_h = rk_min64(shape->stride_h, reach_h + 1), .phases_w = rk_min64(shape->stride_w, reach_w + 1)};
  l.rows = shape->oh + reach_h / shape->stride_h;
  l.pitch = shape->ow + reach_w / shape->stride_w;
  l.taps = shape->r * shape->s;
  l.pixels = (shape->oh - 1) * l.pitch + shape->ow;
  l.steps = rk_div_up(l.pixels, RK_HALF_STEP);
  const int64_t last_tap = reach_h / shape->stride_h * l.pitch + reach_w / shape->stride_w;
  l.plane = rk_div_up(rk_max64(l.steps * RK_HALF_STEP + last_tap, l.rows * l.pitch), RK_HALF_STEP) * RK_HALF_STEP + RK_HALF_STEP;
  l.line = l.phases_h * l.phases_w * l.plane;
  l.channels = rk_div_up(shape->c, RK_HALF_ROWS) * RK_HALF_ROWS;
  l.outputs = rk_div_up(shape->k, RK_HALF_LANES) * RK_HALF_LANES;
  l.sums = l.taps * l.channels * l.outputs + l.outputs;
  l.lines_image = l.line * l.channels;
  l.panels_image = l.steps * RK_HALF_STEP * l.outputs;
  l.images = rk_max64(rk_min64(BLOCK_BYTES / 2 / (l.lines_image + l.panels_image), shape->n), 1);
  return l;
}

static int64_t thread_floats(const layout *l) { return l->images * (l->lines_image + l->panels_image) / 2; }

int rk_half_backward_weight_plan(rk_conv_plan *plan) {
  const rk_conv_shape *shape = &plan->shape;
  if (shape->groups != 1) return -1;
  const int64_t rows = shape->h + shape->pad_top + shape->pad_bottom + shape->stride_h;
  const int64_t columns = shape->w + shape->pad_left + shape->pad_right + shape->stride_w;
  const int64_t most = MOST_OPERAND_BYTES / 2, sizes[] = {rows, shape->c + shape->k + 32};
  if (columns > most || rk_conv_addressable(sizes, 2) == 0 || rk_conv_addressable(sizes, 2) > most / columns) return -1;
  const layout l = layout_of(shape);
  const int64_t sums[] = {l.taps, l.channels, l.outputs, MOST_PIECES + 1};
  if (rk_conv_addressable(sums, 4) == 0) return -1;
  plan->block[0] = plan->alone ? 1 : rk_min64(MOST_PIECES, shape->n);
  plan->scratch_floats = (size_t)(plan->block[0] * l.sums + plan->threads * thread_floats(&l));
  return 0;
}

/* ---- Operands ---- */

/* One source row of one phase of columns: all channels, into [channel][plane]; whether one of its numbers is infinite or NaN. */
static int transpose_row(const rk_conv_shape *shape, const layout *l, const rk_half_kernels *kernels, const uint16_t *row, int64_t phase,
                          uint16_t *to) {
  const int64_t stride = shape->stride_w, skipped = rk_max64(rk_div_up(shape->pad_left - phase, stride), 0);
  const int64_t end = rk_min64(rk_div_up(shape->w + shape->pad_left - phase, stride), l->pitch);
  rk_half_transpose t = {.src_pixel = stride * shape->c, .dst_row = l->line};
  int wild = 0;
  for (int64_t x = skipped; x < end; x += RK_HALF_STEP) {
    t.pixels = (int32_t)rk_min64(RK_HALF_STEP, end - x);
    for (int64_t c = 0; c < shape->c; c += RK_HALF_ROWS) {
      t.channels = (int32_t)rk_min64(RK_HALF_ROWS, shape->c - c);
      t.src = row + (x * stride + phase - shape->pad_left) * shape->c + c;
      t.dst = to + c * l->line + x;
      wild |= kernels->transpose(&t);
    }
  }
  return wild;
}

static int transpose(const rk_conv_shape *shape, const layout *l, const rk_half_kernels *kernels, const uint16_t *src, uint16_t *lines) {
  int wild = 0;
  for (int64_t h = 0; h < shape->h; h++) {
    const int64_t at = h + shape->pad_top, phase = at % shape->stride_h, row = at / shape->stride_h;
    if (phase >= l->phases_h || row >= l->rows) continue;
    for (int64_t p = 0; p < l->phases_w; p++)
      wild |= transpose_row(shape, l, kernels, src + h * shape->w * shape->c, p,
                            lines + (phase * l->phases_w + p) * l->plane + row * l->pitch);
  }
  return wild;
}

/* Panels of two vectors, then perhaps one of one: [step][vector][16 pairs][16 outputs][2] of all images. Padding was zeroed. */
static int pack_gradient(const rk_conv_shape *shape, const layout *l, const rk_half_kernels *kernels, const uint16_t *ddst, int64_t image,
                         uint16_t *panels) {
  const int64_t vectors = l->outputs / RK_HALF_LANES;
  int wild = 0;
  for (int64_t v = 0; v < vectors; v++) {
    const int64_t panel = v / 2 * 2, width = rk_min64(2, vectors - panel);
    rk_half_pairs pairs = {.src_pixel = shape->k, .pixels = shape->ow, .dst_step = width * RK_HALF_PANEL};
    pairs.outputs = (int32_t)rk_min64(RK_HALF_LANES, shape->k - v * RK_HALF_LANES);
    pairs.dst = panels + (panel * l->images + image * width) * l->steps * RK_HALF_PANEL + v % 2 * RK_HALF_PANEL;
    for (int64_t y = 0; y < shape->oh; y++) {
      pairs.src = ddst + y * shape->ow * shape->k + v * RK_HALF_LANES;
      pairs.first = y * l->pitch;
      wild |= kernels->pairs(&pairs);
    }
  }
  return wild;
}

/* ---- Products ---- */

/* Where the source of a tap begins in a channel's line. */
static int64_t tap_offset(const rk_conv_shape *shape, const layout *l, int64_t tap) {
  const int64_t r = tap / shape->s * shape->dilation_h, s = tap % shape->s * shape->dilation_w;
  const int64_t phase = r % shape->stride_h * l->phases_w + s % shape->stride_w;
  return phase * l->plane + r / shape->stride_h * l->pitch + s / shape->stride_w;
}

/* sums += the products of `images` images. Tiles are pairs of a tap and 16 channels. */
static void add_images(const rk_conv_shape *shape, const layout *l, const rk_half_kernels *kernels, int64_t images, const uint16_t *lines,
                       const uint16_t *panels, float *sums) {
  float products[RK_HALF_TILES * RK_HALF_ROWS * RK_HALF_LANES] __attribute__((aligned(64)));
  const int64_t tiles = l->taps * (l->channels / RK_HALF_ROWS), rows = RK_HALF_ROWS;
  rk_half_block block = {
      .src_row = 2 * l->line, .outer = images, .outer_step = 2 * l->lines_image, .inner = 1, .steps = l->steps, .sums = products};
  for (int64_t k = 0; k < l->outputs; k += 2 * RK_HALF_LANES) {
    block.vectors = l->outputs - k > RK_HALF_LANES ? 2 : 1;
    block.panel = panels + k * l->images * l->steps * RK_HALF_STEP;
    const int64_t at_once = RK_HALF_TILES / block.vectors, lanes = block.vectors * RK_HALF_LANES;
    for (int64_t first = 0; first < tiles; first += at_once) {
      block.tiles = (int32_t)rk_min64(at_once, tiles - first);
      for (int64_t tile = 0; tile < block.tiles; tile++) {
        const int64_t tap = (first + tile) % l->taps, c = (first + tile) / l->taps * rows;
        block.src[tile] = (const char *)(lines + c * l->line + tap_offset(shape, l, tap));
      }
      kernels->block(&block, RK_HALF_ROWS);
      for (int64_t tile = 0; tile < block.tiles; tile++) {
        const int64_t tap = (first + tile) % l->taps, c = (first + tile) / l->taps * rows;
        for (int64_t row = 0; row < rows; row++) {
          float *to = sums + (tap * l->channels + c + row) * l->outputs + k;
          const float *from = products + (tile * rows + row) * lanes;
          for (int64_t i = 0; i < lanes; i++) to[i] += from[i];
        }
      }
    }
  }
}

static int is_wild(uint16_t bits) { return (bits & 0x7f80) == 0x7f80; }

static void leave_out_wild(uint16_t *operands, int64_t count) {
  for (int64_t i = 0; i < count; i++)
    if (is_wild(operands[i])) operands[i] = 0;
}

/* sums += the products of one image in which an infinite number or a NaN takes part. */
static void add_wild(const rk_conv_shape *shape, const layout *l, const rk_half_kernels *kernels, const uint16_t *src, const uint16_t *ddst,
                     float *sums) {
  for (int64_t pixel = 0; pixel < shape->oh * shape->ow; pixel++, ddst += shape->k)
    for (int64_t tap = 0; tap < l->taps; tap++) {
      const int64_t h = pixel / shape->ow * shape->stride_h + tap / shape->s * shape->dilation_h - shape->pad_top;
      const int64_t w = pixel % shape->ow * shape->stride_w + tap % shape->s * shape->dilation_w - shape->pad_left;
      const uint16_t *from = src + (h * shape->w + w) * shape->c;
      if (h < 0 || h >= shape->h || w < 0 || w >= shape->w) continue;
      if (!kernels->wild(ddst, 0, 1, shape->k) && !kernels->wild(from, 0, 1, shape->c)) continue;
      for (int64_t c = 0; c < shape->c; c++)
        for (int64_t k = 0; k < shape->k; k++)
          if (is_wild(from[c]) || is_wild(ddst[k]))
            sums[(tap * l->channels + c) * l->outputs + k] += rk_bf16_widened(from[c]) * rk_bf16_widened(ddst[k]);
    }
}

static void add_bias(const rk_conv_shape *shape, const uint16_t *ddst, float *sums) {
  for (int64_t pixel = 0; pixel < shape->oh * shape->ow; pixel++)
    for (int64_t k = 0; k < shape->k; k++)
      sums[k] += rk_bf16_widened(ddst[pixel * shape->k + k]);
}

/* The operands of `images` images; and what their infinite numbers and NaNs add to the sums. */
static void take_images(const rk_conv_backward_weight_args *args, const layout *l, const rk_half_kernels *kernels, int64_t first,
                        int64_t images, uint16_t *lines, uint16_t *panels, float *sums) {
  const rk_conv_shape *shape = &args->plan->shape;
  const int64_t src_image = shape->h * shape->w * shape->c, dst_image = shape->oh * shape->ow * shape->k;
  const int meets_zeros = l->taps > 1 || shape->pad_top > 0 || shape->pad_left > 0 || shape->pad_bottom > 0 || shape->pad_right > 0;
  int any = 0;
  for (int64_t i = 0; i < images; i++) {
    const uint16_t *src = (const uint16_t *)args->src + (first + i) * src_image;
    const uint16_t *ddst = (const uint16_t *)args->ddst + (first + i) * dst_image;
    int wild = transpose(shape, l, kernels, src, lines + i * l->lines_image);
    wild |= pack_gradient(shape, l, kernels, ddst, i, panels);
    if (args->dbias) add_bias(shape, ddst, sums + l->taps * l->channels * l->outputs);
    if (!wild || !meets_zeros) continue;
    add_wild(shape, l, kernels, src, ddst, sums);
    any = 1;
  }
  if (any) leave_out_wild(lines, images * l->lines_image);
  if (any) leave_out_wild(panels, l->images * l->panels_image);
}

void rk_half_backward_weight(const rk_conv_backward_weight_args *args, const rk_team *team) {
  const rk_conv_plan *plan = args->plan;
  const rk_conv_shape *shape = &plan->shape;
  const layout l = layout_of(shape);
  const rk_half_kernels *kernels = rk_half_kernels_of(plan->isa);
  const int64_t pieces = plan->block[0];
  int64_t begin, end;
  if (team->tid < plan->threads) {
    const rk_team own = {.tid = team->tid, .nth = team->nth < plan->threads ? team->nth : plan->threads};
    uint16_t *lines = (uint16_t *)(args->scratch + pieces * l.sums + own.tid * thread_floats(&l));
    uint16_t *panels = lines + l.images * l.lines_image;
    memset(lines, 0, (size_t)thread_floats(&l) * sizeof(float));
    rk_share(pieces, &own, &begin, &end);
    kernels->begin(RK_HALF_ROWS, 0);
    for (int64_t piece = begin; piece < end; piece++) {
      float *sums = args->scratch + piece * l.sums;
      int64_t n, last;
      memset(sums, 0, (size_t)l.sums * sizeof *sums);
      rk_share(shape->n, &(rk_team){.tid = (int32_t)piece, .nth = (int32_t)pieces}, &n, &last);
      for (int64_t images; n < last; n += images) {
        images = rk_min64(l.images, last - n);
        take_images(args, &l, kernels, n, images, lines, panels, sums);
        add_images(shape, &l, kernels, images, lines, panels, sums);
      }
    }
    kernels->end();
  }
  rk_team_barrier(team);
  rk_share(l.taps * shape->c, team, &begin, &end);
  for (int64_t row = begin; row < end; row++) {
    const int64_t at = (row / shape->c * l.channels + row % shape->c) * l.outputs;
    memcpy(args->dweight + row * shape->k, args->scratch + at, (size_t)shape->k * sizeof(float));
    for (int64_t piece = 1; piece < pieces; piece++)
      for (int64_t k = 0; k < shape->k; k++) args->dweight[row * shape->k + k] += args->scratch[piece * l.sums + at + k];
  }
  if (args->dbias && team->tid == 0)
    rk_conv_add_pieces(args->scratch + l.taps * l.channels * l.outputs, pieces, l.sums, 0, shape->k, args->dbias);
}
