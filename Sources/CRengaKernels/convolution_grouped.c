/* convolution_grouped.c: grouped convolution with as many channels as outputs in each group, a power of two (as in ResNeXt): from copies of
 * a few rows, one vector of channels at a time. Not here: the copies and the products (convolution_grouped_kernels.h); groups of other
 * sizes, and backward-weight of those that fill a vector, which are the direct method's.
 *
 * The copies have their zeros around the map, stay in the first-level cache, and lie together where the map's pixels, thousands of bytes
 * apart, would evict each other. */
#include "convolution_internal.h"
#include <string.h>

/* Floats of a copy that a band aims at: 32 KB, most of a first-level cache; and most of them: else the direct method copies less. */
#define BAND_FLOATS (8 * 1024)
#define MOST_FLOATS (128 * 1024)
/* Bytes of a source map that do not stay in L2 until they are read. */
#define AHEAD_BYTES (INT64_C(1) << 20)
/* Pieces of each thread's share; and of backward-weight's sums. */
#define OWN_PIECES 8
#define MOST_PIECES 8

/* A correlation made ready. */
typedef struct grouped_phase {
  rk_conv_grouped grouped;
  int64_t vectors, slabs; /* of outputs; a slab is the vectors of one group, or one vector of several */
  int64_t rows, bands;    /* rows of a band, bands of an image */
  int64_t packed_floats, copy_floats;
} grouped_phase;

/* Groups of a vector's channels or more: 3x3 of stride 1 on sixteen lanes, the rest is as fast by the direct method; and most channels. */
#define WIDE_LANES 16
#define WIDE_MOST 64

static int applies(const rk_conv_plan *plan) {
  const rk_conv_shape *shape = &plan->shape;
  const int64_t c = shape->c / shape->groups, lanes = rk_conv_kernels_of(plan->isa)->lanes;
  if (plan->isa == RK_ISA_REFERENCE || rk_conv_kernels_of(plan->isa)->grouped_w[0] == 0) return 0;
  if (shape->groups == 1 || shape->c != shape->k || c == 1) return 0;
  if (shape->stride_h > RK_CONV_MOST_STRIDE || shape->stride_w > RK_CONV_MOST_STRIDE) return 0;
  if (c < lanes) return lanes % c == 0;
  return plan->pass != RK_CONV_BACKWARD_WEIGHT && lanes == WIDE_LANES && c % lanes == 0 && c <= WIDE_MOST && shape->r == 3 &&
         shape->s == 3 && shape->stride_h == 1 && shape->stride_w == 1 && shape->dilation_w == 1;
}

/* 0, or -1 where the rows of a copy are too many floats. */
static int prepare(const rk_conv_plan *plan, int64_t phase, grouped_phase *ready) {
  rk_conv_grouped *grouped = &ready->grouped;
  const rk_conv_kernels *kernels = rk_conv_kernels_of(plan->isa);
  const int64_t lanes = kernels->lanes;
  rk_conv_correlation(plan, phase, &grouped->at);
  const rk_correlation *at = &grouped->at;
  grouped->planes = rk_max64(at->c / lanes, 1);
  grouped->three = at->taps_h > 0 && at->taps_w == 3 && at->stride_w == 1 && at->dilation_w == 1;
  const int64_t tiles = rk_div_up(at->out_w, kernels->grouped_w[0]);
  grouped->tile_w = kernels->grouped_w[tiles * kernels->grouped_w[1] >= at->out_w];
  const int64_t reach = at->taps_w > 0 ? (at->taps_w - 1) * at->dilation_w / at->stride_w + 1 : 1;
  grouped->copy_w = tiles * grouped->tile_w + reach;
  grouped->row_floats = at->stride_w * grouped->copy_w * lanes;
  ready->vectors = rk_div_up(at->groups * at->k, lanes);
  ready->slabs = ready->vectors / grouped->planes;
  ready->packed_floats = ready->vectors * at->taps_h * at->taps_w * at->c * lanes;
  /* Rows of the copy between the first row of a band's last output row and the end. */
  const int64_t halo = at->taps_h > 0 ? (at->taps_h - 1) * at->dilation_h + 1 : 1, plane_row = grouped->planes * grouped->row_floats;
  if (tiles > MOST_FLOATS || reach > MOST_FLOATS || halo > MOST_FLOATS || plane_row > MOST_FLOATS) return -1;
  const int64_t most = rk_max64((BAND_FLOATS / plane_row - halo) / at->stride_h + 1, 2);
  ready->bands = rk_div_up(at->out_h, most);
  ready->rows = ready->bands > 0 ? rk_div_up(rk_div_up(at->out_h, ready->bands), 2) * 2 : 2;
  ready->bands = rk_div_up(at->out_h, ready->rows);
  grouped->plane_floats = ((ready->rows - 1) * at->stride_h + halo) * grouped->row_floats;
  ready->copy_floats = grouped->planes * grouped->plane_floats;
  const int64_t map = at->n * at->src_h * at->src_w * at->src_c * (int64_t)sizeof(float);
  const int64_t band = ready->rows * at->stride_h * at->src_w * at->src_c * (int64_t)sizeof(float);
  const int64_t pairs = grouped->three && at->stride_h == 1 && at->dilation_h == 1 ? 2 : 1;
  grouped->ahead = map > AHEAD_BYTES ? band / (ready->vectors * tiles * rk_div_up(ready->rows, pairs)) : 0;
  return ready->copy_floats > MOST_FLOATS ? -1 : 0;
}

/* Backward-weight: the rows of all images in pieces that follow from the shape alone, whose sums are added in order. */
static int prepare_weight(const rk_conv_plan *plan, grouped_phase *ready) {
  rk_conv_grouped *grouped = &ready->grouped;
  const int64_t lanes = rk_conv_kernels_of(plan->isa)->lanes;
  rk_conv_plan forward = *plan;
  forward.pass = RK_CONV_FORWARD;
  rk_conv_correlation(&forward, 0, &grouped->at);
  const rk_correlation *at = &grouped->at;
  grouped->three = at->stride_w == 1 && at->dilation_w == 1;
  grouped->row_floats = at->src_w * lanes;
  ready->vectors = rk_div_up(at->groups * at->k, lanes);
  const int64_t row = at->stride_h * grouped->row_floats + at->out_w * lanes;
  const int64_t halo = rk_min64((at->taps_h - 1) * at->dilation_h + 1, at->src_h);
  if (row > MOST_FLOATS || halo > MOST_FLOATS) return -1;
  ready->rows = rk_min64(rk_max64((BAND_FLOATS - halo * grouped->row_floats) / row, 2), at->out_h);
  ready->bands = rk_div_up(at->out_h, ready->rows);
  ready->rows = rk_div_up(at->out_h, ready->bands);
  grouped->plane_floats = ((ready->rows - 1) * at->stride_h + halo) * grouped->row_floats;
  ready->copy_floats = grouped->plane_floats + ready->rows * at->out_w * lanes;
  grouped->ahead = at->n * (at->src_h * at->src_w * at->src_c + at->dst_image) * (int64_t)sizeof(float) > AHEAD_BYTES;
  return ready->copy_floats > MOST_FLOATS ? -1 : 0;
}

/* plan->block: floats of a thread's copy; pieces; floats of a piece's sums. */
static int plan_weight(rk_conv_plan *plan) {
  const rk_conv_shape *shape = &plan->shape;
  grouped_phase ready;
  if (prepare_weight(plan, &ready) != 0) return -1;
  plan->block[0] = ready.copy_floats;
  plan->block[1] = plan->alone ? 1 : rk_min64(MOST_PIECES, shape->n * ready.bands);
  plan->block[2] = rk_div_up(shape->r * shape->s * ready.grouped.at.c * shape->k + shape->k, 16) * 16;
  plan->scratch_floats = (size_t)(plan->block[0] * plan->threads + plan->block[1] * plan->block[2]);
  return 0;
}

int rk_conv_grouped_plan(rk_conv_plan *plan) {
  if (!applies(plan)) return -1;
  if (plan->pass == RK_CONV_BACKWARD_WEIGHT) return plan_weight(plan);
  int64_t copy = 0, packed = 0;
  for (int64_t phase = 0; phase < rk_conv_phases(plan); phase++) {
    grouped_phase ready;
    if (prepare(plan, phase, &ready) != 0) return -1;
    copy = rk_max64(copy, ready.copy_floats);
    packed += ready.packed_floats;
  }
  plan->block[0] = copy;
  plan->packed_floats = (size_t)packed;
  plan->scratch_floats = (size_t)(copy * plan->threads);
  return 0;
}

/* ---- Packing: [vector of outputs][tap][channel of the group][lanes] ---- */

/* Lines of all vectors for one channel of a tap, in the order in which the weights lie. */
static void pack_forward(const rk_conv_pack_args *args, const float *weight, int64_t vectors, int64_t vector_floats, float *packed) {
  const int64_t lanes = rk_conv_kernels_of(args->plan->isa)->lanes, outputs = args->plan->shape.k;
  for (int64_t k = 0; k < vectors * lanes; k += lanes, packed += vector_floats) {
    const int64_t count = rk_min64(lanes, outputs - k);
    if (args->scale) rk_conv_kernels_of(args->plan->isa)->scaled(weight + k, count, args->scale + k, 1, count, packed, count);
    else memcpy(packed, weight + k, (size_t)count * sizeof(float));
    memset(packed + count, 0, (size_t)(lanes - count) * sizeof(float));
  }
}

/* Lines of all channels of a tap for the vector of outputs from k, which are source channels here. */
static void pack_backward(const rk_conv_shape *shape, const float *weight, int64_t k, int64_t lanes, float *packed) {
  const int64_t group = shape->c / shape->groups, count = rk_min64(lanes, shape->c - k);
  for (int64_t i = 0; i < count; i++) {
    const float *row = weight + (k + i) % group * shape->k + (k + i) / group * group;
    for (int64_t c = 0; c < group; c++) packed[c * lanes + i] = row[c];
  }
  for (int64_t c = 0; c < group; c++) memset(packed + c * lanes + count, 0, (size_t)(lanes - count) * sizeof(float));
}

void rk_conv_grouped_pack(const rk_conv_pack_args *args, const rk_team *team) {
  const rk_conv_shape *shape = &args->plan->shape;
  const int64_t lanes = rk_conv_kernels_of(args->plan->isa)->lanes, forward = args->plan->pass == RK_CONV_FORWARD;
  float *packed = args->packed;
  for (int64_t phase = 0; phase < rk_conv_phases(args->plan); phase++) {
    grouped_phase ready;
    if (prepare(args->plan, phase, &ready) != 0) return;
    const rk_correlation *at = &ready.grouped.at;
    const int64_t taps = at->taps_h * at->taps_w, vector_floats = taps * at->c * lanes, units = forward ? at->c : ready.vectors;
    int64_t begin, end;
    rk_share(taps * units, team, &begin, &end);
    for (int64_t i = begin; i < end; i++) {
      const int64_t tap = i / units, unit = i % units, r = at->tap_r + tap / at->taps_w * at->tap_r_step;
      const int64_t s = at->tap_s + tap % at->taps_w * at->tap_s_step;
      const float *weight = args->weight + (r * shape->s + s) * at->c * shape->k;
      if (forward) pack_forward(args, weight + unit * shape->k, ready.vectors, vector_floats, packed + (tap * at->c + unit) * lanes);
      else pack_backward(shape, weight, unit * lanes, lanes, packed + unit * vector_floats + tap * at->c * lanes);
    }
    packed += ready.packed_floats;
  }
}

/* ---- Running ---- */

/* Bands of rows, and of each all slabs: pieces of them are shared among the threads. */
static void run_grouped(const rk_conv_plan *plan, rk_conv_grouped args, float *scratch, const rk_team *whole) {
  if (whole->tid >= plan->threads) return;
  const rk_conv_kernels *kernels = rk_conv_kernels_of(plan->isa);
  const int64_t phases = rk_conv_phases(plan);
  /* Where there are several phases, without a barrier between them, threads keep to their shares. */
  const rk_team team = {
      .tid = whole->tid, .nth = whole->nth < plan->threads ? whole->nth : plan->threads, .barrier = phases == 1 ? whole->barrier : NULL};
  for (int64_t phase = 0; phase < phases; phase++) {
    grouped_phase ready;
    if (prepare(plan, phase, &ready) != 0) return;
    rk_conv_grouped *grouped = &ready.grouped;
    const rk_correlation *at = &grouped->at;
    grouped->src = args.src, grouped->packed = args.packed, grouped->bias = args.bias, grouped->add = args.add;
    grouped->slope = args.slope, grouped->activation = args.activation, grouped->dst = args.dst;
    grouped->stream = rk_conv_streams(at, kernels, args.dst, args.add) && at->groups * at->k % kernels->lanes == 0;
    args.packed += ready.packed_floats;
    const int64_t units = at->n * ready.bands * ready.slabs, pieces = rk_min64(units, (team.nth > 1 ? OWN_PIECES : 1) * team.nth);
    for (int64_t piece = -1; rk_take(&team, pieces, &piece);) {
      int64_t begin, end;
      rk_share(units, &(rk_team){.tid = (int32_t)piece, .nth = (int32_t)pieces}, &begin, &end);
      for (int64_t unit = begin; unit < end; unit++) {
        const int64_t band = unit / ready.slabs, y = band % ready.bands * ready.rows;
        kernels->grouped_rows(grouped, band / ready.bands, unit % ready.slabs, y, rk_min64(ready.rows, at->out_h - y),
                              scratch + plan->block[0] * team.tid);
      }
    }
    if (grouped->stream) kernels->stream_fence();
  }
}

void rk_conv_grouped_forward(const rk_conv_forward_args *args, const rk_team *team) {
  const rk_conv_grouped grouped = {.src = args->src,
                                   .packed = args->packed,
                                   .bias = args->bias,
                                   .add = args->add,
                                   .slope = args->slope,
                                   .activation = args->activation,
                                   .dst = args->dst};
  run_grouped(args->plan, grouped, args->scratch, team);
}

void rk_conv_grouped_backward_data(const rk_conv_backward_data_args *args, const rk_team *team) {
  const rk_conv_grouped grouped = {
      .src = args->ddst, .packed = args->packed, .add = args->add, .activation = RK_ACTIVATION_NONE, .dst = args->dsrc};
  run_grouped(args->plan, grouped, args->scratch, team);
}

/* One piece: bands of rows, and of each all vectors. */
static void sum_piece(const rk_conv_backward_weight_args *args, const grouped_phase *ready, int64_t piece, float *sums, float *copy) {
  const rk_conv_plan *plan = args->plan;
  const rk_conv_kernels *kernels = rk_conv_kernels_of(plan->isa);
  const rk_correlation *at = &ready->grouped.at;
  const int64_t weights = at->taps_h * at->taps_w * at->c * plan->shape.k;
  int64_t begin, end;
  memset(sums, 0, (size_t)plan->block[2] * sizeof(float));
  rk_share(at->n * ready->bands, &(rk_team){.tid = (int32_t)piece, .nth = (int32_t)plan->block[1]}, &begin, &end);
  for (int64_t band = begin; band < end; band++) {
    const int64_t n = band / ready->bands, y = band % ready->bands * ready->rows, rows = rk_min64(ready->rows, at->out_h - y);
    for (int64_t vector = 0; rows > 0 && vector < ready->vectors; vector++)
      kernels->grouped_weight(&ready->grouped, n, vector, y, rows, copy, sums);
    if (args->dbias && rows > 0)
      kernels->column_sum(ready->grouped.ddst + n * at->dst_image + y * at->dst_row, rows * at->out_w, plan->shape.k, plan->shape.k,
                          sums + weights);
  }
}

void rk_conv_grouped_backward_weight(const rk_conv_backward_weight_args *args, const rk_team *team) {
  const rk_conv_plan *plan = args->plan;
  const int64_t pieces = plan->block[1], step = plan->block[2];
  float *copies = args->scratch + pieces * step;
  grouped_phase ready;
  if (prepare_weight(plan, &ready) != 0) return;
  ready.grouped.src = args->src, ready.grouped.ddst = args->ddst;
  if (team->tid < plan->threads) {
    const rk_team own = {.tid = team->tid, .nth = team->nth < plan->threads ? team->nth : plan->threads, .barrier = team->barrier};
    for (int64_t piece = -1; rk_take(&own, pieces, &piece);)
      sum_piece(args, &ready, piece, args->scratch + piece * step, copies + plan->block[0] * own.tid);
  }
  const int64_t weights = plan->shape.r * plan->shape.s * ready.grouped.at.c * plan->shape.k;
  int64_t begin, end;
  rk_team_barrier(team);
  rk_share(weights, team, &begin, &end);
  rk_conv_add_pieces(args->scratch, pieces, step, begin, end, args->dweight);
  if (args->dbias && team->tid == 0) rk_conv_add_pieces(args->scratch + weights, pieces, step, 0, plan->shape.k, args->dbias);
}
