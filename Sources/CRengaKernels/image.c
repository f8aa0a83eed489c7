/* image.c: pixels of the caller to the network's layout and back, and the augmentation of one image.
 * Not here: which crop and which flip (RengaData draws them). */
#include "element.h"
#include "loops.h"
#include "rk_image.h"
#include <string.h>

/* Pixels that are turned from planes to rows at once: one column of it stays within the first-level cache. */
enum { BLOCK = 64 };

static float value_or(const float *values, int64_t i, float otherwise) { return values == NULL ? otherwise : values[i]; }

static inline float element_at(const void *src, rk_element element, int64_t at) {
  return element == RK_ELEMENT_U8 ? (float)((const uint8_t *)src)[at] : ((const float *)src)[at];
}

/* ---- Import ---- */

/* `values` or, where NULL, `otherwise`, repeated up to the period; NULL where that needs more than `room`. */
static const float *periodic_or(int64_t c, const float *values, float otherwise, float *room) {
  if (values != NULL) return rk_periodic(c, values, room);
  if (rk_period(c) > RK_MAX_PERIOD) return NULL;
  for (int64_t i = 0; i < rk_period(c); i++) room[i] = otherwise;
  return room;
}

/* Rows [begin, end) of pixels that are interleaved already. False where there are so many channels that this needs the plain way. */
static int import_interleaved(const rk_image_import_args *a, int64_t begin, int64_t end) {
  float mean[RK_MAX_PERIOD], scale[RK_MAX_PERIOD], zero[RK_MAX_PERIOD] = {0};
  float room[RK_MAX_PERIOD];
  const rk_loops *loops = rk_loops_of(rk_isa_best(), RK_F32);
  const int64_t period = rk_period(a->c);
  const float *center = periodic_or(a->c, a->mean, 0, mean), *factor = periodic_or(a->c, a->scale, 1, scale);
  if (period > RK_MAX_PERIOD) return 0;
  /* In one go; or, where it is rounded afterwards, a period at a time. */
  const int64_t step = a->type == RK_F32 ? (end - begin) * a->c : period;
  for (int64_t at = begin * a->c; at < end * a->c; at += step) {
    const int64_t left = end * a->c - at, count = left < step ? left : step;
    float *dst = a->type == RK_F32 ? (float *)a->dst + at : room;
    if (a->element == RK_ELEMENT_U8) loops->bytes(&(rk_bytes_loop){count, period, (const uint8_t *)a->src + at, center, factor, dst});
    else
      loops->affine(&(rk_affine_loop){.count = count, .period = period, .src = (const float *)a->src + at,
                                      .center = center, .scale = factor, .shift = zero, .dst = dst});
    if (dst == room) rk_loops_of(rk_isa_best(), a->type)->narrow(count, room, rk_to(a->dst, a->type, at));
  }
  return 1;
}

/* Pixels [begin, end) of image n, whose source element for (pixel, channel) lies at pixel step_p + channel step_c. */
static void import_strided(const rk_image_import_args *a, int64_t n, int64_t begin, int64_t end, int64_t step_p, int64_t step_c) {
  const int64_t pixels = a->h * a->w;
  for (int64_t c = 0; c < a->c; c++) {
    const float mean = value_or(a->mean, c, 0), scale = value_or(a->scale, c, 1);
    const int64_t at = n * pixels * a->c + c * step_c;
    void *dst = rk_to(a->dst, a->type, n * pixels * a->c + c);
    if (a->element == RK_ELEMENT_U8) {
      const uint8_t *src = (const uint8_t *)a->src + at;
      for (int64_t p = begin; p < end; p++) rk_put(dst, a->type, p * a->c, ((float)src[p * step_p] - mean) * scale);
    } else {
      const float *src = (const float *)a->src + at;
      for (int64_t p = begin; p < end; p++) rk_put(dst, a->type, p * a->c, (src[p * step_p] - mean) * scale);
    }
  }
}

void rk_image_import(const void *args, const rk_team *team) {
  const rk_image_import_args *a = args;
  const int64_t pixels = a->h * a->w, blocks = (pixels + BLOCK - 1) / BLOCK;
  const int interleaved = a->layout == RK_LAYOUT_NHWC || a->c == 1;
  int64_t begin, end;
  if (interleaved) {
    rk_share(a->n * pixels, team, &begin, &end);
    if (begin >= end || import_interleaved(a, begin, end)) return;
  }
  rk_share(a->n * blocks, team, &begin, &end);
  for (int64_t item = begin; item < end; item++) {
    const int64_t first = item % blocks * BLOCK, last = first + BLOCK < pixels ? first + BLOCK : pixels;
    import_strided(a, item / blocks, first, last, interleaved ? a->c : 1, interleaved ? 1 : pixels);
  }
}

/* ---- Export ---- */

void rk_image_export(const void *args, const rk_team *team) {
  const rk_image_export_args *a = args;
  const int64_t pixels = a->h * a->w, blocks = (pixels + BLOCK - 1) / BLOCK;
  int64_t begin, end;
  if (a->layout == RK_LAYOUT_NHWC || a->c == 1) {
    rk_share_floats(a->n * pixels * a->c, team, &begin, &end);
    if (begin >= end) return;
    if (a->type != RK_F32) rk_loops_of(rk_isa_best(), a->type)->widen(end - begin, rk_at(a->src, a->type, begin), a->dst + begin);
    else if (a->dst != a->src) memcpy(a->dst + begin, rk_at(a->src, a->type, begin), (size_t)(end - begin) * sizeof *a->dst);
    return;
  }
  rk_share(a->n * blocks, team, &begin, &end);
  for (int64_t item = begin; item < end; item++) {
    const int64_t first = item % blocks * BLOCK, last = first + BLOCK < pixels ? first + BLOCK : pixels;
    const int64_t image = item / blocks * pixels * a->c;
    for (int64_t c = 0; c < a->c; c++)
      for (int64_t p = first; p < last; p++) a->dst[image + c * pixels + p] = rk_get(a->src, a->type, image + p * a->c + c);
  }
}

/* ---- Augmentation ---- */

/* Row y of the result, of which the pixels first <= x < last come from the source; channel by channel. */
static void augment_row(const rk_augment *a, int64_t y, int64_t first, int64_t last) {
  const int64_t source_y = y + a->top - a->pad;
  const int64_t step_x = a->layout == RK_LAYOUT_NHWC ? a->c : 1, step_c = a->layout == RK_LAYOUT_NHWC ? 1 : a->h * a->w;
  const int64_t row = source_y * a->w * (a->layout == RK_LAYOUT_NHWC ? a->c : 1);
  for (int64_t c = 0; c < a->c; c++) {
    const float mean = value_or(a->mean, c, 0), scale = value_or(a->scale, c, 1);
    void *dst = rk_to(a->dst, a->type, y * a->w * a->c + c);
    for (int64_t x = first; x < last; x++) {
      const int64_t source_x = (a->flip ? a->w - 1 - x : x) + a->left - a->pad;
      const float value = element_at(a->src, a->element, row + source_x * step_x + c * step_c);
      rk_put(dst, a->type, x * a->c, (value - mean) * scale);
    }
  }
}

void rk_augment_image(const rk_augment *image) {
  const rk_augment *a = image;
  /* Columns of the crop that lie on the source; mirrored, the same columns counted from the right. */
  const int64_t shift = a->left - a->pad;
  int64_t first = shift < 0 ? -shift : 0, last = shift > 0 ? a->w - shift : a->w;
  if (first > a->w) first = a->w;
  if (last < first) last = first;
  if (a->flip) {
    const int64_t mirrored = a->w - last;
    last = a->w - first;
    first = mirrored;
  }
  for (int64_t y = 0; y < a->h; y++) {
    const int64_t source_y = y + a->top - a->pad;
    const int inside = source_y >= 0 && source_y < a->h;
    const int64_t from = inside ? first : a->w, to = inside ? last : a->w;
    const int64_t at = y * a->w * a->c;
    memset(rk_to(a->dst, a->type, at), 0, (size_t)rk_bytes_of(a->type, from * a->c));
    memset(rk_to(a->dst, a->type, at + to * a->c), 0, (size_t)rk_bytes_of(a->type, (a->w - to) * a->c));
    if (inside) augment_row(a, y, from, to);
  }
}
