# SPDX-License-Identifier: Apache-2.0
"""A server for a test: Weir in a fresh project, or MLflow's own, on a free port of 127.0.0.1; ended again at the end of the with block."""
import contextlib, functools, os, shutil, signal, socket, subprocess, sys, tempfile, time, urllib.request

HOST = "127.0.0.1"


def free_port():
    with socket.socket() as s:
        s.bind((HOST, 0))
        return s.getsockname()[1]


def await_up(process, url, seconds, log):
    """Until /health answers 200; what the server said when it ends or stays silent."""
    late = time.monotonic() + seconds
    while time.monotonic() < late:
        if process.poll() is not None:
            break
        with contextlib.suppress(OSError):
            with urllib.request.urlopen(url + "/health", timeout=1) as answer:
                if answer.status == 200:
                    return
        time.sleep(0.002 if seconds < 30 else 0.1)
    with open(log, errors="replace") as f:
        raise RuntimeError(f"{url} is not up: exit code {process.poll()}\n{f.read()[-4000:]}")


def end(process):
    """SIGTERM to its group (MLflow's server has workers), SIGKILL after ten seconds."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(10)
            return


@contextlib.contextmanager
def started(command, folder, url, seconds, env):
    log = os.path.join(folder, "server.log")
    with open(log, "wb") as out:
        process = subprocess.Popen(command, cwd=folder, env=env, stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True)
    try:
        await_up(process, url, seconds, log)
        yield process
    finally:
        end(process)


@functools.cache
def knows(program, option):
    return option in subprocess.run([program, "up", "--help"], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True).stdout


@contextlib.contextmanager
def weir(program, port=0, artifacts=None, args=(), env=None, folder=None, config=None, admin=None):
    """`weir up` in a fresh project; with more lines of weir.yaml, with an administrator (name, password). Yields (url, process)."""
    port = port or free_port()
    url = f"http://{HOST}:{port}"
    made = folder or tempfile.mkdtemp(prefix="weir-up-")
    try:
        everything = {**os.environ, "NO_COLOR": "1", **(env or {})}
        if not os.path.exists(os.path.join(made, ".weir")):
            subprocess.run([program, "init"], cwd=made, env=everything, stdin=subprocess.DEVNULL, capture_output=True, check=True)
        if config:
            with open(os.path.join(made, "weir.yaml"), "a", encoding="utf-8") as f:
                f.write(config)
        if admin:
            subprocess.run([program, "user", "add", admin[0], "--admin"], cwd=made, env=everything | {"WEIR_PASSWORD": admin[1]}, stdin=subprocess.DEVNULL,
                           capture_output=True, check=True)
        command = [program, "up", "--port", str(port), *(["--artifacts", artifacts] if artifacts and knows(program, "--artifacts") else []),
                   *args]
        with started(command, made, url, 29, everything) as process:
            yield url, process
    finally:
        if not folder:
            shutil.rmtree(made, ignore_errors=True)


@contextlib.contextmanager
def mlflow(python, port=0, workers=None, args=(), env=None, folder=None):
    """`mlflow server` with its own defaults (SQLite, artifacts through the proxy). Yields (url, process)."""
    port = port or free_port()
    url = f"http://{HOST}:{port}"
    made = folder or tempfile.mkdtemp(prefix="mlflow-up-")
    try:
        everything = {**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true", "PATH": os.path.dirname(python) + ":" + os.environ.get("PATH", ""), **(env or {})}
        everything.pop("MLFLOW_TRACKING_URI", None)
        command = [python, "-m", "mlflow", "server", "--host", HOST, "--port", str(port), "--backend-store-uri", f"sqlite:///{made}/mlflow.db",
                   "--artifacts-destination", f"{made}/artifacts", "--serve-artifacts", *(["--workers", str(workers)] if workers else []), *args]
        with started(command, made, url, 180, everything) as process:
            yield url, process
    finally:
        if not folder:
            shutil.rmtree(made, ignore_errors=True)


def main():
    """serve.py weir PROGRAM [ARGS...] | serve.py mlflow PYTHON [ARGS...]: prints the address, runs until stdin closes."""
    kind, program, *args = sys.argv[1:]
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    with {"weir": weir, "mlflow": mlflow}[kind](program, args=args) as (url, process):
        print(url, process.pid, flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main()
