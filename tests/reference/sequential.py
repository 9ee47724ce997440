# SPDX-License-Identifier: Apache-2.0
"""Expected values of src/calc/sequential_test.c, bandit_test.c and special_test.c. Needs scipy (made with 1.17.1). Writes sequential_values.h."""
import math
import pathlib
import numpy as np
from scipy import integrate, optimize, special, stats
from stream import c, write

lines = ["static const struct { double a, b, x, i; } beta_values[] = {"]
for a in (0.5, 1, 1.5, 3, 12, 100, 2500.5, 1e5, 1e6):
    for b in (0.5, 1, 2, 17, 333, 1e4, 1e6):
        m, sd = a / (a + b), math.sqrt(a * b / ((a + b) ** 2 * (a + b + 1)))
        for x in (m, m - sd, m + sd, m - 4 * sd, m + 4 * sd, 0.001, 0.5, 0.999):
            if 0 < x < 1:
                i = special.betainc(a, b, x)
                if i > 1e-290:
                    lines.append(f"    {{{c(a)}, {c(b)}, {c(x)}, {c(i)}}},")
lines += ["};", "static const struct { double df, t, p; } student_values[] = {"]
for df in (1, 2, 3.5, 10, 100, 1e4, 1e6):
    for t in (-30, -5, -1.5, -0.1, 0, 0.01, 0.7, 2, 8, 50):
        lines.append(f"    {{{c(df)}, {c(t)}, {c(stats.t.cdf(t, df))}}},")
lines += ["};", "static const struct { double k, n, q, p; } binomial_values[] = {"]
for n in (1, 10, 200, 5000, 1000000):
    for q in (0.01, 0.5, 0.9, 0.99):
        for z in (-3, 0, 1, 4):
            k = math.floor(n * q + z * math.sqrt(n * q * (1 - q)))
            if 0 <= k <= n:
                lines.append(f"    {{{k}, {n}, {q}, {c(stats.binom.cdf(k, n, q))}}},")


def worse(bad_a, n_a, bad_b, n_b, delta):
    a, b = stats.beta(bad_a + 1, n_a - bad_a + 1), stats.beta(bad_b + 1, n_b - bad_b + 1)
    points = sorted({min(max(p, 0), 1) for p in [a.ppf(q) for q in (1e-14, 1e-9, 1e-4, .1, .5, .9, 1 - 1e-4, 1 - 1e-9, 1 - 1e-14)] +
                     [b.ppf(q) - delta for q in (1e-9, 1e-4, .1, .5, .9, 1 - 1e-4, 1 - 1e-9)] + [-delta, 1 - delta]} | {0.0, 1.0})
    return sum(integrate.quad(lambda x: a.pdf(x) * b.sf(x + delta), lo, hi, epsabs=1e-14, epsrel=1e-12, limit=200)[0]
               for lo, hi in zip(points, points[1:]))


lines += ["};", "static const struct { double bad_a, n_a, bad_b, n_b, delta, p; } worse_values[] = {"]
for case in ((0, 0, 0, 0), (0, 10, 0, 10), (0, 200, 3, 200), (2, 1000, 9, 300), (50, 1000, 55, 1000), (0, 5, 5, 5), (10, 10, 3, 9), (0, 100000, 40, 20000),
             (1234, 1000000, 200, 90000), (0, 3, 0, 1000000), (700, 1000, 710, 1000)):
    for delta in (0, 0.01, -0.02, 0.2):
        lines.append(f"    {{{', '.join(map(str, case))}, {delta}, {c(worse(*case, delta))}}},")


# The mixture as an integral over the normal prior, not by its closed form.
def ratio(d, v, null, tau):
    f = lambda t: stats.norm.pdf(t, 0, tau) * math.exp((2 * (d - null) * t - t * t) / (2 * v))
    centre = (d - null) * tau * tau / (v + tau * tau)
    width = math.sqrt(v * tau * tau / (v + tau * tau))
    return integrate.quad(f, centre - 12 * width, centre + 12 * width, epsabs=0, epsrel=1e-12)[0]


lines += ["};", "static const struct { double d, v, null, tau, p; } mixture_values[] = {"]
for d, v, null, tau in ((0.1, 0.001, 0, 0.05), (0, 0.01, 0, 0.1), (-0.3, 0.02, -0.1, 0.2), (0.02, 1e-5, 0, 0.01), (1, 1, 0, 1)):
    lines.append(f"    {{{d}, {v}, {null}, {tau}, {c(1 / ratio(d, v, null, tau))}}},")
lines += ["};", "static const struct { double v, tau, alpha, half; } width_values[] = {"]
for v, tau, alpha in ((0.001, 0.05, 0.05), (0.01, 0.1, 0.01), (1, 1, 0.05), (1e-5, 0.01, 0.1)):
    half = optimize.brentq(lambda d: math.log(ratio(d, v, 0, tau)) - math.log(1 / alpha), 0, 12 * math.sqrt(v), xtol=1e-14)
    lines.append(f"    {{{v}, {tau}, {alpha}, {c(half)}}},")

lines += ["};", "static const struct { double n, q, alpha, lo, hi; } rank_values[] = { /* ranks, from 1; lo 0 and hi > n: there is none */"]
for n in (10, 100, 459, 1000, 20000, 1000000):
    for q in (0.5, 0.99):
        for alpha in (0.05, 1e-6):
            lines.append(f"    {{{n}, {q}, {alpha}, {int(stats.binom.ppf(alpha / 2, n, q))}, {int(stats.binom.ppf(1 - alpha / 2, n, q)) + 1}}},")


def best(dists):
    out = []
    for i, d in enumerate(dists):
        cuts = sorted({e.mean() + z * e.std() if e.kwds == {} else e.ppf(z) for e in dists for z in (1e-13, 1e-9, 1e-6, 1e-3, .05, .25, .5, .75, .95, .999, 1 - 1e-6, 1 - 1e-9, 1 - 1e-13)})
        out.append(sum(integrate.quad(lambda x: d.pdf(x) * np.prod([e.cdf(x) for k, e in enumerate(dists) if k != i]), lo, hi, epsabs=1e-13, limit=300)[0]
                       for lo, hi in zip(cuts, cuts[1:])))
    return out


class Beta:
    def __init__(self, s, n):
        self.d, self.kwds = stats.beta(1 + s, 1 + n - s), {"x": 0}
        self.pdf, self.cdf, self.ppf = self.d.pdf, self.d.cdf, self.d.ppf


class Nig:
    """Normal-inverse-gamma with mean 0, weight 1e-3, shape 1, scale 1 after n values of that mean and sum of squares."""
    def __init__(self, n, mean, m2):
        kappa, alpha = 1e-3 + n, 1 + n / 2
        beta = 1 + m2 / 2 + 1e-3 * n * mean * mean / (2 * kappa)
        self.d, self.kwds = stats.t(2 * alpha, n * mean / kappa, math.sqrt(beta / (alpha * kappa))), {"x": 0}
        self.pdf, self.cdf, self.ppf = self.d.pdf, self.d.cdf, self.d.ppf


lines += ["};", "static const struct { int arms; double n[4], sum[4], p[4]; } beta_best_values[] = {"]
for arms in (((10, 3), (10, 5)), ((1000, 100), (1000, 130), (50, 6)), ((0, 0), (0, 0), (0, 0), (0, 0)), ((100000, 2000), (100000, 2050), (10, 0)), ((500, 0), (700, 1))):
    p = best([Beta(s, n) for n, s in arms])
    lines.append(f"    {{{len(arms)}, {{{', '.join(str(n) for n, s in arms)}}}, {{{', '.join(str(s) for n, s in arms)}}}, {{{', '.join(c(x) for x in p)}}}}},")
lines += ["};", "static const struct { int arms; double n[4], mean[4], m2[4], p[4]; } normal_best_values[] = {"]
for arms in (((10, 1, 9), (10, 2, 12)), ((1000, 5, 999), (1000, 5.1, 1100), (20, 5.3, 15)), ((5000, -0.5, 200), (4000, -0.51, 900)), ((6, 10, 3), (8, 10.4, 20), (30, 9.7, 33))):
    p = best([Nig(*a) for a in arms])
    lines.append(f"    {{{len(arms)}, " + ", ".join("{" + ", ".join(str(a[k]) for a in arms) + "}" for k in range(3)) + f", {{{', '.join(c(x) for x in p)}}}}},")
lines.append("};")
write(pathlib.Path(__file__).with_name("sequential_values.h"), "sequential.py", lines)
