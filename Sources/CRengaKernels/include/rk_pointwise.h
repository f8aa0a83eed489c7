/* rk_pointwise.h: functions of single elements and of pairs of them, and normalisation over neighbouring channels: what imported networks
 * use beside the operators of rk_operators.h, whose rules of types, teams, `accumulate` and in-place use hold here too.
 * Not here: what only moves elements (rk_movement.h). */
#ifndef RK_POINTWISE_H
#define RK_POINTWISE_H
#include "rk_runtime.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum rk_function {
  RK_SIGMOID = 0,      /* 1 / (1 + exp(-x)) */
  RK_TANH = 1,         /* tanh(x) */
  RK_LEAKY_RELU = 2,   /* x > 0 ? x : alpha x */
  RK_CLIP = 3,         /* min(max(x, alpha), beta) */
  RK_HARD_SIGMOID = 4, /* min(max(alpha x + beta, 0), 1) */
  RK_HARD_SWISH = 5,   /* x min(max(x / 6 + 1/2, 0), 1) */
  RK_ELU = 6,          /* x > 0 ? x : alpha (exp(x) - 1) */
  RK_SOFTPLUS = 7,     /* log(1 + exp(x)) */
  RK_SILU = 8          /* x / (1 + exp(-x)) */
} rk_function;

/* dst = f(src); a NaN stays one. dst may be src. */
typedef struct rk_pointwise_args {
  rk_isa isa;
  rk_type type;
  rk_function function;
  float alpha, beta;
  int64_t count;
  const void *src;
  void *dst;
} rk_pointwise_args;
void rk_pointwise(const void *args, const rk_team *team);

/* dsrc (+)= ddst f'(src); at the corners of clip, hard sigmoid and hard swish the slope outside, at the others' 0 that below. dsrc may be
 * ddst. */
typedef struct rk_pointwise_backward_args {
  rk_isa isa;
  rk_type type;
  rk_function function;
  float alpha, beta;
  int64_t count;
  const void *src, *ddst;
  int32_t accumulate;
  void *dsrc;
} rk_pointwise_backward_args;
void rk_pointwise_backward(const void *args, const rk_team *team);

typedef enum rk_pairing {
  RK_MULTIPLY = 0,
  RK_ADD = 1,
  RK_SUBTRACT = 2,
  RK_DIVIDE = 3,
  RK_MAXIMUM = 4, /* NaN where either is; equal elements share the gradient */
  RK_MINIMUM = 5
} rk_pairing;

/* Of one map of a pair. */
typedef struct rk_extents {
  int64_t h, w, c;
} rk_extents;

/* dst = src[0] o src[1], maps [N,h,w,c]; along each axis an extent is dst's, or 1: that one element then meets all of dst's.
 * dst may be a src of its own shape. */
typedef struct rk_arithmetic_args {
  rk_isa isa;
  rk_type type;
  rk_pairing pairing;
  int64_t n, h, w, c;
  rk_extents extents[2];
  const void *src[2];
  void *dst; /* [N,H,W,C] */
} rk_arithmetic_args;
void rk_arithmetic(const void *args, const rk_team *team);

/* dsrc (+)= the gradient of src[which], summed over what its elements met. dsrc must not overlap ddst. */
typedef struct rk_arithmetic_backward_args {
  rk_arithmetic_args forward; /* dst is not read */
  int32_t which, accumulate;
  const void *ddst; /* [N,H,W,C] */
  void *dsrc;       /* as src[which] */
} rk_arithmetic_backward_args;
void rk_arithmetic_backward(const void *args, const rk_team *team);

/* Local response normalisation (Krizhevsky et al. 2012): dst[c] = src[c] s[c]^-beta with s[c] = bias + alpha times the sum of src[i]^2 over
 * the channels c - before <= i <= c + after that exist. */
typedef struct rk_lrn_args {
  rk_isa isa;
  rk_type type;
  int64_t rows, c, before, after;
  float alpha, beta, bias;
  const void *src;
  void *dst;      /* may be src */
  float *scratch; /* rk_lrn_scratch(c, before, after) floats for each thread of the team */
} rk_lrn_args;
size_t rk_lrn_scratch(int64_t c, int64_t before, int64_t after);
void rk_lrn(const void *args, const rk_team *team);
typedef struct rk_lrn_backward_args {
  rk_lrn_args forward; /* dst is not read */
  const void *ddst;
  int32_t accumulate;
  void *dsrc; /* may be ddst */
} rk_lrn_backward_args;
void rk_lrn_backward(const void *args, const rk_team *team);

#ifdef __cplusplus
}
#endif
#endif
