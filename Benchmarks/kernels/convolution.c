/* convolution.c: times the convolution kernels layer by layer: ms, GFLOP/s of the direct method, and per cent of this machine's measured
 * multiply-add peak at the same number of threads. Not here: whole networks, peers.
 *
 * Build and run, from the top of the repository:
 *
 *   K=Sources/CRengaKernels; clang -O3 -std=gnu11 -Xclang -fopenmp -fno-math-errno -I$K/include Benchmarks/kernels/convolution.c \
 *     $(find $K -name '*.c') -o /tmp/convolution-bench -lomp5 -lm && /tmp/convolution-bench
 *
 * Arguments: cifar, resnet, vgg, grouped, depthwise, linear, all, or channels (CSV: time a multiply-add for 15 ... 67 channels); threads; instruction set (1 generic, 2 avx2, 3 avx512); part of a layer's name.
 * Figures are the best of several runs: the machine's own noise only ever adds. */
#include "rk_convolution.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

typedef struct layer {
  const char *name;
  int64_t n, size, c, k, filter, stride, pad;
  int64_t groups; /* 0: one */
} layer;

static const layer cifar[] = {
    {"stem 3->16 @32 b128", 128, 32, 3, 16, 3, 1, 1},
    {"16->16 @32 b128", 128, 32, 16, 16, 3, 1, 1},
    {"16->32 s2 @32 b128", 128, 32, 16, 32, 3, 2, 1},
    {"32->32 @16 b128", 128, 16, 32, 32, 3, 1, 1},
    {"32->64 s2 @16 b128", 128, 16, 32, 64, 3, 2, 1},
    {"64->64 @8 b128", 128, 8, 64, 64, 3, 1, 1},
    {"1x1 16->32 s2 @32 b128", 128, 32, 16, 32, 1, 2, 0},
    {"1x1 32->64 s2 @16 b128", 128, 16, 32, 64, 1, 2, 0},
    {"16->16 @32 b4", 4, 32, 16, 16, 3, 1, 1},
    {"64->64 @8 b4", 4, 8, 64, 64, 3, 1, 1},
};
static const layer resnet[] = {
    {"7x7 s2 3->64 @224", 1, 224, 3, 64, 7, 2, 3},    {"1x1 64->256 @56", 1, 56, 64, 256, 1, 1, 0},
    {"1x1 256->64 @56", 1, 56, 256, 64, 1, 1, 0},     {"3x3 64 @56", 1, 56, 64, 64, 3, 1, 1},
    {"3x3 s2 128 @56", 1, 56, 128, 128, 3, 2, 1},     {"1x1 s2 256->512 @56", 1, 56, 256, 512, 1, 2, 0},
    {"1x1 128->512 @28", 1, 28, 128, 512, 1, 1, 0},   {"1x1 512->128 @28", 1, 28, 512, 128, 1, 1, 0},
    {"3x3 128 @28", 1, 28, 128, 128, 3, 1, 1},        {"3x3 s2 256 @28", 1, 28, 256, 256, 3, 2, 1},
    {"1x1 256->1024 @14", 1, 14, 256, 1024, 1, 1, 0}, {"1x1 1024->256 @14", 1, 14, 1024, 256, 1, 1, 0},
    {"3x3 256 @14", 1, 14, 256, 256, 3, 1, 1},        {"3x3 s2 512 @14", 1, 14, 512, 512, 3, 2, 1},
    {"1x1 512->2048 @7", 1, 7, 512, 2048, 1, 1, 0},   {"1x1 2048->512 @7", 1, 7, 2048, 512, 1, 1, 0},
    {"3x3 512 @7", 1, 7, 512, 512, 3, 1, 1},
};
static const layer vgg[] = {
    {"3->64 @224", 1, 224, 3, 64, 3, 1, 1},       {"64->64 @224", 1, 224, 64, 64, 3, 1, 1},   {"64->128 @112", 1, 112, 64, 128, 3, 1, 1},
    {"128->128 @112", 1, 112, 128, 128, 3, 1, 1}, {"128->256 @56", 1, 56, 128, 256, 3, 1, 1}, {"256->256 @56", 1, 56, 256, 256, 3, 1, 1},
    {"256->512 @28", 1, 28, 256, 512, 3, 1, 1},   {"512->512 @28", 1, 28, 512, 512, 3, 1, 1}, {"512->512 @14", 1, 14, 512, 512, 3, 1, 1},
};
/* ResNeXt-50 (32 groups), then ShuffleNet's products (3 groups). */
static const layer grouped[] = {
    {"g32 128 @56", 1, 56, 128, 128, 3, 1, 1, 32},     {"g32 256 s2 @56", 1, 56, 256, 256, 3, 2, 1, 32},
    {"g32 256 @28", 1, 28, 256, 256, 3, 1, 1, 32},     {"g32 512 s2 @28", 1, 28, 512, 512, 3, 2, 1, 32},
    {"g32 512 @14", 1, 14, 512, 512, 3, 1, 1, 32},     {"g32 1024 s2 @14", 1, 14, 1024, 1024, 3, 2, 1, 32},
    {"g32 1024 @7", 1, 7, 1024, 1024, 3, 1, 1, 32},    {"g32 128 @56 b16", 16, 56, 128, 128, 3, 1, 1, 32},
    {"g32 256 @28 b16", 16, 28, 256, 256, 3, 1, 1, 32}, {"g32 512 @14 b16", 16, 14, 512, 512, 3, 1, 1, 32},
    {"g32 1024 @7 b16", 16, 7, 1024, 1024, 3, 1, 1, 32}, {"1x1 g3 240->60 @28", 1, 28, 240, 60, 1, 1, 0, 3},
    {"1x1 g3 60->240 @28", 1, 28, 60, 240, 1, 1, 0, 3}, {"1x1 g8 384->96 @28", 1, 28, 384, 96, 1, 1, 0, 8},
    {"g2 64 @56", 1, 56, 64, 64, 3, 1, 1, 2},           {"g64 128 @56", 1, 56, 128, 128, 3, 1, 1, 64},
    {"g4 256 @14", 1, 14, 256, 256, 3, 1, 1, 4},       {"1x1 g64 256 @28", 1, 28, 256, 256, 1, 1, 0, 64},
};
/* MobileNetV2's and, 5x5, EfficientNet-B0's. */
static const layer depthwise[] = {
    {"dw 32 @112", 1, 112, 32, 32, 3, 1, 1, 32},     {"dw 96 s2 @112", 1, 112, 96, 96, 3, 2, 1, 96},
    {"dw 144 @56", 1, 56, 144, 144, 3, 1, 1, 144},   {"dw 144 s2 @56", 1, 56, 144, 144, 3, 2, 1, 144},
    {"dw 192 @28", 1, 28, 192, 192, 3, 1, 1, 192},   {"dw 384 @14", 1, 14, 384, 384, 3, 1, 1, 384},
    {"dw 576 @14", 1, 14, 576, 576, 3, 1, 1, 576},   {"dw 960 @7", 1, 7, 960, 960, 3, 1, 1, 960},
    {"dw5 144 s2 @56", 1, 56, 144, 144, 5, 2, 2, 144}, {"dw5 240 @28", 1, 28, 240, 240, 5, 1, 2, 240},
    {"dw5 480 @14", 1, 14, 480, 480, 5, 1, 2, 480},  {"dw5 1152 @7", 1, 7, 1152, 1152, 5, 1, 2, 1152},
};
static const layer linear[] = {
    {"64->10 b128", 128, 1, 64, 10, 1, 1, 0},         {"2048->1000 b1", 1, 1, 2048, 1000, 1, 1, 0},
    {"4096->4096 b1", 1, 1, 4096, 4096, 1, 1, 0},     {"1024->1024 b128", 128, 1, 1024, 1024, 1, 1, 0},
    {"4096->4096 b128", 128, 1, 4096, 4096, 1, 1, 0}, {"784->300 b128", 128, 1, 784, 300, 1, 1, 0},
};

/* One thread is timed by its own processor time, which other programs disturb less; a team by the clock on the wall. */
static double now(int threads) {
  struct timespec time;
  clock_gettime(threads == 1 ? CLOCK_THREAD_CPUTIME_ID : CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

static float *numbers(size_t count) {
  float *values = rk_alloc((count ? count : 1) * sizeof(float));
  if (!values) exit(1);
  for (size_t i = 0; i < count; i++) values[i] = (float)((i * 2654435761u) % 1000) / 1000.0f - 0.5f;
  return values;
}

/* The best time of one step among programs of `STEPS` of them: as in a network, one parallel region is shared by many steps.
 * args: one for all steps (size 0), or one for each, `size` bytes apart. */
#define STEPS 8
#define MOST_STEPS 64
/* Weights that a deep network walks through between two uses of the same ones. */
#define WEIGHT_FLOATS (60 * 1000 * 1000)
static double seconds_of(rk_step_fn run, const void *args, size_t size, int count, int threads) {
  rk_step steps[MOST_STEPS];
  for (int i = 0; i < count; i++) steps[i] = (rk_step){.run = run, .args = (const char *)args + (size_t)i * size};
  double best = 1e9, spent = 0;
  for (int i = 0; i < 3 || (spent < 0.25 && i < 400); i++) {
    double start = now(threads);
    rk_run(steps, (size_t)count, threads, NULL, NULL);
    double took = now(threads) - start;
    spent += took;
    if (took / count < best) best = took / count;
  }
  return best;
}

/* The peak is that of a product whose operands stay in the first-level cache: 1x1, tiles of 14 pixels, 256 channels to 32. */
static double peak(int threads, rk_isa isa) {
  const rk_conv_shape shape = {.n = 1,
                               .h = 14 * threads,
                               .w = 140,
                               .c = 256,
                               .k = 32,
                               .r = 1,
                               .s = 1,
                               .stride_h = 1,
                               .stride_w = 1,
                               .dilation_h = 1,
                               .dilation_w = 1,
                               .groups = 1,
                               .oh = 14 * threads,
                               .ow = 140};
  rk_conv_plan plan;
  if (rk_conv_plan_init(&plan, &shape, RK_CONV_FORWARD, RK_F32, RK_CONV_DIRECT, isa, threads) != 0) exit(1);
  float *src = numbers((size_t)(shape.h * shape.w * 256)), *packed = numbers(plan.packed_floats),
        *dst = numbers((size_t)(shape.h * shape.w * 32));
  rk_conv_forward_args args = {.plan = &plan, .src = src, .packed = packed, .dst = dst, .scratch = NULL};
  double seconds = seconds_of(rk_conv_forward, &args, 0, STEPS, threads);
  rk_free(src), rk_free(packed), rk_free(dst);
  return 2.0 * 256 * 32 * (double)(shape.h * shape.w) / seconds / 1e9;
}

static void time_pass(const layer *layer, rk_conv_pass pass, rk_conv_algorithm algorithm, int threads, rk_isa isa, double peak) {
  int64_t out = (layer->size + 2 * layer->pad - layer->filter) / layer->stride + 1, groups = layer->groups ? layer->groups : 1;
  const rk_conv_shape shape = {.n = layer->n,
                               .h = layer->size,
                               .w = layer->size,
                               .c = layer->c,
                               .k = layer->k,
                               .r = layer->filter,
                               .s = layer->filter,
                               .stride_h = layer->stride,
                               .stride_w = layer->stride,
                               .pad_top = layer->pad,
                               .pad_left = layer->pad,
                               .pad_bottom = layer->pad,
                               .pad_right = layer->pad,
                               .dilation_h = 1,
                               .dilation_w = 1,
                               .groups = groups,
                               .oh = out,
                               .ow = out};
  rk_conv_plan plan;
  if (rk_conv_plan_init(&plan, &shape, pass, RK_F32, algorithm, isa, threads) != 0) return;
  size_t weights = (size_t)(shape.r * shape.s * (shape.c / groups) * shape.k);
  float *src = numbers((size_t)(shape.n * shape.h * shape.w * shape.c)), *dst = numbers((size_t)(shape.n * out * out * shape.k));
  float *weight = numbers(weights), *packed = numbers(plan.packed_floats), *bias = numbers((size_t)shape.k);
  float *scratch = numbers(plan.scratch_floats);
  rk_conv_pack_args pack = {.plan = &plan, .weight = weight, .packed = packed};
  double packing = pass == RK_CONV_BACKWARD_WEIGHT ? 0 : seconds_of(rk_conv_pack, &pack, 0, STEPS, threads), seconds = 0;
  if (pass == RK_CONV_FORWARD) {
    /* Each step has weights of its own, as the layers of a network have, and together more than any cache holds. */
    size_t floats = plan.packed_floats ? plan.packed_floats : weights, sets = WEIGHT_FLOATS / floats;
    sets = sets < STEPS ? STEPS : sets > MOST_STEPS ? MOST_STEPS : sets;
    float *all = numbers(floats * sets);
    rk_conv_forward_args args[MOST_STEPS];
    for (size_t i = 0; i < sets; i++)
      args[i] = (rk_conv_forward_args){.plan = &plan,
                                       .src = src,
                                       .packed = all + i * floats,
                                       .bias = bias,
                                       .activation = RK_ACTIVATION_RELU,
                                       .dst = dst,
                                       .scratch = scratch};
    seconds = seconds_of(rk_conv_forward, args, sizeof args[0], (int)sets, threads);
    rk_free(all);
  } else if (pass == RK_CONV_BACKWARD_DATA) {
    rk_conv_backward_data_args args = {.plan = &plan, .ddst = dst, .packed = packed, .dsrc = src, .scratch = scratch};
    seconds = seconds_of(rk_conv_backward_data, &args, 0, STEPS, threads);
  } else {
    rk_conv_backward_weight_args args = {.plan = &plan, .src = src, .ddst = dst, .dweight = weight, .dbias = NULL, .scratch = scratch};
    seconds = seconds_of(rk_conv_backward_weight, &args, 0, STEPS, threads);
  }
  static const char *const names[] = {"forward", "bwd-data", "bwd-weight"};
  double work = 2.0 * (double)(shape.n * out * out) * (double)weights;
  printf("%-24s %-10s %-12s %9.3f ms %7.1f GFLOP/s %5.1f %%  pack %7.3f ms\n", layer->name, names[pass],
         rk_conv_algorithm_name(plan.algorithm), seconds * 1e3, work / seconds / 1e9, 100 * work / seconds / 1e9 / peak, packing * 1e3);
  rk_free(src), rk_free(dst), rk_free(weight), rk_free(packed), rk_free(bias), rk_free(scratch);
}

static void time_layers(const layer *layers, size_t count, int passes, int threads, rk_isa isa, const char *part) {
  for (size_t i = 0; i < count; i++) {
    if (strstr(layers[i].name, part) == NULL) continue;
    double top = peak(threads, isa);
    for (int pass = 0; pass < passes; pass++)
      for (int algorithm = RK_CONV_DIRECT; algorithm <= RK_CONV_GROUPED; algorithm++)
        time_pass(&layers[i], (rk_conv_pass)pass, (rk_conv_algorithm)algorithm, threads, isa, top);
  }
}

/* ---- Time a multiply-add against the number of channels, as pyramidal networks have them: 15, 16, 17, ... ---- */

enum { FIRST_CHANNELS = 15, LAST_CHANNELS = 67, WIDTHS = LAST_CHANNELS - FIRST_CHANNELS + 1, ROUNDS = 24 };

/* One pass of a 3x3 layer of as many channels as outputs, on 16 images of 16x16. */
typedef struct width {
  rk_conv_plan plan;
  rk_step step;
  union {
    rk_conv_forward_args forward;
    rk_conv_backward_data_args backward_data;
    rk_conv_backward_weight_args backward_weight;
  } args;
  double best;
} width;

static void prepare_width(width *width, int64_t c, rk_conv_pass pass, int threads, rk_isa isa) {
  const rk_conv_shape shape = {.n = 16,
                               .h = 16,
                               .w = 16,
                               .c = c,
                               .k = c,
                               .r = 3,
                               .s = 3,
                               .stride_h = 1,
                               .stride_w = 1,
                               .pad_top = 1,
                               .pad_left = 1,
                               .pad_bottom = 1,
                               .pad_right = 1,
                               .dilation_h = 1,
                               .dilation_w = 1,
                               .groups = 1,
                               .oh = 16,
                               .ow = 16};
  rk_conv_plan *plan = &width->plan;
  if (rk_conv_plan_init(plan, &shape, pass, RK_F32, RK_CONV_AUTO, isa, threads) != 0) exit(1);
  float *src = numbers((size_t)(4096 * c)), *dst = numbers((size_t)(4096 * c)), *packed = numbers(plan->packed_floats);
  float *scratch = numbers(plan->scratch_floats);
  width->best = 1e9;
  if (pass == RK_CONV_FORWARD) {
    width->args.forward = (rk_conv_forward_args){.plan = plan, .src = src, .packed = packed, .dst = dst, .scratch = scratch};
    width->step = (rk_step){.run = rk_conv_forward, .args = &width->args};
  } else if (pass == RK_CONV_BACKWARD_DATA) {
    width->args.backward_data = (rk_conv_backward_data_args){.plan = plan, .ddst = src, .packed = packed, .dsrc = dst, .scratch = scratch};
    width->step = (rk_step){.run = rk_conv_backward_data, .args = &width->args};
  } else {
    width->args.backward_weight = (rk_conv_backward_weight_args){
        .plan = plan, .src = src, .ddst = dst, .dweight = numbers((size_t)(9 * c * c)), .scratch = scratch};
    width->step = (rk_step){.run = rk_conv_backward_weight, .args = &width->args};
  }
}

/* All widths take turns, so that a slow spell of the machine falls on all of them. CSV to standard output. */
static void time_channels(int threads, rk_isa isa) {
  static const char *const names[] = {"forward", "backward_data", "backward_weight"};
  static width widths[3][WIDTHS];
  for (int pass = 0; pass < 3; pass++)
    for (int i = 0; i < WIDTHS; i++) prepare_width(&widths[pass][i], FIRST_CHANNELS + i, (rk_conv_pass)pass, threads, isa);
  for (int round = 0; round < ROUNDS; round++)
    for (int pass = 0; pass < 3; pass++)
      for (int i = 0; i < WIDTHS; i++) {
        width *width = &widths[pass][i];
        const rk_step steps[] = {width->step, width->step, width->step, width->step};
        double start = now(threads);
        rk_run(steps, 4, threads, NULL, NULL);
        double took = (now(threads) - start) / 4;
        if (took < width->best) width->best = took;
      }
  printf("channels,pass,algorithm,ms,ps_per_multiply_add\n");
  for (int pass = 0; pass < 3; pass++)
    for (int i = 0; i < WIDTHS; i++) {
      const width *width = &widths[pass][i];
      double macs = 4096.0 * 9 * (double)(width->plan.shape.c * width->plan.shape.k);
      printf("%d,%s,%s,%.4f,%.3f\n", FIRST_CHANNELS + i, names[pass], rk_conv_algorithm_name(width->plan.algorithm), width->best * 1e3,
             width->best / macs * 1e12);
    }
}

int main(int argc, char **argv) {
  const char *which = argc > 1 ? argv[1] : "all";
  int threads = argc > 2 ? atoi(argv[2]) : 2, all = strcmp(which, "all") == 0;
  rk_isa isa = argc > 3 ? (rk_isa)atoi(argv[3]) : rk_isa_best();
  const char *part = argc > 4 ? argv[4] : "";
  if (strcmp(which, "channels") == 0) {
    time_channels(threads, isa);
    return 0;
  }
  printf("%s, %d threads, peak %.1f GFLOP/s\n", rk_isa_name(isa), threads, peak(threads, isa));
#define LAYERS(name, passes)                                                                                                               \
  if (all || strcmp(which, #name) == 0) time_layers(name, sizeof name / sizeof name[0], passes, threads, isa, part)
  LAYERS(cifar, 3);
  LAYERS(resnet, 1);
  LAYERS(vgg, 1);
  LAYERS(grouped, 3);
  LAYERS(depthwise, 3);
  LAYERS(linear, 3);
  return 0;
}
