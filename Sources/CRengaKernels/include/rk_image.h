/* rk_image.h: from the caller's pixels to a network's input and back: layouts, u8, normalisation, augmentation.
 * Not here: files and sets of images (RengaData). */
#ifndef RK_IMAGE_H
#define RK_IMAGE_H
#include "rk_runtime.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum rk_element { RK_ELEMENT_F32 = 0, RK_ELEMENT_U8 = 1 } rk_element;
typedef enum rk_layout { RK_LAYOUT_NHWC = 0, RK_LAYOUT_NCHW = 1, RK_LAYOUT_STRIDED = 2 /* sources only */ } rk_layout;

/* Bytes from one image, row, column and channel to the next: of any sign, also 0. */
typedef struct rk_strides {
  int64_t n, h, w, c;
} rk_strides;

/* dst [N,H,W,C] = (src - mean[c]) * scale[c]; src f32 or u8 in any layout and of any alignment. */
typedef struct rk_image_import_args {
  int64_t n, h, w, c;
  const void *src;
  rk_element element;
  rk_layout layout;
  const float *mean, *scale; /* [C] or NULL: 0, 1 */
  rk_type type;              /* of dst */
  void *dst;
  rk_strides strides; /* RK_LAYOUT_STRIDED only; src is then element (0, 0, 0, 0) */
} rk_image_import_args;
void rk_image_import(const void *args, const rk_team *team);

/* dst [N,H,W,C], dense, of src's own type = src. */
void rk_image_gather(int64_t n, int64_t h, int64_t w, int64_t c, const void *src, rk_element element, rk_strides strides, void *dst);

/* dst in `layout`, f32 = src [N,H,W,C]. */
typedef struct rk_image_export_args {
  int64_t n, h, w, c;
  rk_type type; /* of src */
  const void *src;
  rk_layout layout;
  float *dst;
} rk_image_export_args;
void rk_image_export(const void *args, const rk_team *team);

/* One training image: crop of the zero-padded source at (top, left), mirrored where flip, normalised: dst [H,W,C].
 * top, left in [0, 2 pad]; source pixel = (y + top - pad, x + left - pad), 0 AFTER normalisation (the mean colour) outside. */
typedef struct rk_augment {
  int64_t h, w, c, pad, top, left;
  int32_t flip;
  rk_element element;
  rk_layout layout;
  const void *src;
  const float *mean, *scale; /* [C] or NULL */
  rk_type type;              /* of dst */
  void *dst;
} rk_augment;
void rk_augment_image(const rk_augment *image);

#ifdef __cplusplus
}
#endif
#endif
