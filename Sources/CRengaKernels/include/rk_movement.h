/* rk_movement.h: steps that put elements elsewhere: transposed, gathered by tables, resized by weighted neighbours.
 * The rules of types, teams and `accumulate` are those of rk_operators.h; src and dst must not overlap.
 * Not here: what makes the tables (the operators), copies of neighbouring channels (rk_operators.h: rk_channel_copy). */
#ifndef RK_MOVEMENT_H
#define RK_MOVEMENT_H
#include "rk_runtime.h"

#ifdef __cplusplus
extern "C" {
#endif

/* dst[n,c,row] (+)= src[n,row,c]: a map of pixels as one of channels, and back. */
typedef struct rk_transpose_args {
  rk_isa isa;
  rk_type type;
  int64_t n, rows, c;
  const void *src; /* [N,rows,C] */
  int32_t accumulate;
  void *dst; /* [N,C,rows] */
} rk_transpose_args;
void rk_transpose(const void *args, const rk_team *team);

/* dst[n,y,x,k] = src[n,rows[y],columns[x],channels[k]], or `value` where any of the three is below 0. */
typedef struct rk_gather_args {
  rk_isa isa;
  rk_type type;
  int64_t n, h, w, c, oh, ow, oc;
  const int32_t *rows, *columns; /* [OH], [OW] */
  const int32_t *channels;       /* [OC]; NULL = all C of them as they are */
  float value;
  const void *src; /* [N,H,W,C] */
  void *dst;       /* [N,OH,OW,OC] */
} rk_gather_args;
void rk_gather(const void *args, const rk_team *team);
/* dsrc (+)= ddst where its elements came from. */
typedef struct rk_gather_backward_args {
  rk_gather_args forward; /* src and dst are not read */
  const void *ddst;
  int32_t accumulate;
  void *dsrc;
} rk_gather_backward_args;
void rk_gather_backward(const void *args, const rk_team *team);

/* One axis of a resize: element i of the result is the sum over t < taps of weights[i taps + t] times the source's first[i] + t;
 * first[i] below 0: it is `value`. All of them lie on the source. */
typedef struct rk_resize_axis {
  int64_t taps;
  const int32_t *first;
  const float *weights;
} rk_resize_axis;
typedef struct rk_resize_args {
  rk_isa isa;
  rk_type type;
  int64_t n, h, w, c, oh, ow;
  rk_resize_axis rows, columns;
  float value;
  const void *src; /* [N,H,W,C] */
  void *dst;       /* [N,OH,OW,C] */
} rk_resize_args;
void rk_resize(const void *args, const rk_team *team);
/* dsrc (+)= the transposed map of ddst. */
typedef struct rk_resize_backward_args {
  rk_resize_args forward; /* src and dst are not read */
  const void *ddst;
  int32_t accumulate;
  void *dsrc;
} rk_resize_backward_args;
void rk_resize_backward(const void *args, const rk_team *team);

#ifdef __cplusplus
}
#endif
#endif
