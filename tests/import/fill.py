#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Fills a store of MLflow with a little of everything: fill.py FOLDER [URI]; the database is FOLDER/mlflow.db, artifacts are in FOLDER/art, unless URI is a server."""
import math, os, sys, warnings

warnings.filterwarnings("ignore")
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
import mlflow, mlflow.pyfunc
import numpy as np
from mlflow import MlflowClient
from mlflow.entities import Metric

V3 = int(mlflow.__version__.split(".")[0]) >= 3
folder = os.path.abspath(sys.argv[1])
uri = sys.argv[2] if len(sys.argv) > 2 else f"sqlite:///{folder}/mlflow.db"
local = not uri.startswith("http")
os.makedirs(folder, exist_ok=True)
mlflow.set_tracking_uri(uri)
mlflow.set_registry_uri(uri)
c = MlflowClient()


def place(n):
    return f"file://{folder}/art/{n}" if local else None


def one_run(i, dataset):
    with mlflow.start_run(run_name=f"run {i}", tags={"i": str(i), "multi": 'a\nb"c"'}) as r:
        rid = r.info.run_id
        mlflow.log_params({"lr": 0.1 * i, "empty": "", "big": "x" * 3000})
        c.log_batch(rid, metrics=[Metric("loss", 1 / (s + 1) + i, 1600000000000 + s * 10, s) for s in range(700)])
        c.log_batch(rid, metrics=[Metric("odd", math.nan, 1600000000001, 0), Metric("odd", math.inf, 1600000000002, 1),
                                  Metric("odd", -math.inf, 1600000000003, -2), Metric("odd", 5.5, 1600000000003, 3)])
        c.log_batch(rid, metrics=[Metric("nan", math.nan, 1600000000001, 7)])
        mlflow.log_text(f"hello {i}", "notes/a b.txt")
        mlflow.log_text("same", "same.txt")
        mlflow.log_input(dataset, context="training", tags={"split": "a"})
        return rid


def registry(rid):
    c.create_registered_model("model one", tags={"a": "b"}, description="what")
    source = f"{folder}/art/1/{rid}/artifacts/m" if local else c.get_run(rid).info.artifact_uri + "/m"
    for v in range(3):
        c.create_model_version("model one", source, run_id=rid, tags={"v": str(v)}, description=f"d{v}")
    c.set_registered_model_alias("model one", "champion", "2")
    c.transition_model_version_stage("model one", "1", "Production")
    c.delete_model_version("model one", "3")
    if V3:
        mlflow.register_prompt("greet", "hello {{name}}", commit_message="first")


class Same(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input, params=None):
        return model_input


def logged(dataset):
    with mlflow.start_run(run_name="logs model"):
        if V3:
            info = mlflow.pyfunc.log_model(name="pm", python_model=Same(), pip_requirements=[], registered_model_name="logged")
            mlflow.log_metric("acc", 0.5, model_id=info.model_id, dataset=dataset)
            mlflow.log_metric("acc", 0.75, step=1, model_id=info.model_id)
        else:
            mlflow.pyfunc.log_model(artifact_path="pm", python_model=Same(), pip_requirements=[], registered_model_name="logged")


@mlflow.trace(name="inner", span_type="LLM")
def inner(x):
    return x + 1


@mlflow.trace(name="outer")
def outer(x):
    return {"y": inner(x)}


def traces():
    outer(1), outer(2)
    if not V3:
        return
    mlflow.flush_trace_async_logging()
    t = mlflow.search_traces(return_type="list")[0]
    mlflow.set_trace_tag(t.info.trace_id, "k", "v")
    mlflow.log_feedback(trace_id=t.info.trace_id, name="good", value=True, rationale="because")
    mlflow.log_expectation(trace_id=t.info.trace_id, name="want", value={"a": 1})


def main():
    c.create_experiment("import-a", artifact_location=place(1), tags={"team": "größe ✓"})
    gone = c.create_experiment("import-gone", artifact_location=place(2))
    mlflow.set_experiment("import-a")
    dataset = mlflow.data.from_numpy(np.arange(6).reshape(3, 2), source="http://example.com/d", name="numbers")
    runs = [one_run(i, dataset) for i in range(3)]
    c.delete_run(runs[2])
    with mlflow.start_run(run_name="child", tags={"mlflow.parentRunId": runs[0]}):
        pass
    c.create_run(gone)
    c.delete_experiment(gone)
    registry(runs[0])
    logged(dataset)
    traces()


main()
