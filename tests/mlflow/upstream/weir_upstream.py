# SPDX-License-Identifier: Apache-2.0
"""pytest plug-in: MLflow's own tests, with `weir up` in the place of the server that their fixtures start.

Loaded with -p weir_upstream by `run`, which sets
  UPSTREAM_WEIR   the program; empty: MLflow's own server stays (the baseline), only the store suites go through HTTP as for Weir
  UPSTREAM_OUT    file to write one JSON line a test to: {"test", "outcome", "seconds", "why"}

The test modules bind the names they use at import, so the names are replaced right after a module is imported and before its fixtures are read:
  initialize_backend_stores   remembers the artifact root, starts nothing
  ServerThread                starts Weir and gives its address
  _init_server                the same, as a context manager; with an authentication app: users and permissions
  _launch_server              the same, for the proxied artifacts
  store                       (store suites) a RestStore over HTTP instead of an SqlAlchemyStore over a file
"""
import configparser, contextlib, json, os, sys, time

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.dirname(HERE))
import serve  # noqa: E402

WEIR = os.environ.get("UPSTREAM_WEIR") or None
OUT = os.environ.get("UPSTREAM_OUT")
root = {"artifacts": None}


class WeirThread:
    """In the place of ServerThread(app, port)."""

    def __init__(self, app, port):
        self.context = serve.weir(WEIR, port=port, artifacts=root["artifacts"], args=UP_ARGS)

    def __enter__(self):
        import mlflow
        url, self.process = self.context.__enter__()
        mlflow.set_tracking_uri(url)  # as initialize_backend_stores does: the fluent API and the commands of this process mean the same store
        return url

    def __exit__(self, *why):
        import mlflow
        mlflow.set_tracking_uri(None)
        return self.context.__exit__(*why)


UP_ARGS = os.environ.get("UPSTREAM_UP_ARGS", "--no-schedule").split()


def remember(backend_uri=None, registry_uri=None, default_artifact_root=None, *rest, **named):
    root["artifacts"] = default_artifact_root


def auth_of(env):
    """What MLflow's basic_auth.ini says, as weir.yaml and an administrator."""
    path = env.get("MLFLOW_AUTH_CONFIG_PATH")
    if not path:
        import mlflow.server.auth as auth
        path = os.path.join(os.path.dirname(auth.__file__), "basic_auth.ini")
    ini = configparser.ConfigParser()
    ini.read(path)
    said = ini["mlflow"]
    config = f"auth:\n  enabled: true\n  default_permission: {said.get('default_permission', 'READ')}\n"
    return {"config": config, "admin": (said["admin_username"], said["admin_password"])}


@contextlib.contextmanager
def init_server(backend_uri, root_artifact_uri, extra_env=None, app=None, server_type="fastapi"):
    import mlflow
    mlflow.set_tracking_uri(None)
    more = auth_of(extra_env or {}) if app and "auth" in app else {}
    with serve.weir(WEIR, artifacts=root_artifact_uri, args=UP_ARGS, **more) as (url, _):
        yield url


@contextlib.contextmanager
def launch_server(host, port, backend_store_uri, default_artifact_root, artifacts_destination):
    with serve.weir(WEIR, port=port, artifacts="file://" + artifacts_destination, args=UP_ARGS) as (_, process):
        yield process


def rest_store(module_name):
    """What speaks to a server with the methods of the SqlAlchemyStore that the tests call. The same class serves both servers; it only fills in the
    defaults that the SqlAlchemyStore has and the RestStore leaves to its callers."""
    from mlflow.utils.rest_utils import MlflowHostCreds
    if "model_registry" in module_name:
        from mlflow.store.model_registry.rest_store import RestStore
        return lambda url: RestStore(lambda: MlflowHostCreds(url))
    from mlflow.entities import ViewType
    from mlflow.store.tracking import SEARCH_MAX_RESULTS_DEFAULT
    from mlflow.store.tracking.rest_store import RestStore

    class Store(RestStore):
        def create_run(self, experiment_id, user_id, start_time, tags, run_name):
            return super().create_run(experiment_id, user_id, start_time, tags or [], run_name)

        def search_experiments(self, view_type=ViewType.ACTIVE_ONLY, max_results=SEARCH_MAX_RESULTS_DEFAULT, *rest, **named):
            return super().search_experiments(view_type, max_results, *rest, **named)

    return lambda url: Store(lambda: MlflowHostCreds(url))


def store_fixture(module_name):
    if WEIR:
        @pytest.fixture
        def store(tmp_path, workspaces_enabled):
            artifacts = tmp_path / "artifacts"
            artifacts.mkdir(exist_ok=True)
            with serve.weir(WEIR, artifacts=artifacts.as_uri(), args=UP_ARGS) as (url, _):
                yield rest_store(module_name)(url)
        return store

    @pytest.fixture
    def store(tmp_path, db_uri, workspaces_enabled):
        from mlflow.server import handlers
        from mlflow.server.fastapi_app import app
        from tests.tracking.integration_test_utils import ServerThread
        artifacts = tmp_path / "artifacts"
        artifacts.mkdir(exist_ok=True)
        handlers._tracking_store = handlers._model_registry_store = None
        handlers.initialize_backend_stores(db_uri, default_artifact_root=artifacts.as_uri())
        with ServerThread(app, serve.free_port()) as url:
            yield rest_store(module_name)(url)
    return store


OURS = {"initialize_backend_stores": remember, "ServerThread": WeirThread, "_init_server": init_server, "_launch_server": launch_server}


def replace(module):
    """The names of this module that reach a server."""
    if WEIR:
        for name, ours in OURS.items():
            if hasattr(module, name):
                setattr(module, name, ours)
        if hasattr(module, "ArtifactsServer"):  # its database is behind its URL
            made = module.ArtifactsServer
            module.ArtifactsServer = lambda database, root, destination, url, process: made(url, root, destination, url, process)
    if module.__name__.endswith("test_sqlalchemy_store") and ".store." in module.__name__:
        module.store = store_fixture(module.__name__)


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(collector):
    if isinstance(collector, pytest.Module):
        with contextlib.suppress(Exception):  # an import that fails is reported by the collection itself
            replace(collector.obj)
    return (yield)


def pytest_collection_modifyitems(config, items):
    """MLflow's file store and workspaces are no servers of ours: what they parametrize is not asked."""
    dropped = [i for i in items if "[file" in i.name or "workspace-enabled" in i.name]
    if dropped:
        config.hook.pytest_deselected(items=dropped)
        items[:] = [i for i in items if i not in set(dropped)]


class Journal:
    """One line a test, written at once: a run that is stopped keeps what it had."""

    def __init__(self, path):
        self.file, self.parts = open(path, "a", encoding="utf-8"), {}

    def add(self, report):
        parts = self.parts.setdefault(report.nodeid, {"outcome": "passed", "seconds": 0.0, "why": ""})
        parts["seconds"] += report.duration
        if report.failed:
            parts.update(outcome="failed" if report.when == "call" else "error", why=self.why(report))
        elif report.skipped and parts["outcome"] == "passed":
            parts.update(outcome="skipped", why=str(report.longrepr[-1] if isinstance(report.longrepr, tuple) else report.longrepr)[:300])
        if report.when == "teardown":
            self.file.write(json.dumps({"test": report.nodeid, **self.parts.pop(report.nodeid)}) + "\n")
            self.file.flush()

    @staticmethod
    def why(report):
        crash = getattr(report.longrepr, "reprcrash", None)
        place = f"{os.path.basename(crash.path)}:{crash.lineno}: {crash.message}" if crash else str(report.longrepr)
        return place[:1500]


journal = Journal(OUT) if OUT else None


def pytest_runtest_logreport(report):
    if journal:
        journal.add(report)
