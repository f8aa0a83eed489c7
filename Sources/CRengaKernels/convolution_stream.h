/* convolution_stream.h: how packed weights that are streamed lie: a head for each panel, then the panels. Shared by convolution_stream.c and
 * convolution_stream_pack.c. Not here: what a line of a panel holds (rk_conv_lines, x86/avx512/compact.h). */
#ifndef RK_CONVOLUTION_STREAM_H
#define RK_CONVOLUTION_STREAM_H
#include "convolution_internal.h"

/* A weight of a compact panel whose exponent has no code: beside `least` of the panel's head, with its sign, which stands in its place. */
typedef struct rk_stream_stray {
  int32_t line, output;
  float weight;
} rk_stream_stray;

typedef struct rk_stream_head {
  _Alignas(RK_ALIGNMENT) uint32_t exponents[RK_CONV_COMPACT_CODES]; /* the bits of each code's */
  rk_conv_lines lines;
  float least;    /* the power of two that is code 1 */
  int64_t strays; /* listed behind the lines */
} rk_stream_head;

static inline int rk_stream_is_half(const rk_conv_plan *plan) { return plan->algorithm == RK_CONV_STREAM_BF16; }
static inline int64_t rk_stream_panels(const rk_conv_shape *shape) { return rk_div_up(shape->k, RK_CONV_STREAM_LANES); }
/* From one panel to the next: compact ones leave room. */
static inline int64_t rk_stream_panel_bytes(const rk_conv_plan *plan) {
  return plan->shape.c * rk_conv_line_bytes(rk_stream_is_half(plan) ? RK_LINES_BF16 : RK_LINES_F32);
}

static inline const rk_stream_head *rk_stream_head_of(const void *packed, int64_t panel) {
  return (const rk_stream_head *)packed + panel;
}
static inline const char *rk_stream_panel_of(const rk_conv_plan *plan, const void *packed, int64_t panel) {
  return (const char *)rk_stream_head_of(packed, rk_stream_panels(&plan->shape)) + panel * rk_stream_panel_bytes(plan);
}
static inline const rk_stream_stray *rk_stream_strays_of(const rk_conv_plan *plan, const rk_stream_head *head, const char *panel) {
  return (const rk_stream_stray *)(panel + plan->shape.c * rk_conv_line_bytes(head->lines));
}
#endif
