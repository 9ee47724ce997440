/* SPDX-License-Identifier: Apache-2.0 */
/* special.c - incomplete gamma and beta, Kolmogorov's law.
 *
 * Large arguments are where textbook formulas lose digits (lgamma(1e6) leaves seven); binomial and Poisson terms are
 * therefore built from the Stirling error and the deviance, as in C. Loader, "Fast and accurate computation of
 * binomial probabilities" (2000).
 */
#include "calc/special.h"

#include <float.h>
#include <math.h>
#include <stdbool.h>
#include <string.h>

#define LN_SQRT_2PI 0.918938533204672741780329736406
#define PI 3.141592653589793238462643383280

/* ln(n!) - Stirling's approximation. */
static double stirling_error(double n)
{
    if (n < 16) return lgamma(n + 1) - (n + 0.5) * log(n) + n - LN_SQRT_2PI;
    double n2 = n * n;
    return (1.0 / 12 - (1.0 / 360 - (1.0 / 1260 - (1.0 / 1680 - 1.0 / 1188 / n2) / n2) / n2) / n2) / n;
}

/* x ln(x / m) + m - x without cancellation near x = m. */
static double deviance(double x, double m)
{
    double d = x - m;
    if (fabs(d) >= 0.1 * (x + m)) return x * log(x / m) - d;
    double v = d / (x + m), sum = d * v, term = 2 * x * v, v2 = v * v;
    for (int j = 3; j < 1000; j += 2) {
        term *= v2;
        double next = sum + term / j;
        if (next == sum) break;
        sum = next;
    }
    return sum;
}

/* x^a e^-x / Gamma(a + 1) */
static double poisson_term(double a, double x)
{
    if (a < 16) return exp(a * log(x) - x - lgamma(a + 1));
    return exp(-stirling_error(a) - deviance(a, x)) / sqrt(2 * PI * a);
}

/* Lower series: P = term * (1 + x/(a+1) + x^2/((a+1)(a+2)) + ...). */
static double gamma_p_series(double a, double x)
{
    double sum = 1, term = 1;
    for (double k = a + 1; term > sum * DBL_EPSILON / 8; k++) {
        term *= x / k;
        sum += term;
    }
    return sum * poisson_term(a, x);
}

/* Legendre's continued fraction by the modified Lentz method. */
static double gamma_q_fraction(double a, double x)
{
    const double tiny = DBL_MIN / DBL_EPSILON;
    double b = x + 1 - a, c = 1 / tiny, d = 1 / b, h = d;
    for (double i = 1; i < 1e7; i++) {
        double an = -i * (i - a);
        b += 2;
        d = an * d + b;
        c = b + an / c;
        if (fabs(d) < tiny) d = tiny;
        if (fabs(c) < tiny) c = tiny;
        d = 1 / d;
        double step = c * d;
        h *= step;
        if (fabs(step - 1) < DBL_EPSILON) break;
    }
    return h * a * poisson_term(a, x);
}

double wr_gamma_q(double a, double x)
{
    if (!(a > 0) || !(x >= 0) || isinf(a)) return NAN;
    if (x == 0) return 1;
    if (isinf(x)) return 0;
    double q = x < a + 1 ? 1 - gamma_p_series(a, x) : gamma_q_fraction(a, x);
    return q < 0 ? 0 : q > 1 ? 1 : q;
}

double wr_chi2_sf(double x, double df) { return df > 0 ? x > 0 ? wr_gamma_q(df / 2, x / 2) : x <= 0 ? 1 : NAN : NAN; }

/* Binomial(n, p) at k. */
static double binomial_term(double k, double n, double p)
{
    double q = 1 - p;
    if (k == 0) return exp(n * log1p(-p));
    if (k == n) return exp(n * log(p));
    double e =
        stirling_error(n) - stirling_error(k) - stirling_error(n - k) - deviance(k, n * p) - deviance(n - k, n * q);
    return exp(e) * sqrt(n / (2 * PI * k * (n - k)));
}

/* ---- incomplete beta ---- */

double wr_beta_power(double a, double b, double x)
{
    if (!(a > 0) || !(b > 0) || !(x >= 0) || !(x <= 1) || isinf(a + b)) return NAN;
    if (x == 0 || x == 1) return 0;
    return a * b / (a + b) * binomial_term(a, a + b, x); /* C(a + b, a) = (a + b) / (a b B(a, b)) */
}

/* The continued fraction 8.17.22 of DLMF by the modified Lentz method; converges fast for x < (a + 1) / (a + b + 2). */
static double beta_fraction(double a, double b, double x)
{
    const double tiny = DBL_MIN / DBL_EPSILON;
    double c = 1, d = 1 - (a + b) * x / (a + 1);
    if (fabs(d) < tiny) d = tiny;
    d = 1 / d;
    double h = d;
    for (double m = 1; m < 1e6; m++) {
        double terms[] = {m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)),
                          -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))};
        double step = 1;
        for (int k = 0; k < 2; k++) {
            d = 1 + terms[k] * d;
            c = 1 + terms[k] / c;
            if (fabs(d) < tiny) d = tiny;
            if (fabs(c) < tiny) c = tiny;
            d = 1 / d;
            step = c * d;
            h *= step;
        }
        if (fabs(step - 1) < DBL_EPSILON) break;
    }
    return h;
}

double wr_beta_i(double a, double b, double x)
{
    double power = wr_beta_power(a, b, x);
    if (power != power) return NAN;
    if (x == 0 || x == 1) return x;
    double v = x < (a + 1) / (a + b + 2) ? power * beta_fraction(a, b, x) / a
                                         : 1 - power * beta_fraction(b, a, 1 - x) / b;
    return v < 0 ? 0 : v > 1 ? 1 : v;
}

double wr_binomial_cdf(double k, double n, double p)
{
    if (!(n >= 0) || !(p >= 0) || !(p <= 1) || k != k) return NAN;
    k = floor(k);
    return k < 0 ? 0 : k >= n ? 1 : p == 1 ? 0 : p == 0 ? 1 : wr_beta_i(n - k, k + 1, 1 - p);
}

double wr_student_cdf(double df, double t)
{
    if (!(df > 0) || t != t) return NAN;
    double t2 = t * t;
    if (isinf(t2)) return t > 0;
    double tail = t2 < 1 ? 0.5 - 0.5 * wr_beta_i(0.5, df / 2, t2 / (df + t2)) : 0.5 * wr_beta_i(df / 2, 0.5, df / (df + t2));
    return t > 0 ? 1 - tail : tail;
}

/* P(D_n+ >= x): sum over j of x C(n,j) (x + j/n)^(j-1) (1 - x - j/n)^(n-j) (Birnbaum & Tingey 1951). Beyond a million
 * terms by Maag & Dicaire's limit, as scipy. The terms of a long sum are values of one smooth function that vanishes
 * at both ends, so every s-th term times s gives the same digits (checked against the full sum in special_test.c). */
static double smirnov_sf(double n, double x)
{
    enum { TERMS = 8192 };
    if (n > 1000000) return exp(-(6 * n * x + 1) * (6 * n * x + 1) / (18 * n));
    double last = floor(n * (1 - x)), stride = n > 4 * TERMS ? floor(n / TERMS) : 1, sum = 0;
    for (double j = 0; j <= last; j += stride) {
        double p = x + j / n;
        if (p < 1) sum += binomial_term(j, n, p) / p;
    }
    return x * sum * stride;
}

/* Marsaglia, Tsang & Wang (2003): P(D_n < x) = n!/n^n (H^n)[k-1][k-1] with a matrix H of order 2k-1, k = ceil(n x). */
enum { ORDER_MAX = 101 };
typedef struct { double at[ORDER_MAX][ORDER_MAX]; } matrix;

/* c = a b, scaled down by a power of two when it grows; returns the power. */
static int multiply(matrix *c, const matrix *a, const matrix *b, int m)
{
    for (int i = 0; i < m; i++) {
        for (int j = 0; j < m; j++) c->at[i][j] = 0;
        for (int k = 0; k < m; k++) {
            double f = a->at[i][k];
            for (int j = 0; j < m; j++) c->at[i][j] += f * b->at[k][j];
        }
    }
    int e = 0;
    double mid = c->at[m / 2][m / 2];
    if (mid > 0x1p400 || (mid > 0 && mid < 0x1p-400)) {
        (void)frexp(mid, &e);
        for (int i = 0; i < m; i++) {
            for (int j = 0; j < m; j++) c->at[i][j] = ldexp(c->at[i][j], -e);
        }
    }
    return e;
}

static void durbin_matrix(matrix *a, int m, double h)
{
    memset(a, 0, sizeof *a);
    for (int i = 0; i < m; i++) {
        for (int j = 0; j < m; j++) a->at[i][j] = i - j + 1 >= 0;
    }
    for (int i = 0; i < m; i++) {
        a->at[i][0] -= pow(h, i + 1);
        a->at[m - 1][i] -= pow(h, m - i);
    }
    if (2 * h > 1) a->at[m - 1][0] += pow(2 * h - 1, m);
    for (int i = 0; i < m; i++) {
        double factorial = 1;
        for (int g = 1; g <= i + 1; g++) {
            factorial *= g;
            a->at[i][i + 1 - g] /= factorial;
        }
    }
}

static double durbin_cdf(double n, double x)
{
    int k = (int)floor(n * x) + 1, m = 2 * k - 1;
    matrix power, square, scratch;
    int power_e = 0, square_e = 0;
    if (m > ORDER_MAX) return NAN;
    durbin_matrix(&square, m, k - n * x);
    for (int i = 0; i < m; i++) {
        for (int j = 0; j < m; j++) power.at[i][j] = i == j;
    }
    for (unsigned left = (unsigned)n; left > 0; left /= 2) {
        if (left % 2) {
            power_e += square_e + multiply(&scratch, &power, &square, m);
            power = scratch;
        }
        square_e = 2 * square_e + multiply(&scratch, &square, &square, m);
        square = scratch;
    }
    double mid = power.at[k - 1][k - 1];
    /* n!/n^n as Stirling writes it */
    return exp(log(mid) + power_e * log(2) - n + 0.5 * log(2 * PI * n) + stirling_error(n));
}

/* Pelz & Good (1976): the limiting law and three terms in 1/sqrt(n). */
static double pelz_good_cdf(double n, double x)
{
    double z = sqrt(n) * x, z2 = z * z, z4 = z2 * z2, z6 = z4 * z2, k0 = 0, k1 = 0, k2 = 0, k3 = 0, k2b = 0, k3b = 0;
    const double pi2 = PI * PI, pi4 = pi2 * pi2, pi6 = pi4 * pi2;
    for (int k = 40; k >= 0; k--) { /* small terms first; each stands for +-(k + 1/2), or +-k */
        double a = (k + 0.5) * (k + 0.5), b = (double)k * k;
        double e = exp(-pi2 * a / (2 * z2)), f = exp(-pi2 * b / (2 * z2));
        k0 += e;
        k1 += (pi2 * a - z2) * e;
        k2 += ((6 * z6 + 2 * z4) + pi2 * (2 * z4 - 5 * z2) * a + pi4 * (1 - 2 * z2) * a * a) * e;
        k3 += (pi6 * a * a * a * (5 - 30 * z2) + pi4 * a * a * (-60 * z2 + 212 * z4) + pi2 * a * (135 * z4 - 96 * z6)
               - (30 * z6 + 90 * z4 * z4)) * e;
        k2b += pi2 * b * f;
        k3b += (3 * pi2 * b * z2 - pi4 * b * b) * f;
    }
    double root = sqrt(PI / 2), s = sqrt(n);
    k0 *= 2 * root / z;
    k1 *= 2 * root / (6 * z4);
    k2 = 2 * root * (k2 / (72 * z6 * z) - k2b / (36 * z2 * z));
    k3 = 2 * root * (k3 / (6480 * z6 * z4) + k3b / (216 * z6));
    return k0 + k1 / s + k2 / n + k3 / (n * s);
}

static double clip(double p) { return p < 0 ? 0 : p > 1 ? 1 : p; }

double wr_kolmogorov_sf(double n, double x)
{
    if (!(n >= 1) || x != x) return NAN;
    double t = n * x;
    if (t <= 0.5) return 1;
    if (x >= 1) return 0;
    /* Ruben & Gambino (1982) at both ends */
    if (t <= 1) return clip(1 - exp(n * log(2 * t - 1) - n + 0.5 * log(2 * PI * n) + stirling_error(n)));
    if (t >= n - 1) return clip(2 * pow(1 - x, n));
    double nxx = t * x;
    if (nxx < 0.04) return 1;   /* the cdf is below 1e-12; keeps the matrices small */
    if (nxx >= 370) return 0;
    if (x >= 0.5 || nxx > (n <= 140 ? 4 : 2.2)) return clip(2 * smirnov_sf(n, x));
    bool exact = n <= 140 || (n <= 100000 && n * pow(x, 1.5) <= 1.4);
    return clip(1 - (exact ? durbin_cdf(n, x) : pelz_good_cdf(n, x)));
}
