/* training.c: the loss and the optimisers' steps. Not here: schedules, clipping's decision (RengaTraining). */
#include "loops.h"
#include "reference/reference.h"
#include <math.h>
#include <string.h>

/* ---- Cross-entropy ---- */

/* Rows are summed up in pieces of this many, one result each. */
enum { PIECE_ROWS = 16 };
typedef struct piece_result {
  double loss;
  int64_t correct;
} piece_result;

static int64_t pieces_of(int64_t rows) { return rows / PIECE_ROWS + (rows % PIECE_ROWS != 0); }

size_t rk_cross_entropy_scratch(int64_t rows) { return (size_t)pieces_of(rows) * sizeof(piece_result) / sizeof(float); }

static int is_valid(const rk_cross_entropy_args *a, int64_t row) { return a->labels[row] >= 0 && a->labels[row] < a->c; }

static int is_first_largest(const float *logits, int64_t label, float largest) {
  if (logits[label] != largest) return 0;
  for (int64_t i = 0; i < label; i++)
    if (logits[i] == largest) return 0;
  return 1;
}

/* Adds a valid row to `result` and writes its gradient, 1 / valid of softmax - target. */
static void cross_entropy_row(const rk_cross_entropy_args *a, int64_t row, double valid, piece_result *result) {
  const rk_loops *loops = rk_loops_of(a->isa, RK_F32);
  const float *logits = a->logits + row * a->c;
  float *dlogits = a->dlogits == NULL ? NULL : a->dlogits + row * a->c;
  const int64_t label = a->labels[row];
  const float largest = loops->maximum(a->c, logits);
  const double smoothing = (double)a->smoothing, even = smoothing / (double)a->c;
  double target = (1 - smoothing) * ((double)logits[label] - (double)largest);
  for (int64_t i = 0; i < a->c && smoothing > 0; i++) target += even * ((double)logits[i] - (double)largest);
  result->correct += is_first_largest(logits, label, largest);
  const float total = loops->exponentials(a->c, logits, largest, dlogits); /* dlogits may be logits: read no more */
  result->loss += log((double)total) - target;
  if (dlogits == NULL) return;
  const float factor = (float)(1 / ((double)total * valid)), less = (float)(even / valid);
  for (int64_t i = 0; i < a->c; i++) dlogits[i] = dlogits[i] * factor - less;
  dlogits[label] -= (float)((1 - smoothing) / valid);
}

void rk_cross_entropy(const void *args, const rk_team *team) {
  const rk_cross_entropy_args *a = args;
  RK_REFERENCE_STEP(cross_entropy, a)
  piece_result *results = (piece_result *)a->scratch;
  int64_t valid = 0, first, last;
  for (int64_t row = 0; row < a->rows; row++) valid += is_valid(a, row); /* by every thread: cheaper than a barrier */
  rk_share(pieces_of(a->rows), team, &first, &last);
  for (int64_t piece = first; piece < last; piece++) {
    piece_result result = {0};
    for (int64_t row = piece * PIECE_ROWS; row < a->rows && row < (piece + 1) * PIECE_ROWS; row++) {
      if (is_valid(a, row)) cross_entropy_row(a, row, (double)valid, &result);
      else if (a->dlogits != NULL) memset(a->dlogits + row * a->c, 0, (size_t)a->c * sizeof *a->dlogits);
    }
    results[piece] = result;
  }
  rk_team_barrier(team);
  if (team->tid != 0) return;
  double loss = 0;
  int64_t correct = 0;
  for (int64_t piece = 0; piece < pieces_of(a->rows); piece++) loss += results[piece].loss, correct += results[piece].correct;
  *a->loss = valid > 0 ? loss / (double)valid : 0;
  *a->correct = correct;
  *a->invalid = a->rows - valid;
}

/* ---- Optimisers ---- */

void rk_sgd(const void *args, const rk_team *team) {
  const rk_sgd_args *a = args;
  RK_REFERENCE_STEP(sgd, a)
  for (const rk_parameter_range *range = a->ranges; range < a->ranges + a->range_count; range++) {
    int64_t begin, end;
    rk_share_floats(range->end - range->begin, team, &begin, &end);
    if (begin < end && range->rate_scale != 0) rk_loops_of(a->isa, RK_F32)->sgd(a, range, range->begin + begin, range->begin + end);
  }
}

void rk_adamw(const void *args, const rk_team *team) {
  const rk_adamw_args *a = args;
  RK_REFERENCE_STEP(adamw, a)
  for (const rk_parameter_range *range = a->ranges; range < a->ranges + a->range_count; range++) {
    int64_t begin, end;
    rk_share_floats(range->end - range->begin, team, &begin, &end);
    if (begin < end && range->rate_scale != 0) rk_loops_of(a->isa, RK_F32)->adamw(a, range, range->begin + begin, range->begin + end);
  }
}

/* ---- Sum of squares ---- */

enum { SQUARE_PIECE = 4096 };

size_t rk_square_sum_scratch(int64_t count) { return (size_t)(count / SQUARE_PIECE + (count % SQUARE_PIECE != 0)); }

void rk_square_sum(const void *args, const rk_team *team) {
  const rk_square_sum_args *a = args;
  enum { LANES = 8 };
  const int64_t pieces = (int64_t)rk_square_sum_scratch(a->count);
  int64_t first, last;
  rk_share(pieces, team, &first, &last);
  for (int64_t piece = first; piece < last; piece++) {
    const float *src = a->src + piece * SQUARE_PIECE;
    const int64_t left = a->count - piece * SQUARE_PIECE, count = left < SQUARE_PIECE ? left : SQUARE_PIECE;
    double lanes[LANES] = {0};
    int64_t i = 0;
    for (; i + LANES <= count; i += LANES)
      for (int lane = 0; lane < LANES; lane++) lanes[lane] += (double)src[i + lane] * (double)src[i + lane];
    for (; i < count; i++) lanes[i % LANES] += (double)src[i] * (double)src[i];
    for (int lane = 1; lane < LANES; lane++) lanes[0] += lanes[lane];
    a->scratch[piece] = lanes[0];
  }
  rk_team_barrier(team);
  if (team->tid != 0) return;
  double total = 0;
  for (int64_t piece = 0; piece < pieces; piece++) total += a->scratch[piece];
  *a->result = total;
}
