#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Pipelines of scikit-learn, XGBoost and LightGBM exported to ONNX, with inputs and ONNX Runtime's answers, in the layout of ONNX's own test data:
onnx/NAME/model.onnx, onnx/NAME/test_data_set_0/input_0.pb, output_0.pb. Maps of probabilities (ZipMap) are kept as the matrix of their values.

Needs: pip install onnx onnxruntime skl2onnx onnxmltools scikit-learn xgboost lightgbm pandas. Usage: onnx_models.py (writes beside itself)
"""
import os
import shutil
import warnings
import numpy as np
import onnx
import onnxruntime as ort
import xgboost as xgb
from onnx import TensorProto, helper, numpy_helper
from skl2onnx import convert_sklearn, update_registered_converter
from skl2onnx.common.data_types import FloatTensorType, Int64TensorType, StringTensorType
from skl2onnx.common.shape_calculator import calculate_linear_classifier_output_shapes, calculate_linear_regressor_output_shapes
from onnxmltools.convert.xgboost.operator_converters.XGBoost import convert_xgboost
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris
from sklearn.decomposition import PCA
from sklearn.ensemble import ExtraTreesRegressor, GradientBoostingClassifier, GradientBoostingRegressor, IsolationForest, RandomForestClassifier, RandomForestRegressor
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, Normalizer, OneHotEncoder, OrdinalEncoder, StandardScaler
from sklearn.svm import SVC, SVR, OneClassSVM
from sklearn.tree import DecisionTreeClassifier

warnings.filterwarnings("ignore")
HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "onnx")
R = np.random.default_rng(11)
OPSETS = {"": 17, "ai.onnx.ml": 3}


def tensor(a, name):
    if a.dtype == object or a.dtype.kind == "U":
        return helper.make_tensor(name, TensorProto.STRING, a.shape, [str(x).encode() for x in a.ravel()])
    return numpy_helper.from_array(np.asarray(a, order="C"), name)


def plain(v):
    """A list of maps as the matrix of their values."""
    return np.array([list(row.values()) for row in v], np.float32) if isinstance(v, list) else v


def write(name, model, inputs):
    model.ir_version = min(model.ir_version, 9)
    model.graph.name = name  # else a random one
    folder = os.path.join(HERE, name)
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(os.path.join(folder, "test_data_set_0"))
    onnx.save(model, os.path.join(folder, "model.onnx"))
    session = ort.InferenceSession(model.SerializeToString())
    answers = session.run(None, inputs)
    for what, names, values in (("input", [i.name for i in session.get_inputs()], [inputs[i.name] for i in session.get_inputs()]), ("output", [o.name for o in session.get_outputs()], answers)):
        for k, (n, v) in enumerate(zip(names, values)):
            with open(os.path.join(folder, "test_data_set_0", f"{what}_{k}.pb"), "wb") as f:
                f.write(tensor(plain(v), n).SerializeToString())
    print(f"{name:24} {len(model.SerializeToString()):7} bytes  {sorted({n.op_type for n in model.graph.node})}")


def pipeline(name, model, X, y, rows=12, options=None, types=None, inputs=None):
    model.fit(X, y) if y is not None else model.fit(X)
    types = types or [("X", FloatTensorType([None, X.shape[1]]))]
    inputs = inputs or {"X": np.asarray(X[:: max(1, len(X) // rows)][:rows], np.float32)}
    write(name, convert_sklearn(model, initial_types=types, target_opset=OPSETS, options=options), inputs)


iris, cancer, diabetes = load_iris(return_X_y=True), load_breast_cancer(return_X_y=True), load_diabetes(return_X_y=True)
iX, iy = iris[0].astype(np.float32), iris[1]
cX, cy = cancer[0].astype(np.float32)[:, :8], cancer[1]
dX, dy = diabetes[0].astype(np.float32), diabetes[1]
names = np.array(["setosa", "versicolor", "virginica"])[iy]

pipeline("logistic", make_pipeline(StandardScaler(), LogisticRegression(max_iter=500)), iX, names)
pipeline("logistic_matrix", make_pipeline(MinMaxScaler(), LogisticRegression()), cX, cy, options={"zipmap": False})
pipeline("forest", RandomForestClassifier(8, max_depth=4, random_state=0), iX, iy)
pipeline("forest_two", RandomForestClassifier(8, max_depth=4, random_state=0), cX, cy, options={"zipmap": False})
pipeline("forest_regressor", RandomForestRegressor(6, max_depth=4, random_state=0), dX, dy)
pipeline("extra_trees_two_targets", ExtraTreesRegressor(4, max_depth=3, random_state=0), dX, np.stack([dy, dX[:, 0] * 100], 1))
pipeline("boosting", GradientBoostingClassifier(n_estimators=10, max_depth=3, random_state=0), cX, cy)
pipeline("boosting_three", GradientBoostingClassifier(n_estimators=5, max_depth=2, random_state=0), iX, iy)
pipeline("boosting_regressor", GradientBoostingRegressor(n_estimators=10, max_depth=3, random_state=0), dX, dy)
holes = cX.copy()
holes[R.random(cX.shape) < 0.1] = np.nan
pipeline("imputer_tree", make_pipeline(SimpleImputer(strategy="median"), DecisionTreeClassifier(max_depth=4, random_state=0)), holes, cy)
pipeline("mlp", make_pipeline(StandardScaler(), MLPClassifier((16, 8), max_iter=300, random_state=0)), iX, names)
pipeline("mlp_two", make_pipeline(StandardScaler(), MLPClassifier((12,), activation="tanh", max_iter=300, random_state=0)), cX, cy, options={"zipmap": False})
pipeline("mlp_regressor", MLPRegressor(hidden_layer_sizes=(16,), max_iter=300, random_state=0), dX, dy)
pipeline("pca_ridge", make_pipeline(PCA(4), Ridge()), dX, dy)
pipeline("normalizer", make_pipeline(Normalizer(), LogisticRegression()), iX, iy)
pipeline("svc", SVC(probability=True, random_state=0), iX, iy)
pipeline("svc_decisions", SVC(kernel="poly", random_state=0), iX, iy, options={"zipmap": False})
pipeline("svc_two", make_pipeline(StandardScaler(), SVC(probability=True, random_state=0)), cX[:150], cy[:150], options={"zipmap": False})
pipeline("svr", SVR(C=50), dX[:120], dy[:120])
pipeline("one_class", OneClassSVM(nu=0.2), iX, None)
pipeline("neighbours", KNeighborsClassifier(3), iX, iy)
pipeline("isolation", IsolationForest(n_estimators=6, max_samples=32, random_state=0), iX, None)

import pandas as pd
n = 200
frame = pd.DataFrame({"age": R.normal(40, 10, n).astype(np.float32), "income": R.normal(3000, 800, n).astype(np.float32), "city": R.choice(["Ulm", "Bonn", "Köln"], n), "plan": R.choice(["a", "b"], n), "visits": R.integers(0, 9, n)})
label = ((frame.age > 40) ^ (frame.city == "Ulm")).astype(int).map({0: "stays", 1: "leaves"})
columns = [("age", FloatTensorType([None, 1])), ("income", FloatTensorType([None, 1])), ("city", StringTensorType([None, 1])), ("plan", StringTensorType([None, 1])), ("visits", Int64TensorType([None, 1]))]
for name, encoder in (("columns_one_hot", OneHotEncoder(handle_unknown="ignore")), ("columns_ordinal", OrdinalEncoder())):
    model = make_pipeline(ColumnTransformer([("numbers", StandardScaler(), ["age", "income"]), ("words", encoder, ["city", "plan"]), ("counts", "passthrough", ["visits"])]), LogisticRegression(max_iter=1000))
    head = frame[:10].copy()
    if name == "columns_one_hot":
        head.loc[3, "city"] = "Rom"
    rows = {c: head[[c]].to_numpy().astype(object if t.__class__ is StringTensorType else np.int64 if c == "visits" else np.float32) for c, t in columns}
    pipeline(name, model, frame, label, types=columns, inputs=rows)

import lightgbm as lgb
from onnxmltools.convert.lightgbm.operator_converters.LightGbm import convert_lightgbm
for cls, shape in ((lgb.LGBMClassifier, calculate_linear_classifier_output_shapes), (lgb.LGBMRegressor, calculate_linear_regressor_output_shapes)):
    update_registered_converter(cls, "Lgbm" + cls.__name__, shape, convert_lightgbm, options={"nocl": [True, False], "zipmap": [True, False, "columns"]} if cls is lgb.LGBMClassifier else {"split": None})
pipeline("lightgbm", lgb.LGBMClassifier(n_estimators=8, num_leaves=7, verbose=-1), holes, cy, options={"zipmap": False})
pipeline("lightgbm_regressor", lgb.LGBMRegressor(n_estimators=8, num_leaves=7, verbose=-1), dX, dy)

for cls, shape in ((xgb.XGBClassifier, calculate_linear_classifier_output_shapes), (xgb.XGBRegressor, calculate_linear_regressor_output_shapes)):
    update_registered_converter(cls, cls.__name__, shape, convert_xgboost, options={"nocl": [True, False], "zipmap": [True, False, "columns"]} if cls is xgb.XGBClassifier else None)
pipeline("xgboost", xgb.XGBClassifier(n_estimators=10, max_depth=3), holes, cy)
pipeline("xgboost_three", xgb.XGBClassifier(n_estimators=5, max_depth=2), iX, iy, options={"zipmap": False})
pipeline("xgboost_regressor", make_pipeline(StandardScaler(), xgb.XGBRegressor(n_estimators=10, max_depth=3)), dX, dy)
