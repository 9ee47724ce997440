# SPDX-License-Identifier: Apache-2.0
"""Reference values for src/calc/trees_test.c: XGBoost and scikit-learn on data that the test makes again bit by bit.

    pip install numpy scikit-learn xgboost
    python3 tests/reference/trees.py > tests/reference/trees.txt

Each line: case, metric, XGBoost's value, scikit-learn's value (on the second half-size test part of the same data).
"""
import numpy as np
import xgboost
import sklearn
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.metrics import roc_auc_score

TRAIN, TEST, FEATURES, ROUNDS, LEAVES = 20000, 10000, 8, 50, 31
CASES = {"plain": 1, "missing": 2, "category": 3, "squared": 4}


def uniform(stream, n):
    """splitmix64 at counter stream * 2^32 + i, upper 53 bits."""
    with np.errstate(over="ignore"):
        z = (np.uint64(stream) << np.uint64(32)) + np.arange(n, dtype=np.uint64)
        z = (z + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z = z ^ (z >> np.uint64(31))
    return (z >> np.uint64(11)).astype(np.float64) * 2.0**-53


def make(case):
    n, seed = TRAIN + TEST, CASES[case] * 100
    x = np.stack([(4 * uniform(seed + j, n) - 2).astype(np.float32) for j in range(FEATURES)], axis=1)
    d = x.astype(np.float64)
    z = d[:, 0] - 0.5 * d[:, 1] + 0.5 * (d[:, 2] + 1.5) * d[:, 3] + np.where(d[:, 4] > 0.5, 1.0, 0.0)
    if case == "missing":
        for j in range(3):
            x[uniform(seed + 20 + j, n) < 0.2, j] = np.nan
    if case == "category":
        code = np.floor(40 * uniform(seed + 30, n))
        z = z + (np.mod(code * 7, 11) - 5) * 0.4
        x[:, 7] = code.astype(np.float32)
    u = uniform(seed + 40, n)
    y = z + 2 * u - 1 if case == "squared" else (u < 1 / (1 + np.exp(-z))).astype(np.float64)
    return x, y.astype(np.float32)


def with_xgboost(case, x, y):
    kinds = ["c" if case == "category" and j == 7 else "q" for j in range(FEATURES)]

    def matrix(a, b=None):
        return xgboost.DMatrix(a, label=b, feature_types=kinds, enable_categorical=True)

    model = xgboost.train(
        {"objective": "reg:squarederror" if case == "squared" else "binary:logistic", "tree_method": "hist",
         "grow_policy": "lossguide", "max_leaves": LEAVES, "max_depth": 0, "eta": 0.1, "lambda": 1.0, "min_child_weight": 1.0,
         "max_bin": 254, "max_cat_to_onehot": 1, "nthread": 1},
        matrix(x[:TRAIN], y[:TRAIN]), ROUNDS)
    return model.predict(matrix(x[TRAIN:]))


def with_sklearn(case, x, y):
    kind = HistGradientBoostingRegressor if case == "squared" else HistGradientBoostingClassifier
    model = kind(max_iter=ROUNDS, max_leaf_nodes=LEAVES, learning_rate=0.1, l2_regularization=1.0, min_samples_leaf=20,
                 early_stopping=False, categorical_features=[7] if case == "category" else None, random_state=1)
    model.fit(x[:TRAIN], y[:TRAIN])
    return model.predict(x[TRAIN:]) if case == "squared" else model.predict_proba(x[TRAIN:])[:, 1]


print(f"# xgboost {xgboost.__version__}, scikit-learn {sklearn.__version__}; made by tests/reference/trees.py")
for name in CASES:
    x, y = make(name)
    values = []
    for model in (with_xgboost, with_sklearn):
        p = model(name, x, y)
        values.append(np.sqrt(np.mean((p - y[TRAIN:]) ** 2)) if name == "squared" else roc_auc_score(y[TRAIN:], p))
    print(name, "rmse" if name == "squared" else "auc", *(f"{v:.6f}" for v in values), f"{float(np.sum(y)):.3f}")
