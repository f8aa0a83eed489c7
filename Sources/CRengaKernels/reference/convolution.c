/* reference/convolution.c: the plain twins of convolution's three passes: the definition that every faster kernel is tested against.
 * Not here: speed. Sums are in double, loops follow the formula, and there is no packing, blocking or intrinsic. */
#include "../convolution_internal.h"
#include "../element.h"

/* Outputs summed side by side: a run of the fastest dimension, small enough for the stack. */
#define CHUNK 64

static int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }

static float activated(double value, rk_activation activation, const float *slope, int64_t k) {
  float result = (float)value;
  switch (activation) {
  case RK_ACTIVATION_NONE: return result;
  case RK_ACTIVATION_RELU: return result < 0 ? 0 : result;
  case RK_ACTIVATION_PRELU: return result < 0 ? slope[k] * result : result;
  case RK_ACTIVATION_CLIP: return result < slope[0] ? slope[0] : result > slope[1] ? slope[1] : result;
  case RK_ACTIVATION_HARD_SWISH: return result * (result < -3 ? 0 : result > 3 ? 1 : result / 6 + 0.5f);
  }
  return result;
}

/* What is added to output k of a pixel. */
static double added(const rk_conv_forward_args *args, int64_t pixel, int64_t k) {
  const rk_type type = args->plan->type;
  const int64_t c = args->add_c > 0 ? args->add_c : args->plan->shape.k;
  if (!args->add || k >= c) return 0;
  const double own = rk_get(args->add, type, pixel * c + k);
  return args->second ? (own + rk_get(args->second, type, pixel * c + k)) / 2 : own;
}

/* A weight as it is multiplied with maps of this type. */
static double weight_as(float weight, rk_type type) { return type == RK_BF16 ? rk_bf16_widened(rk_bf16_rounded(weight)) : weight; }

/* Output channels [k0, k0 + count) of one group at one output pixel. */
static void forward_pixel(const rk_conv_forward_args *args, int64_t n, int64_t oh, int64_t ow, int64_t group, int64_t k0, int64_t count) {
  const rk_conv_shape *shape = &args->plan->shape;
  const rk_type type = args->plan->type;
  int64_t group_c = shape->c / shape->groups;
  double sum[CHUNK] = {0};
  for (int64_t r = 0; r < shape->r; r++) {
    int64_t h = oh * shape->stride_h + r * shape->dilation_h - shape->pad_top;
    if (h < 0 || h >= shape->h) continue;
    for (int64_t s = 0; s < shape->s; s++) {
      int64_t w = ow * shape->stride_w + s * shape->dilation_w - shape->pad_left;
      if (w < 0 || w >= shape->w) continue;
      const void *src = rk_at(args->src, type, ((n * shape->h + h) * shape->w + w) * shape->c + group * group_c);
      const float *weight = args->packed + (r * shape->s + s) * group_c * shape->k + k0;
      for (int64_t c = 0; c < group_c; c++)
        for (int64_t k = 0; k < count; k++) sum[k] += (double)rk_get(src, type, c) * weight_as(weight[c * shape->k + k], type);
    }
  }
  int64_t offset = ((n * shape->oh + oh) * shape->ow + ow) * shape->k + k0;
  for (int64_t k = 0; k < count; k++) {
    if (args->bias) sum[k] += args->bias[k0 + k];
    sum[k] += added(args, offset / shape->k, k0 + k);
    rk_put(args->dst, type, offset + k, activated(sum[k], args->activation, args->slope, k0 + k));
  }
}

void rk_conv_reference_forward(const rk_conv_forward_args *args, const rk_team *team) {
  const rk_conv_shape *shape = &args->plan->shape;
  int64_t group_k = shape->k / shape->groups, begin, end;
  rk_share(shape->n * shape->oh, team, &begin, &end);
  for (int64_t row = begin; row < end; row++)
    for (int64_t ow = 0; ow < shape->ow; ow++)
      for (int64_t group = 0; group < shape->groups; group++)
        for (int64_t k = 0; k < group_k; k += CHUNK)
          forward_pixel(args, row / shape->oh, row % shape->oh, ow, group, group * group_k + k, smaller(CHUNK, group_k - k));
}

/* Source channels [c0, c0 + count) of one group, counted within the group, at one source pixel. */
static void backward_data_pixel(const rk_conv_backward_data_args *args, int64_t n, int64_t h, int64_t w, int64_t group, int64_t c0,
                                int64_t count) {
  const rk_conv_shape *shape = &args->plan->shape;
  const rk_type type = args->plan->type;
  int64_t group_c = shape->c / shape->groups, group_k = shape->k / shape->groups;
  double sum[CHUNK] = {0};
  for (int64_t r = 0; r < shape->r; r++) {
    int64_t up = h + shape->pad_top - r * shape->dilation_h;
    if (up < 0 || up % shape->stride_h != 0 || up / shape->stride_h >= shape->oh) continue;
    for (int64_t s = 0; s < shape->s; s++) {
      int64_t left = w + shape->pad_left - s * shape->dilation_w;
      if (left < 0 || left % shape->stride_w != 0 || left / shape->stride_w >= shape->ow) continue;
      int64_t pixel = (n * shape->oh + up / shape->stride_h) * shape->ow + left / shape->stride_w;
      const void *ddst = rk_at(args->ddst, type, pixel * shape->k + group * group_k);
      const float *weight = args->packed + ((r * shape->s + s) * group_c + c0) * shape->k + group * group_k;
      for (int64_t c = 0; c < count; c++)
        for (int64_t k = 0; k < group_k; k++) sum[c] += (double)rk_get(ddst, type, k) * weight_as(weight[c * shape->k + k], type);
    }
  }
  int64_t offset = ((n * shape->h + h) * shape->w + w) * shape->c + group * group_c + c0;
  for (int64_t c = 0; c < count; c++)
    rk_put(args->dsrc, type, offset + c, (float)(args->add ? sum[c] + rk_get(args->add, type, offset + c) : sum[c]));
}

void rk_conv_reference_backward_data(const rk_conv_backward_data_args *args, const rk_team *team) {
  const rk_conv_shape *shape = &args->plan->shape;
  int64_t group_c = shape->c / shape->groups, begin, end;
  rk_share(shape->n * shape->h, team, &begin, &end);
  for (int64_t row = begin; row < end; row++)
    for (int64_t w = 0; w < shape->w; w++)
      for (int64_t group = 0; group < shape->groups; group++)
        for (int64_t c = 0; c < group_c; c += CHUNK)
          backward_data_pixel(args, row / shape->h, row % shape->h, w, group, c, smaller(CHUNK, group_c - c));
}

/* The gradient of weight[r, s, c, k0 ... k0 + count), all of one group. */
static void backward_weight_run(const rk_conv_backward_weight_args *args, int64_t r, int64_t s, int64_t c, int64_t k0, int64_t count) {
  const rk_conv_shape *shape = &args->plan->shape;
  const rk_type type = args->plan->type;
  int64_t group_c = shape->c / shape->groups, group = k0 / (shape->k / shape->groups);
  double sum[CHUNK] = {0};
  for (int64_t n = 0; n < shape->n; n++)
    for (int64_t oh = 0; oh < shape->oh; oh++) {
      int64_t h = oh * shape->stride_h + r * shape->dilation_h - shape->pad_top;
      if (h < 0 || h >= shape->h) continue;
      for (int64_t ow = 0; ow < shape->ow; ow++) {
        int64_t w = ow * shape->stride_w + s * shape->dilation_w - shape->pad_left;
        if (w < 0 || w >= shape->w) continue;
        double src = rk_get(args->src, type, ((n * shape->h + h) * shape->w + w) * shape->c + group * group_c + c);
        const void *ddst = rk_at(args->ddst, type, ((n * shape->oh + oh) * shape->ow + ow) * shape->k + k0);
        for (int64_t k = 0; k < count; k++) sum[k] += src * rk_get(ddst, type, k);
      }
    }
  float *dweight = args->dweight + ((r * shape->s + s) * group_c + c) * shape->k + k0;
  for (int64_t k = 0; k < count; k++) dweight[k] = (float)sum[k];
}

static void backward_bias(const rk_conv_backward_weight_args *args, const rk_team *team) {
  const rk_conv_shape *shape = &args->plan->shape;
  int64_t pixels = shape->n * shape->oh * shape->ow, begin, end;
  rk_share(shape->k, team, &begin, &end);
  for (int64_t k = begin; k < end; k++) {
    double sum = 0;
    for (int64_t pixel = 0; pixel < pixels; pixel++) sum += rk_get(args->ddst, args->plan->type, pixel * shape->k + k);
    args->dbias[k] = (float)sum;
  }
}

void rk_conv_reference_backward_weight(const rk_conv_backward_weight_args *args, const rk_team *team) {
  const rk_conv_shape *shape = &args->plan->shape;
  int64_t group_c = shape->c / shape->groups, group_k = shape->k / shape->groups, begin, end;
  rk_share(shape->r * shape->s * group_c, team, &begin, &end);
  for (int64_t row = begin; row < end; row++) {
    int64_t tap = row / group_c, c = row % group_c;
    for (int64_t group = 0; group < shape->groups; group++)
      for (int64_t k = 0; k < group_k; k += CHUNK)
        backward_weight_run(args, tap / shape->s, tap % shape->s, c, group * group_k + k, smaller(CHUNK, group_k - k));
  }
  if (args->dbias) backward_bias(args, team);
}
