/* image.c: pixels of the caller to the network's layout and back, and the augmentation of one image.
 * Not here: which crop and which flip (RengaData draws them). */
#include "element.h"
#include "loops.h"
#include "rk_image.h"
#include <string.h>

/* Pixels that are turned from planes to rows at once, and what threads share. */
enum { BLOCK = 64 };

static float value_or(const float *values, int64_t i, float otherwise) { return values == NULL ? otherwise : values[i]; }

static inline float element_at(const void *src, rk_element element, int64_t at) {
  return element == RK_ELEMENT_U8 ? (float)((const uint8_t *)src)[at] : ((const float *)src)[at];
}

/* ---- Import ---- */

/* What interleaved pixels are imported by: periodic arrays, made once for all of a thread's rows. */
typedef struct periodic_numbers {
  int64_t period;
  const float *center, *factor, *zero;
  float room[3][RK_MAX_PERIOD];
} periodic_numbers;

static const float *periodic_or(int64_t c, const float *values, float otherwise, float *room) {
  if (values != NULL) return rk_periodic(c, values, room);
  for (int64_t i = 0; i < rk_period(c); i++) room[i] = otherwise;
  return room;
}

static void make_periodic(periodic_numbers *numbers, const rk_image_import_args *a) {
  numbers->period = rk_period(a->c);
  numbers->center = periodic_or(a->c, a->mean, 0, numbers->room[0]);
  numbers->factor = periodic_or(a->c, a->scale, 1, numbers->room[1]);
  numbers->zero = periodic_or(a->c, NULL, 0, numbers->room[2]);
}

/* `count` elements of interleaved pixels, from the first channel of one on, to element `to` of dst. */
static void import_interleaved(const rk_image_import_args *a, const periodic_numbers *by, const void *src, int64_t count, int64_t to) {
  float room[RK_MAX_PERIOD];
  const rk_loops *loops = rk_loops_of(rk_isa_best(), RK_F32);
  /* In one go; or, where it is rounded afterwards, some whole periods at a time. */
  const int64_t step = a->type == RK_F32 ? count : RK_MAX_PERIOD / by->period * by->period;
  for (int64_t at = 0; at < count; at += step) {
    const int64_t part = count - at < step ? count - at : step;
    float *dst = a->type == RK_F32 ? (float *)a->dst + to + at : room;
    if (a->element == RK_ELEMENT_U8)
      loops->bytes(&(rk_bytes_loop){part, by->period, (const uint8_t *)src + at, by->center, by->factor, dst});
    else
      loops->affine(&(rk_affine_loop){.count = part, .period = by->period, .src = (const float *)src + at,
                                      .center = by->center, .scale = by->factor, .shift = by->zero, .dst = dst});
    if (dst == room) rk_loops_of(rk_isa_best(), a->type)->narrow(part, room, rk_to(a->dst, a->type, to + at));
  }
}

/* `count` pixels, step_w bytes apart, with channels step_c apart, to element `to` of dst: channel by channel. */
static void import_scattered(const rk_image_import_args *a, const char *src, int64_t count, int64_t step_w, int64_t step_c, int64_t to) {
  for (int64_t c = 0; c < a->c; c++, src += step_c) {
    const float mean = value_or(a->mean, c, 0), scale = value_or(a->scale, c, 1);
    void *dst = rk_to(a->dst, a->type, to + c);
    if (a->element == RK_ELEMENT_U8) {
      for (int64_t p = 0; p < count; p++) rk_put(dst, a->type, p * a->c, ((float)(uint8_t)src[p * step_w] - mean) * scale);
    } else {
      for (int64_t p = 0; p < count; p++) {
        float value;
        memcpy(&value, src + p * step_w, sizeof value);
        rk_put(dst, a->type, p * a->c, (value - mean) * scale);
      }
    }
  }
}

static int64_t bytes_of(rk_element element) { return element == RK_ELEMENT_U8 ? 1 : (int64_t)sizeof(float); }

static rk_strides strides_of(const rk_image_import_args *a) {
  const int64_t bytes = bytes_of(a->element), image = a->h * a->w * a->c * bytes;
  if (a->layout == RK_LAYOUT_STRIDED) return a->strides;
  if (a->layout == RK_LAYOUT_NCHW) return (rk_strides){image, a->w * bytes, bytes, a->h * a->w * bytes};
  return (rk_strides){image, a->w * a->c * bytes, a->c * bytes, bytes};
}

/* Whether in each row one pixel follows the other, channel behind channel; what lies an axis of one apart does not matter. */
static int is_interleaved(int64_t w, int64_t c, rk_element element, rk_strides strides) {
  return (c == 1 || strides.c == bytes_of(element)) && (w == 1 || strides.w == c * bytes_of(element));
}

/* Whether vectors can be loaded: of floats that lie where floats do, and of so many channels as a period takes. */
static int has_vectors(const rk_image_import_args *a, rk_strides strides) {
  const uintptr_t places = (uintptr_t)a->src | (uintptr_t)strides.n | (uintptr_t)strides.h;
  return rk_period(a->c) <= RK_MAX_PERIOD && (a->element == RK_ELEMENT_U8 || places % sizeof(float) == 0);
}

void rk_image_import(const void *args, const rk_team *team) {
  const rk_image_import_args *a = args;
  const rk_strides strides = strides_of(a);
  const int interleaved = is_interleaved(a->w, a->c, a->element, strides) && has_vectors(a, strides);
  const int64_t step_w = interleaved ? a->c * bytes_of(a->element) : strides.w;
  /* Rows and then images that follow one another are one long row. */
  int64_t images = a->n, rows = a->h, columns = a->w;
  if (rows == 1 || strides.h == columns * step_w) columns *= rows, rows = 1;
  if (rows == 1 && (images == 1 || strides.n == columns * step_w)) columns *= images, images = 1;
  const int64_t blocks = (columns + BLOCK - 1) / BLOCK;
  int64_t begin, end;
  rk_share(images * rows * blocks, team, &begin, &end);
  periodic_numbers numbers;
  if (interleaved) make_periodic(&numbers, a);
  for (int64_t item = begin; item < end;) {
    /* As much of a row as there is; or a block, a column of which stays in the first-level cache. */
    const int64_t row = item / blocks, next = interleaved ? (row + 1) * blocks : item + 1, stop = next < end ? next : end;
    const int64_t first = item % blocks * BLOCK, wanted = (stop - row * blocks) * BLOCK, last = wanted < columns ? wanted : columns;
    const char *src = (const char *)a->src + row / rows * strides.n + row % rows * strides.h + first * step_w;
    const int64_t to = (row * columns + first) * a->c;
    if (interleaved) import_interleaved(a, &numbers, src, (last - first) * a->c, to);
    else import_scattered(a, src, last - first, step_w, strides.c, to);
    item = stop;
  }
}

void rk_image_gather(int64_t n, int64_t h, int64_t w, int64_t c, const void *src, rk_element element, rk_strides strides, void *dst) {
  const size_t bytes = (size_t)bytes_of(element);
  char *to = dst;
  for (int64_t row = 0; row < n * h; row++) {
    const char *from = (const char *)src + row / h * strides.n + row % h * strides.h;
    if (is_interleaved(w, c, element, strides)) {
      memcpy(to, from, (size_t)(w * c) * bytes);
      to += (size_t)(w * c) * bytes;
      continue;
    }
    for (int64_t x = 0; x < w; x++)
      for (int64_t k = 0; k < c; k++, to += bytes) memcpy(to, from + x * strides.w + k * strides.c, bytes);
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
