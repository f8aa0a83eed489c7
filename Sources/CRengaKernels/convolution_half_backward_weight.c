/* convolution_half_backward_weight.c: backward-weight of bf16 maps by the products of forward: a tile's rows are 16 channels, its operands
 * the pixels of one image, its outputs those of ddst. Stride 1, one group; other shapes take the widened way.
 * Not here: the products (x86/avx512/convolution_half.c).
 *
 * For each image src is transposed to [C][padded pixels] and ddst packed as a panel over the same row pitch, with zeros where there is only
 * padding; then a tap is no more than an offset into the rows. Images are cut into pieces by the shape alone, each with its own sums. */
#include "convolution_half.h"
#include <string.h>

#define MOST_PIECES 16
/* Bytes of one image's operands: what stays in L2. */
#define MOST_OPERAND_BYTES (INT64_C(1) << 20)

/* One image's geometry. */
typedef struct layout {
  int64_t pitch, pixels, steps; /* padded pixels of a row; ddst's pixels in that pitch; steps of 32 of them */
  int64_t line;                 /* bf16 numbers of one channel's transposed row */
  int64_t channels, outputs;    /* rounded up to 16 */
  int64_t taps, sums;           /* floats of a piece's sums: [tap][channels][outputs] and dbias */
} layout;

static layout layout_of(const rk_conv_shape *shape) {
  layout l = {.pitch = shape->w + shape->pad_left + shape->pad_right, .taps = shape->r * shape->s};
  l.pixels = (shape->oh - 1) * l.pitch + shape->ow;
  l.steps = rk_div_up(l.pixels, RK_HALF_STEP);
  const int64_t last_tap = (shape->r - 1) * shape->dilation_h * l.pitch + (shape->s - 1) * shape->dilation_w;
  const int64_t padded = (shape->h + shape->pad_top + shape->pad_bottom) * l.pitch;
  l.line = rk_div_up(rk_max64(l.steps * RK_HALF_STEP + last_tap, padded), RK_HALF_STEP) * RK_HALF_STEP + RK_HALF_STEP;
  l.channels = rk_div_up(shape->c, RK_HALF_ROWS) * RK_HALF_ROWS;
  l.outputs = rk_div_up(shape->k, RK_HALF_LANES) * RK_HALF_LANES;
  l.sums = l.taps * l.channels * l.outputs + l.outputs;
  return l;
}

static int64_t thread_floats(const layout *l) { return (l->line * l->channels + l->steps * RK_HALF_STEP * l->outputs) / 2; }

int rk_half_backward_weight_plan(rk_conv_plan *plan) {
  const rk_conv_shape *shape = &plan->shape;
  if (shape->groups != 1 || shape->stride_h != 1 || shape->stride_w != 1) return -1;
  const int64_t most = MOST_OPERAND_BYTES / 2, sizes[] = {shape->h + shape->pad_top + shape->pad_bottom, shape->c + shape->k + 32};
  const int64_t columns = shape->w + shape->pad_left + shape->pad_right;
  if (columns > most || rk_conv_addressable(sizes, 2) == 0 || rk_conv_addressable(sizes, 2) > most / columns) return -1;
  const layout l = layout_of(shape);
  const int64_t sums[] = {l.taps, l.channels, l.outputs, MOST_PIECES + 1};
  if (rk_conv_addressable(sizes, 2) == 0 || rk_conv_addressable(sums, 4) == 0) return -1;
  plan->block[0] = rk_min64(MOST_PIECES, shape->n);
  plan->scratch_floats = (size_t)(plan->block[0] * l.sums + plan->threads * thread_floats(&l));
  return 0;
}

static void transpose(const rk_conv_shape *shape, const layout *l, const uint16_t *src, uint16_t *lines) {
  for (int64_t h = 0; h < shape->h; h++) {
    const int64_t first = (h + shape->pad_top) * l->pitch + shape->pad_left;
    for (int64_t c = 0; c < shape->c; c++) {
      const uint16_t *from = src + h * shape->w * shape->c + c;
      uint16_t *to = lines + c * l->line + first;
      for (int64_t w = 0; w < shape->w; w++) to[w] = from[w * shape->c];
    }
  }
}

/* Panels of two vectors, then perhaps one of one: [step][vector][16 pairs][16 outputs][2]. Padding was zeroed once. */
static void pack_gradient(const rk_conv_shape *shape, const layout *l, const uint16_t *ddst, uint16_t *panels) {
  const int64_t vectors = l->outputs / RK_HALF_LANES;
  for (int64_t y = 0; y < shape->oh; y++)
    for (int64_t x = 0; x < shape->ow; x++, ddst += shape->k) {
      const int64_t pixel = y * l->pitch + x, step = pixel / RK_HALF_STEP, at = pixel % RK_HALF_STEP;
      for (int64_t v = 0; v < vectors; v++) {
        const int64_t panel = v / 2 * 2, width = rk_min64(2, vectors - panel);
        const int64_t count = rk_min64(RK_HALF_LANES, shape->k - v * RK_HALF_LANES);
        uint16_t *to = panels + (panel * l->steps + step * width + v % 2) * RK_HALF_PANEL + at / 2 * 2 * RK_HALF_LANES + at % 2;
        for (int64_t k = 0; k < count; k++) to[2 * k] = ddst[v * RK_HALF_LANES + k];
      }
    }
}

/* sums += the products of one image. Tiles are pairs of a tap and 16 channels. */
static void add_image(const rk_conv_shape *shape, const layout *l, const rk_half_kernels *kernels, const uint16_t *lines,
                      const uint16_t *panels, float *sums) {
  float products[RK_HALF_TILES * RK_HALF_ROWS * RK_HALF_LANES] __attribute__((aligned(64)));
  const int64_t tiles = l->taps * (l->channels / RK_HALF_ROWS), rows = RK_HALF_ROWS;
  rk_half_block block = {.src_row = 2 * l->line, .outer = 1, .inner = 1, .steps = l->steps, .sums = products};
  for (int64_t k = 0; k < l->outputs; k += 2 * RK_HALF_LANES) {
    block.vectors = l->outputs - k > RK_HALF_LANES ? 2 : 1;
    block.panel = panels + k * l->steps * RK_HALF_STEP;
    const int64_t at_once = RK_HALF_TILES / block.vectors, lanes = block.vectors * RK_HALF_LANES;
    for (int64_t first = 0; first < tiles; first += at_once) {
      block.tiles = (int32_t)rk_min64(at_once, tiles - first);
      for (int64_t tile = 0; tile < block.tiles; tile++) {
        const int64_t tap = (first + tile) % l->taps, c = (first + tile) / l->taps * rows;
        const int64_t offset = tap / shape->s * shape->dilation_h * l->pitch + tap % shape->s * shape->dilation_w;
        block.src[tile] = (const char *)(lines + c * l->line + offset);
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

static void add_bias(const rk_conv_shape *shape, const uint16_t *ddst, float *sums) {
  for (int64_t pixel = 0; pixel < shape->oh * shape->ow; pixel++)
    for (int64_t k = 0; k < shape->k; k++) {
      const uint32_t bits = (uint32_t)ddst[pixel * shape->k + k] << 16;
      float value;
      memcpy(&value, &bits, sizeof value);
      sums[k] += value;
    }
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
    uint16_t *lines = (uint16_t *)(args->scratch + pieces * l.sums + own.tid * thread_floats(&l)), *panels = lines + l.line * l.channels;
    memset(lines, 0, (size_t)thread_floats(&l) * sizeof(float));
    rk_share(pieces, &own, &begin, &end);
    kernels->begin(RK_HALF_ROWS);
    for (int64_t piece = begin; piece < end; piece++) {
      float *sums = args->scratch + piece * l.sums;
      int64_t n, last;
      memset(sums, 0, (size_t)l.sums * sizeof *sums);
      rk_share(shape->n, &(rk_team){.tid = (int32_t)piece, .nth = (int32_t)pieces}, &n, &last);
      for (; n < last; n++) {
        const uint16_t *ddst = (const uint16_t *)args->ddst + n * shape->oh * shape->ow * shape->k;
        transpose(shape, &l, (const uint16_t *)args->src + n * shape->h * shape->w * shape->c, lines);
        pack_gradient(shape, &l, ddst, panels);
        add_image(shape, &l, kernels, lines, panels, sums);
        if (args->dbias) add_bias(shape, ddst, sums + l.taps * l.channels * l.outputs);
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
