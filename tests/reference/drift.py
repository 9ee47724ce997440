# SPDX-License-Identifier: Apache-2.0
"""Expected values of src/calc/drift_test.c. Needs numpy, scipy (made with 2.4.6, 1.17.1). Writes drift_values.h beside itself."""
import pathlib
import warnings
import numpy as np
from scipy import stats
from scipy.spatial.distance import jensenshannon
from stream import bells, c, uniforms, write

warnings.filterwarnings("ignore")
# name, n, m, shift, scale, digits (ties; -1 = none), bins, share of missing values on the current side
NUMERIC = [
    ("same law", 5000, 3777, 0, 1, -1, 10, 0),
    ("shifted", 4000, 5100, 0.2, 1, -1, 10, 0.1),
    ("ties", 4000, 5100, 0.15, 1, 1, 10, 0.05),
    ("few values", 3000, 2000, 0.3, 1.2, 0, 10, 0),
    ("twenty bins", 900, 111, 0.05, 0.7, -1, 20, 0.3),
    ("apart", 300, 200, 9, 1, -1, 10, 0),
    ("constant, moved", 50, 40, 0.5, 0, -1, 10, 0),
    ("constant, same", 50, 40, 0, 0, -1, 10, 0),
    ("one and one", 1, 1, 0.5, 1, -1, 10, 0),
    ("one and many", 1, 50, 0.5, 1, -1, 10, 0),
    ("many and one", 50, 1, 0.5, 1, -1, 10, 0),
    ("large", 40000, 30000, 0.01, 1, -1, 10, 0),
]
# name, n, m, categories, tilt, new categories in the current sample
CATEGORIES = [
    ("same law", 5000, 4000, 12, 0.0, 0),
    ("tilted", 5000, 700, 12, 0.6, 0),
    ("new ones", 3000, 2000, 7, 0.2, 3),
    ("many", 20000, 15000, 900, 0.1, 0),
    ("binary", 100, 60, 2, 0.5, 0),
    ("single", 30, 20, 1, 0.0, 0),
]


def shares(count):
    return count / count.sum()


def psi(p, q):
    p, q = np.where(p == 0, 1e-4, p), np.where(q == 0, 1e-4, q)
    return np.sum((p - q) * np.log(p / q))


def edges_of(x, bins):
    e = np.quantile(x, [i / bins for i in range(1, bins)])
    own = [np.nextafter(a, np.inf) for a, b in zip(e, e[1:]) if a == b]
    return np.unique(np.concatenate([e, own]))


lines = ["static const struct {", "    const char *name; size_t n, m; double shift, scale; int digits, bins; double missing;",
         "    double psi, js, ks, ks_p, wasserstein, mean_ref, mean_cur; size_t n_cur;", "} drift_numeric[] = {"]
for k, (name, n, m, shift, scale, digits, bins, missing) in enumerate(NUMERIC):
    x, y = bells(100 + k, n), bells(200 + k, m)
    y = y * scale + shift
    if scale == 0:
        x = x * 0
    if digits >= 0:
        x, y = (np.floor(a * 10 ** digits + 0.5) / 10 ** digits for a in (x, y))
    y = y[uniforms(300 + k, m) >= missing]
    e = edges_of(x, bins)
    p, q = (shares(np.bincount(np.searchsorted(e, a, side="right"), minlength=len(e) + 1)) for a in (x, y))
    ks = stats.ks_2samp(x, y, method="asymp")
    w = stats.wasserstein_distance(x, y) / max(np.std(x), 1e-3)
    v = [psi(p, q), jensenshannon(p, q), ks.statistic, ks.pvalue, w, np.mean(x), np.mean(y)]
    lines.append(f'    {{"{name}", {n}, {m}, {shift}, {scale}, {digits}, {bins}, {missing},')
    lines.append("        " + ", ".join(map(c, v)) + f", {len(y)}}},")
lines += ["};", "static const struct {", "    const char *name; size_t n, m; uint32_t ncats; double tilt; uint32_t novel;",
          "    double psi, js, chi2, chi2_p, linf;", "} drift_categories[] = {"]
for k, (name, n, m, ncats, tilt, novel) in enumerate(CATEGORIES):
    u, w = uniforms(400 + k, n), uniforms(500 + k, m)
    x = np.floor(u * u * ncats).astype(int)
    y = np.floor(w * (w * (1 - tilt) + tilt) * (ncats + novel)).astype(int)
    size = ncats + novel
    r, s = np.bincount(x, minlength=size), np.bincount(y, minlength=size)
    seen = (r > 0) | (s > 0)
    r, s = r[seen], s[seen]
    p, q = shares(r), shares(s)
    chi2, chi2_p = stats.chisquare(s, r * (m / n), sum_check=False) if len(r) > 1 else (0, 1)
    v = [psi(p, q), jensenshannon(p, q), chi2, chi2_p, np.max(np.abs(p - q))]
    lines.append(f'    {{"{name}", {n}, {m}, {ncats}, {tilt}, {novel}, ' + ", ".join(map(c, v)) + "},")
lines.append("};")
write(pathlib.Path(__file__).with_name("drift_values.h"), "drift.py", lines)
