#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What people do with MLflow, through MLflow's own client, with every answer read back and compared.

    MLFLOW_TRACKING_URI=http://127.0.0.1:PORT workflow.py [PART...]

Runs unmodified with the clients 2.22 and 3.x, against MLflow's server of the same version and against Weir; makes experiments and models with names
of its own, so it can run again on the same server. Prints a line a part and `N passed, N failed`; exit code 1 when a part failed.
"""
import contextlib, io, json, logging, math, os, sys, tempfile, time, traceback, uuid, warnings

warnings.filterwarnings("ignore")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
import mlflow
import numpy as np
import pandas as pd
from mlflow import MlflowClient
from mlflow.entities import Metric, Param, RunTag, ViewType
from mlflow.exceptions import MlflowException

logging.getLogger("mlflow").setLevel(logging.ERROR)
V3 = int(mlflow.__version__.split(".")[0]) >= 3
PARTS = []


def part(function):
    PARTS.append(function)
    return function


def fresh(what):
    return f"{what}-{uuid.uuid4().hex[:12]}"


def same(got, wanted):
    """assert with both sides in the message."""
    if got != wanted and not (isinstance(got, float) and isinstance(wanted, float) and math.isnan(got) and math.isnan(wanted)):
        raise AssertionError(f"got {got!r}, wanted {wanted!r}")


def close(got, wanted):
    same(bool(np.allclose(got, wanted)), True)


@contextlib.contextmanager
def refused(code):
    """The server (or the client before it) says no with this error code."""
    try:
        yield
    except MlflowException as e:
        same(e.error_code, code)
        return
    raise AssertionError(f"no error, wanted {code}")


@contextlib.contextmanager
def experiment(what):
    """An experiment of its own, active inside."""
    name = fresh(what)
    made = mlflow.set_experiment(name)
    try:
        yield made
    finally:
        while mlflow.active_run():
            mlflow.end_run()


def pages(ask):
    """All results of a paged search, and the number of pages; ask(token) -> PagedList."""
    out, token, n = [], None, 0
    while True:
        page = ask(token)
        out += list(page)
        token, n = page.token, n + 1
        if not token:
            return out, n
        assert n < 1000, "the pages do not end"


@part
def experiments():
    c, name = MlflowClient(), fresh("exp")
    before = int(time.time() * 1000) - 1000
    eid = c.create_experiment(name, tags={"team": "a", "with space": "größe ✓"})
    assert eid.isdigit(), eid
    e = c.get_experiment(eid)
    same((e.name, e.lifecycle_stage, e.tags), (name, "active", {"team": "a", "with space": "größe ✓"}))
    assert before <= e.creation_time <= before + 60000 and e.last_update_time >= e.creation_time
    same(c.get_experiment_by_name(name).experiment_id, eid)
    same(c.get_experiment_by_name(fresh("none")), None)
    same(c.get_experiment("0").experiment_id, "0")
    with refused("RESOURCE_ALREADY_EXISTS"):
        c.create_experiment(name)
    with refused("RESOURCE_DOES_NOT_EXIST"):
        c.get_experiment("999999999")
    with refused("INVALID_PARAMETER_VALUE"):
        c.create_experiment("")
    c.set_experiment_tag(eid, "team", "b")
    c.set_experiment_tag(eid, "k", "v")
    same(c.get_experiment(eid).tags, {"team": "b", "k": "v", "with space": "größe ✓"})
    renamed = fresh("renamed")
    c.rename_experiment(eid, renamed)
    same((c.get_experiment(eid).name, c.get_experiment_by_name(name)), (renamed, None))
    c.delete_experiment(eid)
    same(c.get_experiment(eid).lifecycle_stage, "deleted")
    same(c.get_experiment_by_name(renamed).lifecycle_stage, "deleted")
    with refused("RESOURCE_ALREADY_EXISTS"):
        c.create_experiment(renamed)
    with refused("INVALID_PARAMETER_VALUE"):
        c.create_run(eid)
    c.restore_experiment(eid)
    same(c.get_experiment(eid).lifecycle_stage, "active")
    with refused("RESOURCE_DOES_NOT_EXIST"):
        c.restore_experiment(eid)


@part
def search_experiments():
    c, mark = MlflowClient(), fresh("mark")
    ids = [c.create_experiment(f"{mark}/{'AbC'[i % 3]}{i}", tags={"mark": mark, "n": str(i), **({"odd": "1"} if i % 2 else {})}) for i in range(7)]
    c.delete_experiment(ids[6])
    find = lambda f="", **kw: [e.experiment_id for e in mlflow.search_experiments(filter_string=f"tags.mark = '{mark}'" + (f" AND {f}" if f else ""), **kw)]
    same(find(), list(reversed(ids[:6])))  # the newest first
    same(find(order_by=["name ASC"]), sorted(ids[:6], key=lambda i: c.get_experiment(i).name))
    same(find(order_by=["creation_time ASC", "name"]), ids[:6])
    same(set(find(view_type=ViewType.ALL)), set(ids))
    same(find(view_type=ViewType.DELETED_ONLY), [ids[6]])
    same(set(find("tags.odd = '1'")), {ids[1], ids[3], ids[5]})
    same(set(find("tags.odd != '2'")), {ids[1], ids[3], ids[5]})  # without the tag: no match
    same(set(find(f"name LIKE '{mark}/b%'")), {ids[1], ids[4]})
    same(set(find(f"name ILIKE '{mark}/a%'")), {ids[0], ids[3]})
    same(set(find(f"name LIKE '{mark}/a%'")), set())
    same(find("tags.`n` = '3' and creation_time > 0"), [ids[3]])
    got, n = pages(lambda t: c.search_experiments(filter_string=f"tags.mark = '{mark}'", max_results=2, page_token=t, order_by=["name DESC"]))
    same(([e.experiment_id for e in got], n), (find(order_by=["name DESC"]), 3))
    for bad in ("name = x", "name > 'a'", "params.a = 'b'", "nothing = 'x'", "name = 'a' AND"[:-4] + " garbage"):
        with refused("INVALID_PARAMETER_VALUE"):
            mlflow.search_experiments(filter_string=bad)
    with refused("INVALID_PARAMETER_VALUE"):
        mlflow.search_experiments(order_by=["nothing"])


@part
def runs():
    with experiment("runs") as e:
        c = MlflowClient()
        with mlflow.start_run(run_name="parent", tags={"kind": "outer"}, description="why it ran") as parent:
            same(mlflow.active_run().info.run_id, parent.info.run_id)
            mlflow.log_param("depth", 0)
            with mlflow.start_run(nested=True, run_name="child") as child:
                mlflow.log_param("depth", 1)
                with mlflow.start_run(nested=True) as grandchild:
                    mlflow.log_metric("m", 3)
        p, ch, g = (c.get_run(r.info.run_id) for r in (parent, child, grandchild))
        same((p.info.run_name, p.info.status, p.info.lifecycle_stage, p.info.experiment_id), ("parent", "FINISHED", "active", e.experiment_id))
        same((p.data.tags["kind"], p.data.tags["mlflow.note.content"], p.data.tags["mlflow.runName"]), ("outer", "why it ran", "parent"))
        assert p.info.start_time <= p.info.end_time and len(p.info.run_id) == 32 and p.info.artifact_uri.endswith(f"/{p.info.run_id}/artifacts"), p.info
        same(ch.data.tags["mlflow.parentRunId"], p.info.run_id)
        same(g.data.tags["mlflow.parentRunId"], ch.info.run_id)
        assert g.info.run_name and g.info.run_name == g.data.tags["mlflow.runName"]
        same(mlflow.get_parent_run(ch.info.run_id).info.run_id, p.info.run_id)
        children = mlflow.search_runs([e.experiment_id], f"tags.mlflow.parentRunId = '{p.info.run_id}'", output_format="list")
        same([r.info.run_id for r in children], [ch.info.run_id])
        failed = None
        with contextlib.suppress(ZeroDivisionError):
            with mlflow.start_run() as failed:
                1 / 0
        same(c.get_run(failed.info.run_id).info.status, "FAILED")
        with mlflow.start_run(run_id=failed.info.run_id):
            mlflow.log_metric("again", 1)
        same((c.get_run(failed.info.run_id).info.status, c.get_run(failed.info.run_id).data.metrics), ("FINISHED", {"again": 1.0}))
        run_life(c, e)


def run_life(c, e):
    r = c.create_run(e.experiment_id, start_time=1234567890123, tags={"a": "1"}, run_name="first name")
    rid = r.info.run_id
    same((r.info.status, r.info.start_time, r.info.end_time, r.info.run_name, r.data.tags["a"]), ("RUNNING", 1234567890123, None, "first name", "1"))
    c.update_run(rid, status="SCHEDULED", name="second name")
    same((c.get_run(rid).info.status, c.get_run(rid).info.run_name, c.get_run(rid).data.tags["mlflow.runName"]), ("SCHEDULED", "second name", "second name"))
    c.set_tag(rid, "mlflow.runName", "third name")
    same(c.get_run(rid).info.run_name, "third name")
    c.set_terminated(rid, "KILLED", end_time=1234567899999)
    same((c.get_run(rid).info.status, c.get_run(rid).info.end_time), ("KILLED", 1234567899999))
    c.set_tag(rid, "b", "2")
    c.set_tag(rid, "b", "3")
    c.delete_tag(rid, "a")
    same({k: v for k, v in c.get_run(rid).data.tags.items() if not k.startswith("mlflow.")}, {"b": "3"})
    with refused("RESOURCE_DOES_NOT_EXIST"):
        c.delete_tag(rid, "a")
    c.delete_run(rid)
    same(c.get_run(rid).info.lifecycle_stage, "deleted")
    assert rid not in [r.info.run_id for r in c.search_runs([e.experiment_id])]
    same([r.info.run_id for r in c.search_runs([e.experiment_id], run_view_type=ViewType.DELETED_ONLY)], [rid])
    writes = (lambda: c.log_metric(rid, "m", 1), lambda: c.log_param(rid, "p", 1), lambda: c.set_tag(rid, "t", 1), lambda: c.set_terminated(rid))
    for write in writes:
        with refused("INVALID_PARAMETER_VALUE"):
            write()
    c.restore_run(rid)
    c.log_metric(rid, "m", 1)
    same((c.get_run(rid).info.lifecycle_stage, c.get_run(rid).data.metrics), ("active", {"m": 1.0}))
    with refused("RESOURCE_DOES_NOT_EXIST"):
        c.get_run("0" * 32)
    with refused("RESOURCE_DOES_NOT_EXIST"):
        c.log_metric("0" * 32, "m", 1)


@part
def params_and_tags():
    with experiment("params"), mlflow.start_run() as run:
        c, rid = MlflowClient(), run.info.run_id
        mlflow.log_param("lr", 0.1)
        mlflow.log_param("lr", "0.1")  # the same again
        mlflow.log_params({"layers": [64, 32], "act": None, "name with space": "ä ✓", "a/b.c-d_e": True, "empty": ""})
        same(c.get_run(rid).data.params, {"lr": "0.1", "layers": "[64, 32]", "act": "None", "name with space": "ä ✓", "a/b.c-d_e": "True", "empty": ""})
        with refused("INVALID_PARAMETER_VALUE"):
            mlflow.log_param("lr", 0.2)
        with refused("INVALID_PARAMETER_VALUE"):
            mlflow.log_params({"new": "1", "lr": "0.3"})
        same(c.get_run(rid).data.params["lr"], "0.1")
        for key in ("", "../x", "/abs", "a//b", "q?", "x" * 251):
            with refused("INVALID_PARAMETER_VALUE"):
                c.log_param(rid, key, 1)
        long = "x" * 6500
        mlflow.log_param("long", long[:6000])
        same(len(c.get_run(rid).data.params["long"]), 6000)
        mlflow.log_param("longer", long)  # shortened silently, as MLflow does
        same(len(c.get_run(rid).data.params["longer"]), 6000)
        mlflow.set_tags({"t1": "v1", "t2": "multi\nline\t\"quoted\" \\ ✓", "n": 5})
        mlflow.set_tag("t1", "v2")
        tags = c.get_run(rid).data.tags
        same((tags["t1"], tags["t2"], tags["n"]), ("v2", "multi\nline\t\"quoted\" \\ ✓", "5"))
        mlflow.delete_tag("t1")
        assert "t1" not in c.get_run(rid).data.tags


@part
def metrics():
    with experiment("metrics"), mlflow.start_run() as run:
        c, rid = MlflowClient(), run.info.run_id
        for step in range(5):
            mlflow.log_metric("loss", 1 / (step + 1), step=step)
        points = c.get_metric_history(rid, "loss")
        same([(p.step, p.value) for p in points], [(i, 1 / (i + 1)) for i in range(5)])
        c.log_metric(rid, "m", 1.0, timestamp=1000, step=2)
        c.log_metric(rid, "m", 2.0, timestamp=2000, step=1)
        same(c.get_run(rid).data.metrics["m"], 1.0)  # the highest step, not the last one in
        c.log_metric(rid, "m", 3.0, timestamp=3000, step=2)
        c.log_metric(rid, "m", 3.5, timestamp=3000, step=2)
        c.log_metric(rid, "m", 3.2, timestamp=3000, step=2)
        same(c.get_run(rid).data.metrics["m"], 3.5)  # then the highest time, then the highest value
        c.log_metric(rid, "m", 3.5, timestamp=3000, step=2)  # a repeated point is one point
        same(sorted((p.timestamp, p.step, p.value) for p in c.get_metric_history(rid, "m")),
             [(1000, 2, 1.0), (2000, 1, 2.0), (3000, 2, 3.0), (3000, 2, 3.2), (3000, 2, 3.5)])
        c.log_metric(rid, "neg", -1.5, timestamp=1, step=-7)
        same([(p.timestamp, p.step, p.value) for p in c.get_metric_history(rid, "neg")], [(1, -7, -1.5)])
        odd_values(c, rid)
        mlflow.log_metrics({"a": 1, "b/c": 2.5, "d e": -0.0}, step=9)
        got = c.get_run(rid).data.metrics
        same((got["a"], got["b/c"], got["d e"]), (1.0, 2.5, 0.0))
        same(c.get_metric_history(rid, "never logged"), [])
        for key in ("", "a//b", "x" * 251, "bad*key"):
            with refused("INVALID_PARAMETER_VALUE"):
                c.log_metric(rid, key, 1)


def odd_values(c, rid):
    c.log_metric(rid, "nan", math.nan, timestamp=1)
    c.log_metric(rid, "inf", math.inf, timestamp=1)
    c.log_metric(rid, "ninf", -math.inf, timestamp=1)
    c.log_metric(rid, "tiny", 5e-324, timestamp=1)
    c.log_metric(rid, "pi", math.pi, timestamp=1)
    got = c.get_run(rid).data.metrics
    assert math.isnan(got["nan"]), got
    assert got["inf"] >= sys.float_info.max and got["ninf"] <= -sys.float_info.max, got  # MLflow makes them finite
    same((got["tiny"], got["pi"]), (5e-324, math.pi))
    assert math.isnan(c.get_metric_history(rid, "nan")[0].value)
    c.log_metric(rid, "nan", 1.0, timestamp=2)
    same(c.get_run(rid).data.metrics["nan"], 1.0)


@part
def batches():
    with experiment("batches"), mlflow.start_run() as run:
        c, rid = MlflowClient(), run.info.run_id
        c.log_batch(rid, metrics=[Metric(f"m{i % 10}", i, 1000 + i, i) for i in range(1000)])
        got = c.get_run(rid).data.metrics
        same(got, {f"m{i}": 990.0 + i for i in range(10)})
        same([p.value for p in c.get_metric_history(rid, "m3")], [float(i) for i in range(3, 1000, 10)])
        c.log_batch(rid, params=[Param(f"p{i}", str(i)) for i in range(100)], tags=[RunTag(f"t{i}", str(i)) for i in range(100)],
                    metrics=[Metric("x", 1, 1, 1)])
        data = c.get_run(rid).data
        same(data.params, {f"p{i}": str(i) for i in range(100)})
        same({k: v for k, v in data.tags.items() if k[0] == "t"}, {f"t{i}": str(i) for i in range(100)})
        c.log_batch(rid)
        with refused("INVALID_PARAMETER_VALUE"):
            c.log_batch(rid, params=[Param("dup", "1"), Param("dup", "2")])
        with refused("INVALID_PARAMETER_VALUE"):
            c.log_batch(rid, metrics=[Metric("bad key!*", 1, 1, 1)])
        with refused("INVALID_PARAMETER_VALUE"):
            c.log_batch(rid, params=[Param("p1", "other")])
        many = [c.log_metric(rid, "later", i, step=i, synchronous=False) for i in range(50)]
        for later in many:
            later.wait()
        same(len(c.get_metric_history(rid, "later")), 50)


@part
def long_history():
    with experiment("history"), mlflow.start_run() as run:
        c, rid = MlflowClient(), run.info.run_id
        for at in range(0, 30000, 1000):  # more than one page of 25,000
            c.log_batch(rid, metrics=[Metric("long", i * 0.5, 1700000000000 + i, i) for i in range(at, at + 1000)])
        points = c.get_metric_history(rid, "long")
        same(len(points), 30000)
        same([points[0].step, points[12345].value, points[-1].step], [0, 12345 * 0.5, 29999])


@part
def datasets():
    with experiment("datasets") as e:
        c = MlflowClient()
        frame = pd.DataFrame({"x": [1.0, 2.0], "y": ["a", "b"]})
        data = mlflow.data.from_pandas(frame, source="https://example.com/data.csv", name="rides", targets="y")
        array = mlflow.data.from_numpy(np.arange(6).reshape(2, 3), name="grid")
        with mlflow.start_run() as one:
            mlflow.log_input(data, context="training", tags={"split": "a"})
            mlflow.log_input(array, context="test")
            mlflow.log_input(data, context="training")  # again: one input
        with mlflow.start_run() as two:
            mlflow.log_input(data, context="validation")
        got = {d.dataset.name: d for d in c.get_run(one.info.run_id).inputs.dataset_inputs}
        same(set(got), {"rides", "grid"})
        rides = got["rides"]
        same((rides.dataset.digest, rides.dataset.source_type), (data.digest, "http"))
        same(json.loads(rides.dataset.source)["url"], "https://example.com/data.csv")
        same(json.loads(rides.dataset.profile)["num_rows"], 2)
        assert "mlflow_colspec" in json.loads(rides.dataset.schema), rides.dataset.schema
        tags = {t.key: t.value for t in rides.tags}
        same((tags["mlflow.data.context"], tags["split"]), ("training", "a"))
        same(mlflow.data.get_source(rides).url, "https://example.com/data.csv")
        find = lambda f: {r.info.run_id for r in c.search_runs([e.experiment_id], f)}
        same(find("dataset.name = 'rides'"), {one.info.run_id, two.info.run_id})
        same(find(f"datasets.digest = '{array.digest}'"), {one.info.run_id})
        same(find("dataset.context = 'validation'"), {two.info.run_id})
        same(find("dataset.name LIKE 'ri%' AND dataset.context = 'training'"), {one.info.run_id})
        same(find("dataset.name IN ('grid', 'none')"), {one.info.run_id})


@part
def artifacts():
    with experiment("artifacts"), tempfile.TemporaryDirectory() as folder, mlflow.start_run() as run:
        c, rid = MlflowClient(), run.info.run_id
        same(c.list_artifacts(rid), [])
        mlflow.log_text("plain ✓\n", "notes.txt")
        mlflow.log_dict({"a": [1, 2], "b": None}, "conf/data.json")
        mlflow.log_dict({"k": "v"}, "conf/deep/data.yaml")
        path = os.path.join(folder, "with space & ü.bin")
        with open(path, "wb") as f:
            f.write(bytes(range(256)) * 8)
        mlflow.log_artifact(path, "bin")
        os.makedirs(os.path.join(folder, "tree", "sub", "empty"))
        for name in ("tree/1.txt", "tree/sub/2.txt"):
            with open(os.path.join(folder, name), "w") as f:
                f.write(name)
        with open(os.path.join(folder, "tree", "zero"), "w"):
            pass
        mlflow.log_artifacts(os.path.join(folder, "tree"), "tree")
        frame = pd.DataFrame({"q": ["a", "b"], "n": [1, 2]})
        mlflow.log_table(frame, "table.json")
        tree = lambda p=None: sorted((f.path, f.is_dir, f.file_size or 0) for f in c.list_artifacts(rid, p))  # a client may say None for 0
        same([(p, d) for p, d, _ in tree()], [("bin", True), ("conf", True), ("notes.txt", False), ("table.json", False), ("tree", True)])
        same(tree("tree"), [("tree/1.txt", False, 10), ("tree/sub", True, 0), ("tree/zero", False, 0)])
        same(tree("tree/sub"), [("tree/sub/2.txt", False, 14)])
        same(tree("bin"), [("bin/with space & ü.bin", False, 2048)])
        same((tree("none"), tree("notes.txt")), ([], []))
        same(mlflow.artifacts.load_text(run.info.artifact_uri + "/notes.txt"), "plain ✓\n")
        same(mlflow.artifacts.load_dict(run.info.artifact_uri + "/conf/data.json"), {"a": [1, 2], "b": None})
        same(mlflow.load_table("table.json", run_ids=[rid]).to_dict("list"), {"q": ["a", "b"], "n": [1, 2]})
        got = mlflow.artifacts.download_artifacts(run_id=rid, artifact_path="bin/with space & ü.bin", dst_path=folder + "/down")
        with open(got, "rb") as f, open(path, "rb") as g:
            same(f.read(), g.read())
        os.mkdir(folder + "/whole")
        whole = c.download_artifacts(rid, "", folder + "/whole")
        same(sorted(os.path.relpath(os.path.join(d, f), whole) for d, _, fs in os.walk(whole) for f in fs),
             sorted(["bin/with space & ü.bin", "conf/data.json",
                     "conf/deep/data.yaml", "notes.txt", "table.json", "tree/1.txt", "tree/sub/2.txt", "tree/zero"]))
        mlflow.log_text("second", "notes.txt")  # written over
        same(mlflow.artifacts.load_text(run.info.artifact_uri + "/notes.txt"), "second")
        try:
            mlflow.artifacts.load_text(run.info.artifact_uri + "/none.txt")
            raise AssertionError("a missing artifact was downloaded")
        except (MlflowException, OSError):
            pass


@part
def large_artifact():
    with experiment("large"), tempfile.TemporaryDirectory() as folder, mlflow.start_run() as run:
        path = os.path.join(folder, "large.bin")
        with open(path, "wb") as f:
            for i in range(32):
                f.write(np.random.default_rng(i).bytes(1 << 20))
        mlflow.log_artifact(path, "a/b")
        (info,) = MlflowClient().list_artifacts(run.info.run_id, "a/b")
        same((info.path, info.file_size), ("a/b/large.bin", 32 << 20))
        got = mlflow.artifacts.download_artifacts(run_id=run.info.run_id, artifact_path="a/b/large.bin", dst_path=folder + "/down")
        with open(got, "rb") as f, open(path, "rb") as g:
            assert f.read() == g.read(), "the bytes differ"


@part
def search_runs():
    with experiment("search") as e:
        c, ids = MlflowClient(), []
        for i in range(10):
            r = c.create_run(e.experiment_id, run_name=f"Run-{i}", start_time=1000 + i)
            rid = r.info.run_id
            c.log_batch(rid, metrics=[Metric("acc", i / 10, 1, 0)] + ([Metric("only even", -i, 1, 0)] if i % 2 == 0 else []),
                        params=[Param("p", "abcde"[i % 5]), Param("lr", str(i))], tags=[RunTag("group", "AB"[i % 2]), RunTag("x.y", "z")])
            if i == 3:
                c.log_metric(rid, "acc", math.nan, step=1)
            if i < 8:
                c.set_terminated(rid, "FINISHED" if i % 2 else "FAILED", end_time=5000 + i)
            ids.append(rid)
        eid, where = [e.experiment_id], {rid: i for i, rid in enumerate(ids)}
        find = lambda f="", **kw: [where[r.info.run_id] for r in c.search_runs(eid, f, **kw)]
        same(find(), list(range(9, -1, -1)))  # the newest first
        same(set(find("metrics.acc > 0.45")), {5, 6, 7, 8, 9})
        same(set(find("metrics.acc >= 0.5 and metrics.acc < 0.8")), {5, 6, 7})
        same(set(find("metrics.`only even` <= -4")), {4, 6, 8})
        same(set(find("metrics.\"only even\" != 0")), {2, 4, 6, 8})
        same(set(find("params.p = 'a'")), {0, 5})
        same(set(find("params.p != 'a' AND tags.group = 'A'")), {2, 4, 6, 8})
        same(set(find("tags.group ILIKE 'b' AND params.lr LIKE '%'")), {1, 3, 5, 7, 9})
        same(set(find("tags.x.y = 'z' and attributes.status = 'FAILED'")), {0, 2, 4, 6})
        same(set(find("status = 'RUNNING'")), {8, 9})
        same(set(find("run_name LIKE 'Run-%' AND attributes.run_name ILIKE 'run-3'")), {3})
        same(set(find(f"run_id IN ('{ids[2]}', '{ids[4]}')")), {2, 4})
        same(set(find(f"run_id NOT IN ('{ids[2]}', '{ids[4]}') AND start_time < 1005")), {0, 1, 3})
        same(set(find("attributes.end_time >= 5006")), {6, 7})
        same(find("params.nothing = 'a'"), [])
        same(find("metrics.acc > 0.45", order_by=["metrics.acc ASC"]), [5, 6, 7, 8, 9])
        order = find(order_by=["metrics.`only even` ASC"])
        same((order[:5], set(order[5:])), ([8, 6, 4, 2, 0], {1, 3, 5, 7, 9}))  # without the metric: last
        order = find(order_by=["metrics.acc DESC"])
        same((order[:9], order[9]), ([9, 8, 7, 6, 5, 4, 2, 1, 0], 3))  # NaN after the numbers
        same(find(order_by=["params.p ASC", "metrics.acc DESC"])[:4], [5, 0, 6, 1])
        same(find(order_by=["tags.group DESC", "attribute.start_time ASC"]), [1, 3, 5, 7, 9, 0, 2, 4, 6, 8])
        same(find("", max_results=3, order_by=["start_time ASC"]), [0, 1, 2])
        got, n = pages(lambda t: c.search_runs(eid, "metrics.acc >= 0.1", max_results=3, page_token=t, order_by=["params.lr DESC"]))
        same(([where[r.info.run_id] for r in got], n), ([9, 8, 7, 6, 5, 4, 2, 1], 3))
        frame = mlflow.search_runs(eid, "metrics.acc >= 0.8", order_by=["metrics.acc"])
        same((list(frame["metrics.acc"]), list(frame["params.p"]), list(frame["tags.group"])), ([0.8, 0.9], ["d", "e"], ["A", "B"]))
        same(c.search_runs(["999999999"]), [])
        for bad in ("metrics.acc = 'a'", "params.p > 'a'", "nothing = 'x'", "acc > 1 OR acc < 0"[:8], "metrics.acc LIKE 'a'", "run_id IN ()", "tags.a ="):
            with refused("INVALID_PARAMETER_VALUE"):
                c.search_runs(eid, bad)
        with refused("INVALID_PARAMETER_VALUE"):
            c.search_runs(eid, order_by=["nothing"])
        with refused("INVALID_PARAMETER_VALUE"):
            c.search_runs(eid, max_results=50001)


def iris():
    from sklearn.datasets import load_iris
    x, y = load_iris(return_X_y=True, as_frame=True)
    return x, y


def log_sklearn(name=None):
    """A model of scikit-learn with signature and example, in the active run. Returns it, its info and the rows."""
    from mlflow.models import infer_signature
    from sklearn.linear_model import LogisticRegression
    x, y = iris()
    model = LogisticRegression(max_iter=500).fit(x, y)
    more = {"registered_model_name": name} if name else {}
    more["name" if V3 else "artifact_path"] = "model"
    info = mlflow.sklearn.log_model(model, signature=infer_signature(x, model.predict(x)), input_example=x.head(3), **more)
    return model, info, x


@part
def models():
    with experiment("models"):
        c, name = MlflowClient(), fresh("Model")
        with mlflow.start_run() as run:
            model, info, x = log_sklearn(name)
        rid = run.info.run_id
        loaded = mlflow.pyfunc.load_model(f"runs:/{rid}/model")
        close(loaded.predict(x), model.predict(x))
        same([i.name for i in loaded.metadata.signature.inputs], list(x.columns))
        close(mlflow.sklearn.load_model(info.model_uri).predict_proba(x), model.predict_proba(x))
        example = mlflow.models.Model.load(info.model_uri).load_input_example()
        close(example.to_numpy(), x.head(3).to_numpy())
        (v,) = c.search_model_versions(f"name = '{name}'")
        same((str(v.version), v.status, v.run_id, v.current_stage), ("1", "READY", rid, "None"))
        with mlflow.start_run():
            second, info2, _ = log_sklearn()
            made = mlflow.register_model(info2.model_uri, name, tags={"from": "uri"})
        same((str(made.version), made.tags), ("2", {"from": "uri"}))
        c.set_registered_model_alias(name, "champion", "1")
        c.set_registered_model_alias(name, "challenger", "2")
        same(str(c.get_model_version_by_alias(name, "champion").version), "1")
        same(c.get_model_version(name, "1").aliases, ["champion"])
        same({a: str(v) for a, v in c.get_registered_model(name).aliases.items()}, {"champion": "1", "challenger": "2"})
        close(mlflow.pyfunc.load_model(f"models:/{name}@champion").predict(x), model.predict(x))
        close(mlflow.pyfunc.load_model(f"models:/{name}/2").predict(x), second.predict(x))
        close(mlflow.sklearn.load_model(f"models:/{name}/latest").predict(x), second.predict(x))
        c.set_registered_model_alias(name, "champion", "2")  # moves
        same((str(c.get_model_version_by_alias(name, "champion").version), c.get_model_version(name, "1").aliases), ("2", []))
        c.delete_registered_model_alias(name, "challenger")
        c.delete_registered_model_alias(name, "challenger")
        with refused("INVALID_PARAMETER_VALUE"):
            c.get_model_version_by_alias(name, "challenger")
        for alias in ("latest", "v1", "bad alias!"):
            with refused("INVALID_PARAMETER_VALUE"):
                c.set_registered_model_alias(name, alias, "1")


@part
def stages():
    c, name = MlflowClient(), fresh("staged")
    c.create_registered_model(name)
    for _ in range(3):
        c.create_model_version(name, "s3://bucket/path")
    c.transition_model_version_stage(name, "1", "Staging")
    c.transition_model_version_stage(name, "2", "production")
    same([c.get_model_version(name, v).current_stage for v in "123"], ["Staging", "Production", "None"])
    c.transition_model_version_stage(name, "3", "Production", archive_existing_versions=True)
    same([c.get_model_version(name, v).current_stage for v in "123"], ["Staging", "Archived", "Production"])
    same({(v.current_stage, str(v.version)) for v in c.get_latest_versions(name)}, {("Staging", "1"), ("Archived", "2"), ("Production", "3")})
    same([str(v.version) for v in c.get_latest_versions(name, stages=["Production"])], ["3"])
    with refused("INVALID_PARAMETER_VALUE"):
        c.transition_model_version_stage(name, "1", "Nowhere")


@part
def registry():
    c, name = MlflowClient(), fresh("Registry")
    m = c.create_registered_model(name, tags={"a": "1"}, description="about it")
    same((m.name, m.tags, m.description), (name, {"a": "1"}, "about it"))
    with refused("RESOURCE_ALREADY_EXISTS"):
        c.create_registered_model(name)
    for bad in ("", " ", "a/b") if V3 else ("",):
        with refused("INVALID_PARAMETER_VALUE"):
            c.create_registered_model(bad)
    c.update_registered_model(name, description="more")
    c.set_registered_model_tag(name, "b", "2")
    c.set_registered_model_tag(name, "b", "3")
    c.delete_registered_model_tag(name, "a")
    c.delete_registered_model_tag(name, "a")
    m = c.get_registered_model(name)
    same((m.description, m.tags), ("more", {"b": "3"}))
    v = c.create_model_version(name, "s3://bucket/x", tags={"t": "1"}, description="first", run_link="http://run")
    same((str(v.version), v.description, v.tags, v.source, v.run_link, v.status), ("1", "first", {"t": "1"}, "s3://bucket/x", "http://run", "READY"))
    same(c.get_model_version_download_uri(name, "1"), "s3://bucket/x")
    c.update_model_version(name, "1", description="changed")
    c.set_model_version_tag(name, "1", "t", "2")
    c.set_model_version_tag(name, "1", "u", "x")
    c.delete_model_version_tag(name, "1", "u")
    v = c.get_model_version(name, "1")
    same((v.description, v.tags), ("changed", {"t": "2"}))
    c.create_model_version(name, "s3://bucket/y")
    c.set_registered_model_alias(name, "live", "2")
    c.delete_model_version(name, "2")
    with refused("RESOURCE_DOES_NOT_EXIST"):
        c.get_model_version(name, "2")
    if V3:  # MLflow 2 keeps the alias of a version that is gone
        same(c.get_registered_model(name).aliases, {})
    same(str(c.create_model_version(name, "s3://bucket/z").version), "3")  # a number is not used again
    renamed = fresh("Renamed")
    c.rename_registered_model(name, renamed)
    same([str(v.version) for v in c.search_model_versions(f"name = '{renamed}'", order_by=["version_number ASC"])], ["1", "3"])
    with refused("RESOURCE_DOES_NOT_EXIST"):
        c.get_registered_model(name)
    c.delete_registered_model(renamed)
    for ask in (lambda: c.get_registered_model(renamed), lambda: c.get_model_version(renamed, "1"), lambda: c.create_model_version(renamed, "s3://b/x")):
        with refused("RESOURCE_DOES_NOT_EXIST"):
            ask()


@part
def search_registry():
    c, mark = MlflowClient(), fresh("Mark")
    names = [f"{mark}-{'ab'[i % 2]}{i}" for i in range(6)]
    for i, n in enumerate(names):
        c.create_registered_model(n, tags={"mark": mark, "i": str(i)})
        for j in range(i % 3 + 1):
            c.create_model_version(n, f"s3://bucket/{n}/{j}", tags={"mark": mark, "j": str(j)})
    find = lambda f, **kw: [m.name for m in c.search_registered_models(f, **kw)]
    same(find(f"name LIKE '{mark}%'"), sorted(names))
    same(find(f"name ILIKE '{mark.lower()}-A%'"), sorted(n for n in names if n.startswith(f"{mark}-a")))
    same(find(f"name = '{names[3]}'"), [names[3]])
    same(find(f"tags.mark = '{mark}' AND tag.`i` != '2'"), sorted(n for n in names if n != names[2]))
    same(find(f"tags.mark = '{mark}'", order_by=["name DESC"]), sorted(names, reverse=True))
    same(find(f"tags.mark = '{mark}'", order_by=["timestamp ASC", "name"]), names)
    got, n = pages(lambda t: c.search_registered_models(f"name LIKE '{mark}%'", max_results=2, page_token=t))
    same(([m.name for m in got], n), (sorted(names), 3))
    versions = lambda f, **kw: [(v.name, int(v.version)) for v in c.search_model_versions(f, **kw)]
    same(versions(f"name = '{names[2]}'"), [(names[2], 3), (names[2], 2), (names[2], 1)])
    same(versions(f"tags.mark = '{mark}' AND tags.j = '2'"), [(names[5], 3), (names[2], 3)])  # the last changed first
    same(versions(f"name LIKE '{mark}%' AND version_number > 2", order_by=["name ASC"]), [(n, 3) for n in sorted([names[2], names[5]])])
    same(versions(f"source_path = 's3://bucket/{names[1]}/0'"), [(names[1], 1)])
    got, n = pages(lambda t: c.search_model_versions(f"name LIKE '{mark}%'", max_results=5, page_token=t, order_by=["name ASC", "version_number ASC"]))
    same(([(v.name, int(v.version)) for v in got], n), ([(m, j + 1) for m in sorted(names) for j in range(names.index(m) % 3 + 1)], 3))
    for bad in ("nothing = 'a'", "name = a", "name > 'a'", "name = 'a' OR name = 'b'"[:13] + " name"):
        with refused("INVALID_PARAMETER_VALUE"):
            c.search_registered_models(bad)


@part
def logged_models():
    if not V3:
        return
    with experiment("logged") as e:
        c, eid = MlflowClient(), [e.experiment_id]
        with mlflow.start_run() as run:
            made = [mlflow.create_external_model(name=f"m{i}", params={"depth": str(i)}, tags={"group": "ab"[i % 2]}, model_type="tree") for i in range(5)]
            data = mlflow.data.from_pandas(pd.DataFrame({"x": [1.0]}), name="eval")
            for i, m in enumerate(made):
                mlflow.log_metric("acc", i / 10, model_id=m.model_id, dataset=data)
        got = mlflow.get_logged_model(made[2].model_id)
        same((got.name, got.params, got.tags["group"], got.model_type, got.source_run_id), ("m2", {"depth": "2"}, "a", "tree", run.info.run_id))
        same([(m.key, m.value, m.dataset_name) for m in got.metrics], [("acc", 0.2, "eval")])
        find = lambda f=None, **kw: [m.name for m in mlflow.search_logged_models(eid, filter_string=f, output_format="list", **kw)]
        same(set(find()), {f"m{i}" for i in range(5)})
        same(set(find("params.depth = '3'")), {"m3"})
        same(set(find("tags.group = 'a' AND metrics.acc > 0.1")), {"m2", "m4"})
        same(set(find("name LIKE 'm%' AND model_type = 'tree'")), {f"m{i}" for i in range(5)})
        same(find(order_by=[{"field_name": "metrics.acc", "ascending": False}], max_results=3), ["m4", "m3", "m2"])
        mlflow.set_logged_model_tags(made[0].model_id, {"new": "tag"})
        same(mlflow.get_logged_model(made[0].model_id).tags["new"], "tag")
        c.delete_logged_model_tag(made[0].model_id, "new")
        assert "new" not in mlflow.get_logged_model(made[0].model_id).tags
        pending = mlflow.initialize_logged_model(name="pending")
        same(str(pending.status), "PENDING")
        same(str(mlflow.finalize_logged_model(pending.model_id, "READY").status), "READY")
        c.delete_logged_model(made[4].model_id)
        with refused("RESOURCE_DOES_NOT_EXIST"):
            mlflow.get_logged_model(made[4].model_id)
        got, n = pages(lambda t: c.search_logged_models(eid, max_results=2, page_token=t))
        same(({m.name for m in got}, n), ({"m0", "m1", "m2", "m3", "pending"}, 3))
        with mlflow.start_run() as run:
            _, info, _ = log_sklearn()
        assert info.model_id.startswith("m-") and len(info.model_id) == 34, info.model_id
        linked = mlflow.get_logged_model(info.model_id)
        same((str(linked.status), linked.source_run_id), ("READY", run.info.run_id))
        same([o.model_id for o in MlflowClient().get_run(run.info.run_id).outputs.model_outputs], [info.model_id])
        close(mlflow.sklearn.load_model(f"models:/{info.model_id}").coef_.shape, (3, 4))


@part
def traces():
    with experiment("traces") as e:
        @mlflow.trace(name="inner", span_type="TOOL", attributes={"k": 1})
        def inner(x):
            return x * 2

        @mlflow.trace
        def outer(x, y="s"):
            if x < 0:
                raise ValueError("negative")
            return {"sum": inner(x) + inner(x + 1), "y": y}

        for i in range(3):
            same(outer(i), {"sum": 4 * i + 2, "y": "s"})
        with contextlib.suppress(ValueError):
            outer(-1)
        if hasattr(mlflow, "flush_trace_async_logging"):
            mlflow.flush_trace_async_logging()
        found = mlflow.search_traces(experiment_ids=[e.experiment_id], return_type="list") if V3 else MlflowClient().search_traces([e.experiment_id])
        same(len(found), 4)
        status = lambda t: (t.info.state.value if V3 else str(t.info.status)).split(".")[-1]
        name_of = lambda t: t.info.trace_id if V3 else t.info.request_id
        same(sorted(status(t) for t in found), ["ERROR", "OK", "OK", "OK"])
        times = [t.info.timestamp_ms for t in found]
        same(times, sorted(times, reverse=True))  # the newest first
        (newest,) = [t for t in found if status(t) == "ERROR"]
        ident = next(name_of(t) for t in found if '"sum": 10' in (t.data.response or ""))
        t = mlflow.get_trace(ident)
        same(sorted(s.name for s in t.data.spans), ["inner", "inner", "outer"] if len({s.name for s in t.data.spans}) == 2 else ["inner_1", "inner_2", "outer"])
        (top,) = [s for s in t.data.spans if s.parent_id is None]
        same((top.inputs, top.outputs), ({"x": 2, "y": "s"}, {"sum": 10, "y": "s"}))
        tool = [s for s in t.data.spans if s.parent_id][0]
        same((tool.span_type, tool.parent_id, tool.get_attribute("k")), ("TOOL", top.span_id, 1))
        bad = mlflow.get_trace(name_of(newest))
        assert any(event.name == "exception" for s in bad.data.spans for event in s.events)
        trace_tags(e, ident)


def trace_tags(e, ident):
    c = MlflowClient()
    c.set_trace_tag(ident, "fruit", "apple")
    info = lambda: mlflow.get_trace(ident).info
    same(info().tags["fruit"], "apple")
    same(info().tags["mlflow.traceName"], "outer")
    kw = {"locations": [e.experiment_id]} if V3 and int(mlflow.__version__.split(".")[1]) >= 5 else {"experiment_ids": [e.experiment_id]}
    find = lambda f=None, **more: [t.info.trace_id if V3 else t.info.request_id for t in c.search_traces(**kw, filter_string=f, **more)]
    same(find("tags.fruit = 'apple'"), [ident])
    same(len(find("status = 'OK'")), 3)
    same(len(find("attributes.name = 'outer'")), 4)
    same(len(find("timestamp_ms > 0", order_by=["timestamp_ms ASC"])), 4)
    got, n = pages(lambda t: c.search_traces(**kw, max_results=3, page_token=t))
    same((len(got), n), (4, 2))
    c.delete_trace_tag(ident, "fruit")
    assert "fruit" not in info().tags
    same(c.delete_traces(e.experiment_id, **{"trace_ids" if V3 else "request_ids": [ident]}), 1)
    same(len(find()), 3)
    same(c.delete_traces(e.experiment_id, max_timestamp_millis=int(time.time() * 1000) + 1000, max_traces=10), 3)
    same(find(), [])


@part
def prompts():
    name = fresh("prompt")
    kit = mlflow.genai if V3 else mlflow
    first = kit.register_prompt(name=name, template="Hello {{who}}", commit_message="one", tags={"lang": "en"})
    second = kit.register_prompt(name=name, template="Hi {{who}}!")
    same((int(first.version), int(second.version)), (1, 2))
    same(kit.load_prompt(f"prompts:/{name}/1").format(who="you"), "Hello you")
    kit.set_prompt_alias(name, "live", 2)
    same(kit.load_prompt(f"prompts:/{name}@live").template, "Hi {{who}}!")
    assert name not in [m.name for m in MlflowClient().search_registered_models(max_results=1000)], "a prompt is no model"


@part
def webhooks():
    if not V3 or not hasattr(MlflowClient, "create_webhook"):
        return
    c, name = MlflowClient(), fresh("hook")
    w = c.create_webhook(name, "https://1.1.1.1/hook", ["registered_model.created", "model_version.created"], secret="s", description="d")
    same((w.name, w.url, w.description, str(w.status)), (name, "https://1.1.1.1/hook", "d", "ACTIVE"))
    same(sorted(str(e) for e in w.events), ["model_version.created", "registered_model.created"])
    w = c.update_webhook(w.webhook_id, description="changed", status="DISABLED")
    same((w.description, str(w.status)), ("changed", "DISABLED"))
    assert w.webhook_id in [x.webhook_id for x in c.list_webhooks(max_results=100)]
    c.delete_webhook(w.webhook_id)
    with refused("RESOURCE_DOES_NOT_EXIST"):
        c.get_webhook(w.webhook_id)


@part
def autolog_sklearn():
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import GridSearchCV
    x, y = iris()
    mlflow.sklearn.autolog(log_datasets=True, max_tuning_runs=3)
    try:
        with experiment("autolog-sklearn") as e:
            c = MlflowClient()
            with mlflow.start_run() as run:
                model = LogisticRegression(max_iter=300, C=0.5).fit(x, y)
                accuracy = model.score(x, y)
            r = c.get_run(run.info.run_id)
            same((r.data.params["C"], r.data.params["max_iter"], r.data.tags["estimator_name"]), ("0.5", "300", "LogisticRegression"))
            close([r.data.metrics["training_accuracy_score"], r.data.metrics["LogisticRegression_score_X" if "LogisticRegression_score_X" in r.data.metrics
                                                                               else "training_score"]], [accuracy, accuracy])
            same([d.dataset.name for d in r.inputs.dataset_inputs][:1], ["dataset"])
            assert {"estimator.html", "training_confusion_matrix.png"} & {f.path for f in c.list_artifacts(run.info.run_id)}
            close(mlflow.sklearn.load_model(f"runs:/{run.info.run_id}/model").predict(x), model.predict(x))
            with mlflow.start_run() as search:
                grid = GridSearchCV(LogisticRegression(max_iter=300), {"C": [0.1, 1.0, 10.0, 30.0]}, cv=2).fit(x, y)
            r = c.get_run(search.info.run_id)
            same(r.data.params["best_C"], str(grid.best_params_["C"]))
            close(r.data.metrics["best_cv_score"], grid.best_score_)
            children = c.search_runs([e.experiment_id], f"tags.mlflow.parentRunId = '{search.info.run_id}'", order_by=["metrics.mean_test_score DESC"])
            same(len(children), 3)
            close(children[0].data.metrics["mean_test_score"], grid.best_score_)
            close(mlflow.sklearn.load_model(f"runs:/{search.info.run_id}/best_estimator").predict(x), grid.predict(x))
    finally:
        mlflow.sklearn.autolog(disable=True)


@part
def autolog_xgboost():
    import xgboost
    x, y = iris()
    data = xgboost.DMatrix(x, label=y)
    mlflow.xgboost.autolog(model_format="ubj")
    try:
        with experiment("autolog-xgboost"):
            c, scores = MlflowClient(), {}
            with mlflow.start_run() as run:
                model = xgboost.train({"objective": "multi:softprob", "num_class": 3, "max_depth": 2, "eta": 0.3}, data, 12, evals=[(data, "train")],
                                      evals_result=scores, verbose_eval=False)
            r = c.get_run(run.info.run_id)
            same((r.data.params["max_depth"], r.data.params["num_boost_round"]), ("2", "12"))
            history = c.get_metric_history(run.info.run_id, "train-mlogloss")
            close([p.value for p in sorted(history, key=lambda p: p.step)], scores["train"]["mlogloss"])
            assert "feature_importance_weight.json" in {f.path for f in c.list_artifacts(run.info.run_id)}
            close(mlflow.xgboost.load_model(f"runs:/{run.info.run_id}/model").predict(data), model.predict(data))
    finally:
        mlflow.xgboost.autolog(disable=True)


def main():
    wanted = sys.argv[1:]
    uri = os.environ.get("MLFLOW_TRACKING_URI", "")
    if not uri.startswith("http"):
        sys.exit("MLFLOW_TRACKING_URI names no server")
    unknown = set(wanted) - {p.__name__ for p in PARTS}
    if unknown:
        sys.exit(f"no part {sorted(unknown)}: {' '.join(p.__name__ for p in PARTS)}")
    passed, failed = 0, 0
    for function in PARTS:
        if wanted and function.__name__ not in wanted:
            continue
        start = time.monotonic()
        try:
            with contextlib.redirect_stdout(io.StringIO()):  # where the client praises its pages
                function()
            passed += 1
            print(f"ok      {function.__name__} ({time.monotonic() - start:.2f} s)", flush=True)
        except Exception as e:
            failed += 1
            place = [f for f in traceback.extract_tb(e.__traceback__) if f.filename == __file__]
            where = " < ".join(f"{f.name}:{f.lineno}" for f in reversed(place))
            print(f"FAILED  {function.__name__} at {where}: {type(e).__name__}: {str(e)[:1000]}", flush=True)
            if os.environ.get("WORKFLOW_TRACE"):
                traceback.print_exc()
    print(f"mlflow {mlflow.__version__}: {passed} passed, {failed} failed", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
