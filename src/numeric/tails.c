#include "numeric/tails.h"

#include <math.h>

static const double LOG_2 = 0.69314718055994530942, ROOT_HALF = 0.70710678118654752440, HALF_LOG_PI = 0.57236494292470008707,
                    HALF_LOG_TWO_PI = 0.91893853320467274178;

/* ---- normal ---- */

/* From here on the asymptotic series has all digits: its terms fall below 1e-17 before they rise. */
static const double FAR = 12;

/* log of Mills' ratio P(Z > z) / phi(z), z >= FAR (Abramowitz & Stegun 26.2.12) */
static double log_mills(double z) {
  const double q = 1 / z / z;
  double term = 1, sum = 0;
  for (int k = 1; k <= 24; k++) {
    term *= -(2 * k - 1) * q;
    sum += term;
  }
  return log1p(sum) - log(z);
}

double rh_log_normal_above(double z) {
  if (z < 0) return log1p(-0.5 * erfc(-z * ROOT_HALF));
  if (z < FAR) return log(0.5 * erfc(z * ROOT_HALF));
  return z == INFINITY ? -INFINITY : log_mills(z) - HALF_LOG_TWO_PI - 0.5 * z * z;
}

/* phi(z) / P(Z > z), z >= 0 */
static double hazard(double z, double log_above) {
  return z < FAR ? exp(-0.5 * z * z - HALF_LOG_TWO_PI - log_above) : exp(-log_mills(z));
}

/* The z >= 0 with log P(Z > z) = log_above <= -log 2. P(Z > z) <= exp(-z^2 / 2) / 2 gives a start at or beyond it, and the log-tail is
 * concave: Newton's steps come down to it and never pass it. */
static double quantile_above(double log_above) {
  if (log_above == -INFINITY) return INFINITY;
  double z = sqrt(fmax(0, -2 * (log_above + LOG_2)));
  for (int i = 0; i < 50; i++) {
    const double here = rh_log_normal_above(z), step = (log_above - here) / hazard(z, here);
    z = fmax(0, z - step);
    if (!(fabs(step) > 1e-15 * z)) break;
  }
  return z;
}

double rh_normal_score(double log_below, double log_above) {
  if (isnan(log_below) || isnan(log_above)) return NAN;
  return log_above < log_below ? quantile_above(fmin(log_above, -LOG_2)) : -quantile_above(fmin(log_below, -LOG_2));
}

/* ---- Student-t ---- */

/* log Gamma(a + 1/2) - log Gamma(a), a > 0: the asymptotic series (its terms from Tricomi & Erdelyi 1951) behind a shift of a. */
static double log_half_gamma(double a) {
  double shift = 0;
  for (; a < 16; a += 1) shift += log(a / (a + 0.5));
  const double q = 1 / a / a;
  return shift + 0.5 * log(a) - (1. / 8 - (1. / 192 - (1. / 640 - (17. / 14336 - 31. / 18432 * q) * q) * q) * q) / a;
}

/* The continued fraction of the incomplete beta function (Abramowitz & Stegun 26.5.8) by Lentz's method as Thompson & Barnett 1986 mend it:
 * I_x(a, b) = x^a (1 - x)^b / (a B(a, b)) times it. For x at most (a + 1) / (a + b + 2), where it takes some sqrt(max(a, b)) terms, or 10.
 */
static double beta_fraction(double a, double b, double x) {
  const double least = 1e-300;
  double c = 1, d = 1 - (a + b) * x / (a + 1), value;
  d = 1 / (fabs(d) < least ? least : d);
  value = d;
  for (int m = 1; m < 1000000; m++) {
    const double even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)),
                 odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1));
    const double terms[] = {even, odd};
    double change = 1;
    for (int i = 0; i < 2; i++) {
      d = 1 + terms[i] * d;
      c = 1 + terms[i] / c;
      d = 1 / (fabs(d) < least ? least : d);
      if (fabs(c) < least) c = least;
      change *= c * d;
    }
    value *= change;
    if (fabs(change - 1) < 1e-16) break;
  }
  return value;
}

/* P(T > t) = I_x(df / 2, 1 / 2) / 2 for t >= 0, x = 1 / (1 + r^2) and r = t / sqrt(df); near 0 (1 - I_(1 - x)(1 / 2, df / 2)) / 2, which
 * is no small number there. */
double rh_log_student_above(double t, double df) {
  const double r = fabs(t) / sqrt(df), a = 0.5 * df;
  if (isnan(r)) return NAN;
  if (r == INFINITY) return t > 0 ? -INFINITY : 0;
  const double log_x = r > 1 ? -2 * log(r) - log1p(1 / r / r) : -log1p(r * r), x = exp(log_x);
  const double log_beta = HALF_LOG_PI - log_half_gamma(a);
  double above;
  if (x <= (a + 1) / (a + 2.5)) {
    const double root = r > 1 ? 1 / sqrt(1 + 1 / r / r) : r / sqrt(1 + r * r); /* (1 - x)^(1 / 2) */
    above = a * log_x + log(root * beta_fraction(a, 0.5, x) / df) - log_beta;
  } else {
    const double y = r * r / (1 + r * r);
    above = log1p(-2 * sqrt(y) * exp(a * log_x - log_beta) * beta_fraction(0.5, a, y)) - LOG_2;
  }
  return t >= 0 ? fmin(above, -LOG_2) : log1p(-exp(fmin(above, -LOG_2)));
}
