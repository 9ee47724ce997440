# SPDX-License-Identifier: Apache-2.0
"""Models whose files name categories, trained on pandas' columns of type category, and what the libraries answer to values: forests/*_frame*.json (.ubj, .txt) and
*.rows for src/predict/categories_test.c. Needs numpy, pandas and xgboost (made with 3.2.0) or lightgbm (made with 4.7.0): `forest_categories.py xgboost|lightgbm`.

A .rows file: columns, rows of values (null = missing), answers (lists, one a row), contributions of the first rows; refused: rows that the library
raises an error for. XGBoost takes a frame whose categories are all of training's and in their order, as pandas gives them back; LightGBM any."""
import itertools
import json
import sys

import numpy as np
import pandas as pd
from forest_values import FOLDER

rng = np.random.default_rng(21)
N = 600
COLORS = ["blue", "green", "gr\u00fcn, \"x\"", "red", ""]
WIDE = [2**60, 2**60 + 1, -(2**62) - 1, 7]
frame = pd.DataFrame({
    "color": pd.Categorical(rng.choice(COLORS, N)),
    "x": np.round(rng.normal(size=N), 3).astype(np.float32),
    "size": pd.Categorical(rng.choice([10, 20, 35, -4], N)),
    "flag": rng.integers(0, 2, N).astype(np.float32),
    "wide": pd.Categorical(rng.choice(WIDE, N)),
    "price": pd.Categorical(rng.choice([0.5, 1.5, -2.25], N)),
    "new": pd.Categorical(rng.random(N) > 0.5),
    "grade": pd.Categorical(rng.choice(["low", "mid", "high"], N), categories=["low", "mid", "high"], ordered=True),
    "same": pd.Categorical(["k"] * N),
    "zip": rng.integers(0, 5, N),
})
y = ((frame.color == "red") * 2.0 + (frame.color == "") * 0.7 + frame.x + (frame["size"] == 20) * 1.3 - (frame["size"] == -4) * 0.6 + frame.flag
     + (frame.wide == 2**60) * 0.9 + (frame.price == 0.5) * 1.1 + (frame.new == True) * 0.4 + (frame.grade == "mid") * 0.8 + (frame.zip == 3) * 1.7
     + rng.normal(size=N) * 0.1)


def plain(v):
    return None if v is None or v != v else v.item() if hasattr(v, "item") else v


def combined(columns, most, unknown):
    """All values of each categorical column beside missing ones and, maybe, one never seen; numbers at random. INT64 has no missing value."""
    rows = []
    lists = []
    for c in columns:
        if isinstance(frame[c].dtype, pd.CategoricalDtype):
            seen = [plain(v) for v in frame[c].cat.categories]
            lists.append(seen + ([None] if c != "wide" else []) + ([{str: "never", bool: 3, int: 77, float: 0.75}[type(seen[0])]] if unknown else []))
        elif c == "zip":
            lists.append([0, 1, 2, 3, 4])
        else:
            lists.append([plain(np.float32(v)) for v in (-1.5, 0, 1)] + [None])
    for at, values in enumerate(lists):
        for v in values:
            row = [l[int(rng.integers(len(l)))] for l in lists]
            row[at] = v
            rows.append(row)
    every = itertools.islice(itertools.product(*lists), 100000)
    every = list(every)
    for i in rng.permutation(len(every))[:most]:
        rows.append(list(every[i]))
    return rows


def as_frame(columns, rows, dtype_of=None):
    out = {}
    for j, c in enumerate(columns):
        values = [r[j] for r in rows]
        if isinstance(frame[c].dtype, pd.CategoricalDtype):
            dtype = dtype_of(c, values) if dtype_of else None
            if dtype is None:
                seen = list(dict.fromkeys(v for v in values if v is not None))
                dtype = pd.CategoricalDtype(seen)
            codes = {v: i for i, v in enumerate(dtype.categories)}
            out[c] = pd.Categorical.from_codes([-1 if v is None else codes[v] for v in values], dtype=dtype)
        else:
            out[c] = np.array([np.nan if v is None else v for v in values], dtype=np.float32)
    return pd.DataFrame(out)


def write(name, columns, rows, answers, contributions, refused):
    as_list = lambda a: [np.atleast_1d(r).ravel().astype(float).tolist() for r in a]
    text = json.dumps({"columns": columns, "rows": rows, "answers": as_list(answers), "contributions": as_list(contributions[:20]), "refused": refused})
    (FOLDER / (name + ".rows")).write_text(text.replace("], [", "],\n[") + "\n")


def xgboost_model(name, columns, params, target, rounds, ubj=False):
    import xgboost as xgb
    make = dict(enable_categorical=True)
    version = "".join(xgb.__version__.split(".")[:2])
    b = xgb.train({"max_depth": 4, "eta": 0.5, "nthread": 1, "seed": 5, "max_cat_to_onehot": 3, **params}, xgb.DMatrix(frame[columns], label=target, **make), rounds)
    name = f"xgb{version}_{name}"
    b.save_model(FOLDER / (name + ".json"))
    if ubj:
        b.save_model(FOLDER / (name + ".ubj"))
    rows = combined(columns, 60, False)
    d = xgb.DMatrix(as_frame(columns, rows, lambda c, v: frame[c].dtype), **make)
    refused = []
    for j, c in enumerate(columns):
        if not isinstance(frame[c].dtype, pd.CategoricalDtype):
            continue
        row = list(rows[0])
        row[j] = "never" if isinstance(frame[c].cat.categories[0], str) else 2**62  # 3.2 takes the next greater one when there is one
        def only(k, v, c=c):
            if k != c:
                return frame[k].dtype
            return pd.CategoricalDtype(pd.Index([v[0]], dtype=frame[c].cat.categories.dtype))
        try:
            b.predict(xgb.DMatrix(as_frame(columns, [row], only), **make))
            raise SystemExit(f"{name}: {row} was answered")
        except xgb.core.XGBoostError as e:
            text = str(e).split("\n")[0]
            refused.append({"row": row, "error": text[text.index("Found a category"):]})
    write(name, columns, rows, b.predict(d), b.predict(d, pred_contribs=True), refused)
    print(name, len(rows), refused[0]["error"])


def lightgbm_model(name, columns, params, target, rounds, **extra):
    import lightgbm as lgb
    p = {"num_leaves": 9, "learning_rate": 0.4, "min_data_in_leaf": 5, "min_data_per_group": 5, "cat_smooth": 1, "verbose": -1, "seed": 4, "deterministic": True,
         "num_threads": 1, "max_cat_to_onehot": 3, **params}
    b = lgb.train(p, lgb.Dataset(frame[columns], label=target, **extra), rounds)
    path = FOLDER / f"lgb_{name}.txt"
    b.save_model(path)
    b = lgb.Booster(model_file=str(path))
    head, tail = path.read_text().split("end of trees")
    kept = [l for l in tail.split("\n") if l.startswith(("[categorical_feature", "[num_leaves", "pandas_categorical", "parameters", "end of"))]
    path.write_text(head + "end of trees\n\n" + "\n".join(kept) + "\n")
    rows = combined(columns, 60, True)
    f = as_frame(columns, rows)
    write(f"lgb_{name}", columns, rows, b.predict(f), b.predict(f, pred_contrib=True), [])
    print(name, len(rows))


def xgboost_models():
    columns = ["color", "x", "size", "flag", "wide", "grade"]
    classes = np.clip(np.floor(y / 2), 0, 2)
    xgboost_model("frame", columns, {"objective": "reg:squarederror"}, y, 6, ubj=True)
    xgboost_model("frameclasses", columns, {"objective": "multi:softprob", "num_class": 3}, classes, 3)
    xgboost_model("framedart", columns, {"booster": "dart", "objective": "binary:logistic", "rate_drop": 0.4, "one_drop": 1}, (y > 2).astype(float), 4)
    xgboost_model("frameone", ["color"], {"objective": "reg:squarederror"}, y, 3, ubj=True)


def lightgbm_models():
    columns = ["color", "x", "size", "flag", "wide", "price", "new", "grade", "same"]
    lightgbm_model("frame", columns, {"objective": "regression"}, y, 8)
    lightgbm_model("frameclasses", ["x", "color", "size", "price"], {"objective": "multiclass", "num_class": 3}, np.clip(np.floor(y / 2), 0, 2), 3)
    lightgbm_model("framehand", ["color", "x", "grade", "zip"], {"objective": "regression"}, y, 5, categorical_feature=["zip"])
    lightgbm_model("frameone", ["color"], {"objective": "regression"}, y, 3)


{"xgboost": xgboost_models, "lightgbm": lightgbm_models}[sys.argv[1]]()
