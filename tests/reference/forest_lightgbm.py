# SPDX-License-Identifier: Apache-2.0
"""Small models of LightGBM and what it answers, for src/predict/format_lightgbm_test.c. Needs numpy and lightgbm (made with 4.6.0); writes
forests/lgb_*. Features are float32 values, as the server's are; thresholds are doubles."""
import lightgbm as lgb
import numpy as np
from forest_values import FOLDER, write

rng = np.random.default_rng(12)
N, F, ROWS = 500, 5, 24
X = np.round(rng.normal(size=(N, F)), 3).astype(np.float32).astype(np.float64)
X[:, 1] = np.where(rng.random(N) < 0.3, 0, X[:, 1])
X[:, 3] = rng.integers(0, 40, N)
X[:, 4] = rng.integers(0, 3, N)
z = X[:, 0] - 0.6 * X[:, 1] * X[:, 2] + np.sin(2 * X[:, 1]) + 0.3 * (X[:, 3] * 7 % 11 - 5) + 0.5 * X[:, 4]
X[:, 0][rng.random(N) < 0.1] = np.nan      # 1 and 2 have no missing values: NaN is 0 for them
X[:, 3][rng.random(N) < 0.1] = np.nan
noise = rng.normal(size=N) * 0.4
binary = (z + noise > 0.3).astype(float)
classes = np.clip(np.floor(z + noise + 1.2), 0, 2)
positive = np.exp(0.4 * (z + noise)) + 0.01
test = X[:ROWS].copy()
test[0] = np.nan
test[1] = [0, -0.0, 1e30, 99, -1]
test[2] = [-1e30, 5, 5, 3.7, -0.5]
test[3] = [np.float32(1e-36), np.float32(-1e-36), np.float32(1e-34), -3, 2.2]
test = test.astype(np.float32).astype(np.float64)


def model(name, params, y, rounds=3, categories=False, contributions=True, **extra):
    p = {"num_leaves": 7, "learning_rate": 0.3, "min_data_in_leaf": 5, "min_data_per_group": 5, "cat_smooth": 1, "verbose": -1, "seed": 4,
         "deterministic": True, "num_threads": 1, **params}
    d = lgb.Dataset(X, label=y, categorical_feature=[3, 4] if categories else [], **extra)
    b = lgb.train(p, d, rounds)
    b.save_model(FOLDER / f"lgb_{name}.txt")
    b = lgb.Booster(model_file=str(FOLDER / f"lgb_{name}.txt"))
    if name != "regression":  # the list of parameters behind the trees is long: one model keeps it
        path = FOLDER / f"lgb_{name}.txt"
        path.write_text(path.read_text().split("end of trees")[0] + "end of trees\n")
    trees = rounds if params.get("boosting") == "rf" else 1  # LightGBM averages answers of forests, not raw scores and contributions
    phi = b.predict(test, pred_contrib=True) / trees if contributions else None
    write(f"lgb_{name}", test, b.predict(test, raw_score=True) / trees, b.predict(test), phi)


model("regression", {"objective": "regression", "num_leaves": 15}, z, rounds=10, feature_name=["a", "b", "c", "d", "e"])
model("binary", {"objective": "binary", "sigmoid": 1.7}, binary)
model("categories", {"objective": "binary", "max_cat_to_onehot": 1}, binary, rounds=6, categories=True)
model("zeromissing", {"objective": "regression", "zero_as_missing": True}, z, rounds=6)
model("nomissing", {"objective": "regression", "use_missing": False}, z, rounds=3)
model("multiclass", {"objective": "multiclass", "num_class": 3}, classes, rounds=2)
model("ova", {"objective": "multiclassova", "num_class": 3}, classes, rounds=2)
model("sqrt", {"objective": "regression", "reg_sqrt": True}, z, rounds=2)
model("l1", {"objective": "regression_l1"}, z, rounds=2)
model("huber", {"objective": "huber"}, z, rounds=1)
model("fair", {"objective": "fair"}, z, rounds=1)
model("quantile", {"objective": "quantile"}, z, rounds=1)
model("mape", {"objective": "mape"}, positive, rounds=1)
model("poisson", {"objective": "poisson"}, positive, rounds=2)
model("gamma", {"objective": "gamma"}, positive, rounds=1)
model("tweedie", {"objective": "tweedie"}, positive, rounds=1)
model("entropy", {"objective": "cross_entropy"}, binary, rounds=1)
model("entropylambda", {"objective": "cross_entropy_lambda"}, binary, rounds=1)
model("lambdarank", {"objective": "lambdarank"}, binary, rounds=1, group=[100] * 5)
model("xendcg", {"objective": "rank_xendcg"}, binary, rounds=1, group=[100] * 5)
model("forest", {"objective": "binary", "boosting": "rf", "bagging_freq": 1, "bagging_fraction": 0.6}, binary, rounds=4)
model("dart", {"objective": "binary", "boosting": "dart", "drop_rate": 0.5}, binary, rounds=4)
model("stump", {"objective": "regression", "min_data_in_leaf": 400}, z, rounds=2)
model("linear", {"objective": "regression", "linear_tree": True}, np.nan_to_num(z), rounds=1, contributions=False)  # refused
print(f"lightgbm {lgb.__version__}")
