# SPDX-License-Identifier: Apache-2.0
"""Small models of XGBoost and what it answers, for src/predict/format_xgboost_test.c. Needs numpy and xgboost; writes forests/xgbVV_*, where VV
is the version of XGBoost (made with 1.7.6 and 3.2.0; margins of 1.7.4, Debian's, are the same bits)."""
import numpy as np
import xgboost as xgb
from forest_values import FOLDER, write

VERSION = "".join(xgb.__version__.split(".")[:2])
NEW = int(VERSION[0]) >= 2
rng = np.random.default_rng(11)
N, F, ROWS = 400, 5, 24
X = np.round(rng.normal(size=(N, F)), 3).astype(np.float32)
X[:, 3] = rng.integers(0, 12, N)           # categories of the categorical models
X[:, 4] = rng.integers(0, 3, N)
z = X[:, 0] - 0.6 * X[:, 1] * X[:, 2] + np.sin(2 * X[:, 1]) + 0.3 * (X[:, 3] % 5 - 2) + 0.5 * X[:, 4]
z = z.astype(np.float64)
X[rng.random(X.shape) < 0.08] = np.nan
noise = rng.normal(size=N) * 0.4
binary = (z + noise > 0.3).astype(float)
classes = np.clip(np.floor(z + noise + 1.2), 0, 2)
positive = np.exp(0.4 * (z + noise)) + 0.01
counts = np.floor(positive * 2)
test = X[:ROWS].copy()
test[0] = np.nan
test[1] = [0, -0.0, 1e30, 40, -1]           # categories never seen
test[2] = [-1e30, 5, 5, 3.7, 0.2]


def model(name, params, y, rounds=3, categories=False, ubj=False, names=None, contributions=True, margins=True, **extra):
    kinds = ["float", "float", "float", "c", "c"] if categories else None
    make = dict(feature_types=kinds, enable_categorical=categories, feature_names=names)
    d = xgb.DMatrix(X, label=y, **make, **extra)
    p = {"max_depth": 3, "eta": 0.4, "nthread": 1, "tree_method": "hist", "seed": 5, **params}
    if params.get("booster") == "gblinear":
        for key in ("max_depth", "tree_method"):
            p.pop(key)
    b = xgb.train(p, d, rounds)
    name = f"xgb{VERSION}_{name}"
    b.save_model(FOLDER / (name + ".json"))
    if ubj:
        b.save_model(FOLDER / (name + ".ubj"))
    t = xgb.DMatrix(test, **make)
    write(name, test, b.predict(t, output_margin=True), b.predict(t), b.predict(t, pred_contribs=True) if contributions else None)


model("squarederror", {"objective": "reg:squarederror"}, z, ubj=True, names=["a", "b", "c d", "e\"", "\u00e9"])
model("logistic", {"objective": "binary:logistic", "max_depth": 5}, binary, rounds=12, ubj=True)
model("base", {"objective": "binary:logistic", "base_score": 0.2}, binary)
model("reglogistic", {"objective": "reg:logistic"}, binary, rounds=2)
model("logitraw", {"objective": "binary:logitraw"}, binary, rounds=2)
model("hinge", {"objective": "binary:hinge"}, binary, rounds=2)
model("softprob", {"objective": "multi:softprob", "num_class": 3}, classes, rounds=2, ubj=True)
model("softmax", {"objective": "multi:softmax", "num_class": 3}, classes, rounds=2)
model("poisson", {"objective": "count:poisson"}, counts, rounds=2)
model("gamma", {"objective": "reg:gamma"}, positive, rounds=2)
model("tweedie", {"objective": "reg:tweedie"}, counts, rounds=2)
model("cox", {"objective": "survival:cox"}, np.where(binary > 0, positive, -positive), rounds=2)
model("aft", {"objective": "survival:aft"}, None, rounds=2, label_lower_bound=positive, label_upper_bound=positive + 0.5)
model("pairwise", {"objective": "rank:pairwise"}, binary, rounds=2, group=[100] * 4)
model("ndcg", {"objective": "rank:ndcg"}, binary, rounds=2, group=[100] * 4)
model("absolute", {"objective": "reg:absoluteerror"}, z, rounds=2)
model("pseudohuber", {"objective": "reg:pseudohubererror"}, z, rounds=2)
model("squaredlog", {"objective": "reg:squaredlogerror"}, positive, rounds=2)
model("targets", {"objective": "reg:squarederror"}, np.stack([z, -2 * z, z * z], 1), rounds=2)
model("multilabel", {"objective": "binary:logistic"}, np.stack([binary, 1 - binary], 1), rounds=2)
model("parallel", {"objective": "multi:softprob", "num_class": 3, "num_parallel_tree": 2, "subsample": 0.7}, classes, rounds=2)
model("dart", {"booster": "dart", "objective": "binary:logistic", "rate_drop": 0.4, "one_drop": 1}, binary, rounds=6, ubj=True)
model("linear", {"booster": "gblinear", "objective": "reg:squarederror"}, z, rounds=3)
model("linearclasses", {"booster": "gblinear", "objective": "multi:softprob", "num_class": 3}, classes, rounds=3)
model("onehot", {"objective": "binary:logistic", "max_cat_to_onehot": 50}, binary, rounds=4, categories=True, contributions=NEW)
model("categories", {"objective": "binary:logistic", "max_cat_to_onehot": 1}, binary, rounds=4, categories=True, ubj=True, contributions=NEW)
if NEW:
    model("quantile", {"objective": "reg:quantileerror", "quantile_alpha": [0.1, 0.9]}, z, rounds=2)
    model("vector", {"objective": "reg:squarederror", "multi_strategy": "multi_output_tree"}, np.stack([z, -2 * z, z * z], 1), rounds=2, ubj=True,
          contributions=False)
print(f"xgboost {xgb.__version__}")
