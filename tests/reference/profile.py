# SPDX-License-Identifier: Apache-2.0
"""Expected values of src/calc/profile_test.c. Needs numpy, scipy (made with 2.4.6, 1.17.1). Writes profile_values.h beside itself."""
import pathlib
import warnings
import numpy as np
from scipy import stats
from stream import bells, c, uniforms, write

warnings.filterwarnings("ignore")
Q = [.001, .01, .05, .25, .5, .75, .95, .99, .999]
# name, type, rows, share missing, how the values are made (see make)
CASES = [
    ("bells", "WR_F64", 20000, 0, 0),
    ("cubes, some missing", "WR_F64", 5000, 0.2, 1),
    ("ties", "WR_F64", 3000, 0.05, 2),
    ("single floats", "WR_F32", 4000, 0.1, 0),
    ("far from zero", "WR_F64", 3000, 0, 3),
    ("whole numbers", "WR_I64", 6000, 0.1, 4),
    ("times", "WR_TS", 5000, 0, 5),
    ("booleans", "WR_BOOL", 999, 0.3, 6),
    ("mostly one value", "WR_F64", 5000, 0, 7),
    ("two rows", "WR_F64", 2, 0, 0),
    ("one row", "WR_F64", 1, 0, 0),
    ("rising", "WR_F64", 2500, 0, 8),
]


def make(k, n, how):
    x, u = bells(600 + k, n), uniforms(700 + k, n)
    return {
        0: lambda: x,
        1: lambda: x * x * x,
        2: lambda: np.floor(x * 4),
        3: lambda: 1e6 + x,
        4: lambda: np.floor(x * 1000),
        5: lambda: 1e15 + np.floor(u * 3e13),
        6: lambda: np.floor(u * 1.3),
        7: lambda: np.where(u < 0.0004, x, 0.25),
        8: lambda: np.arange(n) * 0.5,
    }[how]()


lines = ["static const struct {", "    const char *name; wr_type type; size_t n; double gone; int how;",
         "    size_t missing, distinct; int sorted; double min, max, mean, std, skew, kurtosis, sum;",
         "    double quantile[9]; size_t zeros, negatives, hist[20], below, above;", "} profile_cases[] = {"]
for k, (name, kind, n, gone, how) in enumerate(CASES):
    x = make(k, n, how)
    if kind == "WR_F32":
        x = x.astype(np.float32).astype(float)
    x = x[uniforms(800 + k, n) >= gone]
    q = np.quantile(x, Q)
    inside = x[(x >= q[0]) & (x <= q[-1])]
    hist = np.histogram(inside, 20, (q[0], q[-1]))[0] if q[0] < q[-1] else [len(inside)] + [0] * 19
    std = np.std(x, ddof=1) if len(x) > 1 else float("nan")
    long = x.astype(np.longdouble)  # in double, scipy's own rounding of the mean costs digits far from zero
    v = [x.min(), x.max(), long.mean(), std, stats.skew(long), stats.kurtosis(long), long.sum()]
    lines.append(f'    {{"{name}", {kind}, {n}, {gone}, {how}, {n - len(x)}, {len(np.unique(x))}, {int((np.diff(x) >= 0).all())},')
    lines.append("        " + ", ".join(map(c, v)) + ",")
    lines.append("        {" + ", ".join(map(c, q)) + "},")
    lines.append(f"        {(x == 0).sum()}, {(x < 0).sum()}, {{" + ", ".join(map(str, hist)) + "},"
                 f" {(x < q[0]).sum()}, {(x > q[-1]).sum()}}},")
lines.append("};")
write(pathlib.Path(__file__).with_name("profile_values.h"), "profile.py", lines)
