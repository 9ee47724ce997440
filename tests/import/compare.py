#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Does a server have what another store has? Read through MLflow's own client from both and compared, id for id.

    compare.py SOURCE TARGET        # e.g. sqlite:///mlflow.db http://127.0.0.1:PORT, after `weir import mlflow mlflow.db` into a fresh project

Prints what differs and how much was compared; exit code 1 when something differs. Artifact locations are not compared (they change), artifacts are.
"""
import math, os, sys, warnings

warnings.filterwarnings("ignore")
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
import mlflow
from mlflow import MlflowClient
from mlflow.entities import ViewType

V3 = int(mlflow.__version__.split(".")[0]) >= 3
LARGEST = 1.797693134862315e308


def pages(ask):
    token = None
    while True:
        page = ask(token)
        yield from page
        token = page.token
        if not token:
            return


def number(v):
    """Infinities are the largest doubles for MLflow's store; NaN equals NaN."""
    if math.isnan(v):
        return "nan"
    return math.copysign(math.inf, v) if abs(v) >= LARGEST else v


def datasets(run):
    return sorted((i.dataset.name, i.dataset.digest, i.dataset.source_type, i.dataset.source, i.dataset.schema, i.dataset.profile,
                   sorted((t.key, t.value) for t in i.tags)) for i in run.inputs.dataset_inputs)


def run_of(client, run):
    i, d = run.info, run.data
    models = []
    if V3:
        models = [sorted((m.model_id,) for m in run.inputs.model_inputs or []), sorted((m.model_id, m.step) for m in run.outputs.model_outputs or [])]
    history = {k: sorted((p.timestamp, p.step, str(number(p.value))) for p in client.get_metric_history(i.run_id, k)) for k in d.metrics}
    return {"info": (i.run_id, i.run_name, i.user_id, i.status, i.start_time, i.end_time, i.lifecycle_stage), "params": d.params, "tags": d.tags,
            "latest": {k: number(v) for k, v in d.metrics.items()}, "datasets": datasets(run), "models": models, "history": history,
            "experiment": client.get_experiment(i.experiment_id).name}


def files(client, run_id, path=None):
    for f in client.list_artifacts(run_id, path):
        if f.is_dir:
            yield from files(client, run_id, f.path)
        else:
            local = mlflow.artifacts.download_artifacts(run_id=run_id, artifact_path=f.path, tracking_uri=client.tracking_uri)
            yield f.path, open(local, "rb").read()


def experiments(client):
    found = pages(lambda t: client.search_experiments(view_type=ViewType.ALL, max_results=100, page_token=t))
    for e in found:
        yield e.name, {"stage": e.lifecycle_stage, "created": e.name != "Default" and e.creation_time, "tags": e.tags, "id": e.experiment_id}


def runs(client):
    ids = [e.experiment_id for e in pages(lambda t: client.search_experiments(view_type=ViewType.ALL, max_results=100, page_token=t))]
    for r in pages(lambda t: client.search_runs(ids, run_view_type=ViewType.ALL, max_results=50, page_token=t)):
        yield r.info.run_id, run_of(client, client.get_run(r.info.run_id)) | {"files": sorted(files(client, r.info.run_id))}


def models(client):
    prompts = ["", "tag.`mlflow.prompt.is_prompt` = 'true'"] if V3 else [""]
    for f in prompts:
        for m in pages(lambda t: client.search_registered_models(f, max_results=50, page_token=t)):
            if not f:
                m = client.get_registered_model(m.name)  # which does not give prompts
            yield m.name, {"created": m.creation_timestamp, "description": m.description or None, "tags": m.tags, "aliases": {a: str(v) for a, v in m.aliases.items()}}


def versions(client):
    for v in pages(lambda t: client.search_model_versions("", max_results=50, page_token=t)):
        v = client.get_model_version(v.name, v.version)
        yield f"{v.name}/{v.version}", {"created": v.creation_timestamp, "stage": v.current_stage, "run": v.run_id or None, "description": v.description or None,
                                        "tags": v.tags, "aliases": sorted(v.aliases), "status": v.status}


def logged(client):
    ids = [e.experiment_id for e in pages(lambda t: client.search_experiments(max_results=100, page_token=t))]
    for m in pages(lambda t: client.search_logged_models(ids, page_token=t)):
        m = client.get_logged_model(m.model_id)
        points = sorted((x.key, number(x.value), x.step, x.timestamp, x.run_id, x.dataset_name, x.dataset_digest) for x in m.metrics or [])
        yield m.model_id, {"name": m.name, "run": m.source_run_id, "status": str(m.status), "created": m.creation_timestamp, "params": m.params, "tags": m.tags,
                           "metrics": points}


def traces(client):
    ids = [e.experiment_id for e in pages(lambda t: client.search_experiments(max_results=100, page_token=t))]
    for t in pages(lambda t: client.search_traces(experiment_ids=ids, max_results=50, page_token=t)):
        i = t.info
        tags = {k: v for k, v in i.tags.items() if k != "mlflow.artifactLocation"}
        metadata = i.trace_metadata if V3 else i.request_metadata
        row = {"time": i.timestamp_ms, "took": i.execution_time_ms, "state": str(i.status), "tags": tags, "metadata": metadata,
               "spans": sorted(s.to_json() if hasattr(s, "to_json") else str(s.to_dict()) for s in t.data.spans)}
        if V3:
            row["previews"] = (i.request_preview, i.response_preview)
            row["assessments"] = sorted((a.name, str(a.value), a.rationale, a.create_time_ms, a.source.source_type) for a in i.assessments)
        yield i.request_id, row


def main():
    a, b = (MlflowClient(u, u) for u in sys.argv[1:3])
    bad = 0
    for what in [experiments, runs, models, versions, traces] + ([logged] if V3 else []):
        mlflow.set_tracking_uri(sys.argv[1])
        left = dict(what(a))
        mlflow.set_tracking_uri(sys.argv[2])
        right = dict(what(b))
        for key in sorted(left.keys() | right.keys()):
            x, y = left.get(key), right.get(key)
            for field in sorted((x or {}).keys() | (y or {}).keys()):
                one, two = (x or {}).get(field, "nothing"), (y or {}).get(field, "nothing")
                if one != two:
                    bad += 1
                    print(f"{what.__name__} {key} {field}:\n  {str(one)[:600]}\n  {str(two)[:600]}")
        print(f"{what.__name__}: {len(left)} compared")
    sys.exit(bad > 0)


main()
