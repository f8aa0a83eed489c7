/* loops_math.h: exponentials and logarithms of vectors, to about an ulp, and the functions and slopes of rk_pointwise.h on vectors.
 * Included by loops_body.h.
 * A NaN stays a NaN. */

/* exp(r) - 1 on [-ln 2 / 2, ln 2 / 2] (Cephes' coefficients). */
INLINE vec exponential_tail(vec r) {
  vec p = spread(1.9875691500e-4f);
  p = p * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  return p * r * r + r;
}

/* exp(x) for x <= 88: 2^n times the above; below -87.3 it is 0. */
INLINE vec exponential(vec x) {
  const float LOG2E = 1.44269504f, LN2_HIGH = 0.693359375f, LN2_LOW = -2.12194440e-4f, LOWEST = -87.33f;
  const float ROUNDER = 12582912.0f; /* 1.5 * 2^23: adding it rounds to an integer in the low bits */
  vec bounded = choose(x < LOWEST, spread(LOWEST), x);
  vec shifted = bounded * LOG2E + ROUNDER;
  vec n = shifted - ROUNDER;
  vec r = bounded - n * LN2_HIGH;
  r = r - n * LN2_LOW;
  vec p = exponential_tail(r) + 1.0f;
  /* Casts between vectors keep the bits. */
  mask exponent = ((mask)shifted - (mask)spread(ROUNDER)) << 23;
  vec result = (vec)((mask)p + exponent);
  return choose(x < LOWEST, spread(0), choose(x != x, x, result));
}

/* exp(x) - 1 for x <= 0. */
INLINE vec exponential_minus_one(vec x) { return choose(x > -0.34f, exponential_tail(x), exponential(x) - 1); }

/* log(1 + z) for z in [sqrt 1/2 - 1, sqrt 2 - 1] (Cephes' coefficients). */
INLINE vec logarithm_tail(vec z) {
  vec p = spread(7.0376836292e-2f);
  p = p * z - 1.1514610310e-1f;
  p = p * z + 1.1676998740e-1f;
  p = p * z - 1.2420140846e-1f;
  p = p * z + 1.4249322787e-1f;
  p = p * z - 1.6668057665e-1f;
  p = p * z + 2.0000714765e-1f;
  p = p * z - 2.4999993993e-1f;
  p = p * z + 3.3333331174e-1f;
  vec square = z * z;
  return p * z * square - 0.5f * square + z;
}

#define LN2 0.693147181f

/* log(1 + e) for e in [0, 1]. */
INLINE vec logarithm_of_one_plus(vec e) {
  const mask large = e > 0.41421356f;
  return logarithm_tail(choose(large, (e - 1) * 0.5f, e)) + choose(large, spread(LN2), spread(0));
}

/* log(x) for normal x > 0. */
INLINE vec logarithm(vec x) {
  const mask bits = (mask)x;
  vec mantissa = (vec)((bits & 0x007fffff) | 0x3f000000); /* in [1/2, 1) */
  const mask small = mantissa < 0.70710678f;
  const vec n = __builtin_convertvector((bits >> 23 & 255) - 126 + small, vec); /* a true lane is -1 */
  vec result = logarithm_tail(choose(small, mantissa + mantissa, mantissa) - 1) + n * LN2;
  return choose(x != x, x, result);
}

INLINE vec magnitude(vec x) { return choose(x < 0, -x, x); }
INLINE vec between(vec x, float least, float most) {
  x = choose(x < least, spread(least), x);
  return choose(x > most, spread(most), x);
}

/* 1 / (1 + exp(-x)), and the same of -x in *other. */
INLINE vec logistic(vec x, vec *other) {
  const vec e = exponential(-magnitude(x)), large = 1 / (1 + e), small = e * large;
  *other = choose(x >= 0, small, large);
  return choose(x >= 0, large, small);
}

/* An odd quotient of polynomials (the least-squares one of Eigen and MLAS): two thirds of the time of one with an exponential. */
INLINE vec hyperbolic_tangent(vec x) {
  x = between(x, -7.90531110763549805f, 7.90531110763549805f);
  const vec square = x * x;
  vec p = spread(-2.76076847742355e-16f), q = spread(1.19825839466702e-06f);
  p = p * square + 2.00018790482477e-13f;
  p = p * square - 8.60467152213735e-11f;
  p = p * square + 5.12229709037114e-08f;
  p = p * square + 1.48572235717979e-05f;
  p = p * square + 6.37261928875436e-04f;
  p = p * square + 4.89352455891786e-03f;
  q = q * square + 1.18534705686654e-04f;
  q = q * square + 2.26843463243900e-03f;
  q = q * square + 4.89352518554385e-03f;
  return p * x / q;
}

/* ---- rk_function ---- */

INLINE vec of_function(rk_function function, float alpha, float beta, vec x) {
  vec other;
  switch (function) {
  case RK_SIGMOID: return logistic(x, &other);
  case RK_TANH: return hyperbolic_tangent(x);
  case RK_LEAKY_RELU: return choose(x > 0, x, x * alpha);
  case RK_CLIP: return between(x, alpha, beta);
  case RK_HARD_SIGMOID: return between(x * alpha + beta, 0, 1);
  case RK_HARD_SWISH: return x * between(x * (1.0f / 6) + 0.5f, 0, 1);
  case RK_ELU: return choose(x > 0, x, exponential_minus_one(choose(x > 0, spread(0), x)) * alpha);
  case RK_SOFTPLUS: return choose(x < 0, spread(0), x) + logarithm_of_one_plus(exponential(-magnitude(x)));
  case RK_SILU: return x * logistic(x, &other);
  }
  return x;
}

INLINE vec slope_of_function(rk_function function, float alpha, float beta, vec x) {
  vec s, other, y;
  switch (function) {
  case RK_SIGMOID: s = logistic(x, &other); return s * other;
  case RK_TANH: s = logistic(2 * x, &other); return 4 * s * other;
  case RK_LEAKY_RELU: return choose(x > 0, spread(1), spread(alpha));
  case RK_CLIP: return choose((x > alpha) & (x < beta), spread(1), spread(0));
  case RK_HARD_SIGMOID: y = x * alpha + beta; return choose((y > 0) & (y < 1), spread(alpha), spread(0));
  case RK_HARD_SWISH: return choose(x > 3, spread(1), choose(x > -3, x * (1.0f / 3) + 0.5f, spread(0)));
  case RK_ELU: return choose(x > 0, spread(1), exponential(choose(x > 0, spread(0), x)) * alpha);
  case RK_SOFTPLUS: return logistic(x, &other);
  case RK_SILU: s = logistic(x, &other); return s + x * s * other;
  }
  return spread(1);
}

/* ---- rk_pairing ---- */

INLINE vec of_pair(rk_pairing pairing, vec x, vec y) {
  switch (pairing) {
  case RK_MULTIPLY: return x * y;
  case RK_ADD: return x + y;
  case RK_SUBTRACT: return x - y;
  case RK_DIVIDE: return x / y;
  case RK_MAXIMUM: return choose((x > y) | (x != x), x, y);
  case RK_MINIMUM: return choose((x < y) | (x != x), x, y);
  }
  return x;
}

INLINE vec slope_of_pair(rk_pairing pairing, vec x, vec y, int which) {
  const vec own = which == 0 ? x : y, other = which == 0 ? y : x, half = choose(x == y, spread(0.5f), spread(0));
  switch (pairing) {
  case RK_MULTIPLY: return other;
  case RK_ADD: return spread(1);
  case RK_SUBTRACT: return spread(which == 0 ? 1 : -1);
  case RK_DIVIDE: return which == 0 ? 1 / y : -x / (y * y);
  case RK_MAXIMUM: return choose(own > other, spread(1), half);
  case RK_MINIMUM: return choose(own < other, spread(1), half);
  }
  return spread(1);
}

/* ---- Neighbouring channels ---- */

INLINE vec sum_of_neighbours(const float *first, int64_t taps, int64_t part) {
  vec total = spread(0);
  for (int64_t t = 0; t < taps; t++) total += load(first + t, part);
  return total;
}

/* s[c] of rk_lrn from the squares around c. */
INLINE vec lrn_sum(const rk_lrn_args *a, const float *squares, int64_t part) {
  return sum_of_neighbours(squares, a->before + 1 + a->after, part) * a->alpha + a->bias;
}
