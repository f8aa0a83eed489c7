/* rk_convolution.h: convolution (and the matrix product, its 1x1 case), forward and both backward passes.
 * Not here: the choice of what to fuse (the plan's business) and any allocation: callers ask for sizes and bring buffers.
 *
 * Letters: N images, H x W source map, C source channels, K output channels, R x S filter, OH x OW output map, G groups.
 *   src [N,H,W,C], dst [N,OH,OW,K], weight [R,S,C/G,K] (K fastest, its outputs ordered by group), bias [K].
 * A linear layer is the convolution of a [N,1,1,C] map with a 1x1 filter. */
#ifndef RK_CONVOLUTION_H
#define RK_CONVOLUTION_H
#include "rk_runtime.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct rk_conv_shape {
  int64_t n, h, w, c, k, r, s;
  int64_t stride_h, stride_w;
  int64_t pad_top, pad_left, pad_bottom, pad_right;
  int64_t dilation_h, dilation_w;
  int64_t groups;
  int64_t oh, ow; /* (h + pad_top + pad_bottom - dilation_h (r - 1) - 1) / stride_h + 1, and likewise */
} rk_conv_shape;

typedef enum rk_conv_pass { RK_CONV_FORWARD = 0, RK_CONV_BACKWARD_DATA = 1, RK_CONV_BACKWARD_WEIGHT = 2 } rk_conv_pass;

/* The algorithms; values are stable. Which of them apply to a shape is asked by rk_conv_plan_init; the reference applies to all. */
typedef enum rk_conv_algorithm {
  RK_CONV_AUTO = 0,
  RK_CONV_REFERENCE = 1,
  RK_CONV_DIRECT = 2,    /* implicit matrix product over packed weight panels */
  RK_CONV_DEPTHWISE = 3, /* C = K = groups */
  RK_CONV_WINOGRAD_F2 = 4,
  RK_CONV_WINOGRAD_F4 = 5,
  RK_CONV_BF16 = 6,       /* bf16 maps only: implicit product of bf16 operands, where the instruction set has one */
  RK_CONV_STREAM = 7,     /* forward, 1x1: the product of a few pixels with weights that are read once, from memory */
  RK_CONV_STREAM_BF16 = 8, /* the same with weights rounded to bf16, under maps of any type: under f32 only where it is forced */
  RK_CONV_GROUPED = 9      /* as many channels as outputs in each group, a power of two: vectors of several groups' outputs, of 8 lanes and 16 */
} rk_conv_algorithm;

/* Everything decided about one pass over one shape, before any data: plain data, copyable. */
typedef struct rk_conv_plan {
  rk_conv_shape shape;
  rk_conv_pass pass;
  rk_conv_algorithm algorithm;
  rk_isa isa;
  rk_type type; /* of the maps that the pass reads and writes */
  int32_t threads;
  int32_t alone;         /* the pass runs on one thread, as part of a band: nothing is cut for a team */
  size_t packed_floats;  /* size of the packed weights (0: this pass needs none, pass weight itself) */
  size_t scratch_floats; /* size of the scratch buffer that a run needs; contents never outlive the run */
  int64_t images;        /* widened to f32 at once: bf16 maps by an f32 algorithm; 0: none */
  int32_t pools;         /* whether the forward pass can pool its result: rk_conv_forward_args.pool */
  int32_t adds;          /* of RK_CONV_ADDS_FEWER and RK_CONV_ADDS_MEAN */
  int64_t block[8];      /* the algorithm's own block sizes */
} rk_conv_plan;

/* Fills `plan`. type: of all maps of the pass (src, dst, add and their gradients). algorithm: RK_CONV_AUTO picks the first of the ordered
 * list that applies; any other is forced.
 * threads: those that a run may use; 0 = one, in a band: then sums over the batch are not cut into pieces.
 * Returns 0; or -1 where the algorithm does not apply to this shape, pass, type or isa, or a size overflows. */
int rk_conv_plan_init(rk_conv_plan *plan, const rk_conv_shape *shape, rk_conv_pass pass, rk_type type, rk_conv_algorithm algorithm,
                      rk_isa isa, int32_t threads);
/* The same with the fastest algorithm on this machine: those that apply run once for the process on numbers of the shape's size (some
 * 0.1 s; memory for the tensors: without it the list's choice stays), later calls recall. Calls wait for each other; not in a child that
 * forked meanwhile. */
int rk_conv_plan_tuned(rk_conv_plan *plan, const rk_conv_shape *shape, rk_conv_pass pass, rk_type type, rk_isa isa,
                       int32_t threads);
const char *rk_conv_algorithm_name(rk_conv_algorithm algorithm);

/* Packs weight [R,S,C/G,K] for a forward or backward-data plan: packed[plan->packed_floats]. */
typedef struct rk_conv_pack_args {
  const rk_conv_plan *plan;
  const float *weight;
  float *packed;
  const double *scale; /* forward plans only: NULL, or [K]: weights are packed as if each had been multiplied by its output's factor, in
                        * double and rounded once (a batch norm folded into the weights before it) */
  int64_t first, channels; /* channels 0: all. Else weight is [R,S,channels,K], source channels [first, first + channels) alone, and only
                            * what depends on those is packed: where rk_conv_packs_channels says so. */
} rk_conv_pack_args;
void rk_conv_pack(const void *args, const rk_team *team);
/* Whether weights can be packed some source channels at a time: the packed bits are those of all at once. */
int rk_conv_packs_channels(const rk_conv_plan *plan);

typedef enum rk_activation {
  RK_ACTIVATION_NONE = 0,
  RK_ACTIVATION_RELU = 1,
  RK_ACTIVATION_PRELU = 2,
  RK_ACTIVATION_CLIP = 3,      /* min(max(x, slope[0]), slope[1]) */
  RK_ACTIVATION_HARD_SWISH = 4 /* x min(max(x / 6 + 1/2, 0), 1) */
} rk_activation;

/* What the forward pass of an algorithm can add besides one map of all outputs: see rk_conv_forward_args. */
enum { RK_CONV_ADDS_FEWER = 1, RK_CONV_ADDS_MEAN = 2 };

/* dst = activation(conv(src, weight) + bias + add), or the largest of each 2x2 pixels of it. */
typedef struct rk_conv_forward_args {
  const rk_conv_plan *plan;
  const void *src;     /* [N,H,W,C] */
  const float *packed; /* packed weights, or weight itself where packed_floats = 0 */
  const float *bias;   /* [K] or NULL */
  const void *add;     /* [N,OH,OW,K] or NULL; may be dst itself */
  const void *second;  /* where RK_CONV_ADDS_MEAN: NULL, or [N,OH,OW,K], and (add + second) / 2 is added; may be dst; not with pool */
  int64_t add_c;       /* where RK_CONV_ADDS_FEWER: 0, or the channels of add, which are the first outputs'; not with pool or second */
  const float *slope;  /* [K] for RK_ACTIVATION_PRELU, [2] for RK_ACTIVATION_CLIP, else not read */
  rk_activation activation;
  int32_t pool;   /* 1, where plan->pools: dst is [N,OH/2,OW/2,K], an odd last row or column is dropped; NaN wins; dst must not be add */
  void *dst;      /* [N,OH,OW,K]; must not overlap src */
  float *scratch; /* plan->scratch_floats */
} rk_conv_forward_args;
void rk_conv_forward(const void *args, const rk_team *team);

/* dsrc = conv^T(ddst, weight) + add. */
typedef struct rk_conv_backward_data_args {
  const rk_conv_plan *plan;
  const void *ddst;    /* [N,OH,OW,K] */
  const float *packed; /* packed for this plan */
  const void *add;     /* [N,H,W,C] or NULL; may be dsrc itself (accumulation) */
  void *dsrc;          /* [N,H,W,C] */
  float *scratch;
} rk_conv_backward_data_args;
void rk_conv_backward_data(const void *args, const rk_team *team);

/* dweight = the gradient of the weights, dbias = the sum of ddst over N, OH, OW: both overwritten. Same bits for any team size. */
typedef struct rk_conv_backward_weight_args {
  const rk_conv_plan *plan;
  const void *src;  /* [N,H,W,C] */
  const void *ddst; /* [N,OH,OW,K] */
  float *dweight;   /* [R,S,C/G,K] */
  float *dbias;     /* [K] or NULL */
  float *scratch;
} rk_conv_backward_weight_args;
void rk_conv_backward_weight(const void *args, const rk_team *team);

#ifdef __cplusplus
}
#endif
#endif
