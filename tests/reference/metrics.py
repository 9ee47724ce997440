# SPDX-License-Identifier: Apache-2.0
"""Expected values of src/calc/metrics_test.c. Needs numpy, scikit-learn (made with 1.9.1). Writes metrics_values.h beside itself."""
import pathlib
import warnings
import numpy as np
from sklearn import metrics as m
from sklearn.calibration import calibration_curve
from stream import c, uniforms, write

warnings.filterwarnings("ignore")
CASES = [  # name, n, share of ones, digits p is rounded to (ties), 0 = none, share of p that are exactly 0 or 1
    ("smooth", 4000, 0.3, 0, 0),
    ("ties", 4000, 0.05, 1, 0),
    ("edges", 1000, 0.5, 2, 0.2),
    ("two", 2, 0.5, 0, 0),
    ("noise", 777, 0.5, 3, 0),
]


def data(k, n, ones, digits, ends):
    u = uniforms(1000 + k, 3 * n).reshape(n, 3)
    y = (u[:, 0] < ones).astype(int)
    if n == 2:
        y[:] = [0, 1]
    p = (u[:, 1] + (0.3 * y if k != 4 else 0)) / (1.3 if k != 4 else 1)
    if digits:
        p = np.floor(p * 10 ** digits + 0.5) / 10 ** digits
    p[u[:, 2] < ends] = np.floor(p[u[:, 2] < ends] * 2)
    return y, np.clip(p, 0, 1)


lines = ["static const struct {", "    const char *name; size_t n; double ones, digits, ends;",
         "    double auc, ap, log_loss, brier, threshold, accuracy, balanced, precision, recall, f1, rmse, mae, ece;",
         "    double mean_p[10], share_1[10];", "} metrics_cases[] = {"]
for k, (name, n, ones, digits, ends) in enumerate(CASES):
    y, p = data(k, n, ones, digits, ends)
    t = 0.4
    hard = p >= t
    share, mean = np.full(10, np.nan), np.full(10, np.nan)
    bins = np.searchsorted(np.linspace(0, 1, 11)[1:-1], p)
    used = np.unique(bins)
    share[used], mean[used] = calibration_curve(y, p, n_bins=10, strategy="uniform")
    ece = sum(np.sum(bins == b) * abs(share[b] - mean[b]) for b in used) / n
    v = [m.roc_auc_score(y, p), m.average_precision_score(y, p), m.log_loss(y, p, labels=[0, 1]), m.brier_score_loss(y, p), t,
         m.accuracy_score(y, hard), m.balanced_accuracy_score(y, hard), m.precision_score(y, hard, zero_division=0),
         m.recall_score(y, hard, zero_division=0), m.f1_score(y, hard, zero_division=0),
         m.mean_squared_error(y, p) ** 0.5, m.mean_absolute_error(y, p), ece]
    lines.append(f'    {{"{name}", {n}, {ones}, {digits}, {ends},')
    lines.append("        " + ", ".join(map(c, v)) + ",")
    lines.append("        {" + ", ".join(map(c, mean)) + "},")
    lines.append("        {" + ", ".join(map(c, share)) + "}},")
lines.append("};")
write(pathlib.Path(__file__).with_name("metrics_values.h"), "metrics.py", lines)
