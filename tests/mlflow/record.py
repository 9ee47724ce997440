#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Records what a client sends and what MLflow answers, as templates that can be played to another server.

    record.py record --python PYTHON --out recorded/NAME.http PART...    the parts of workflow.py, client and server of that Python's mlflow
    record.py play recorded/NAME.http URL                                play to a server, print what differs

The session is recorded through a proxy in front of MLflow's own server, then played to a second, fresh one. What differs there is no promise of the
protocol: an identifier becomes a variable ({{id3}}: bound by the answer that shows it first, put into later requests), any other value {{any}}.
A page token always becomes a variable. The format of a file, read by replay.c too:

    # comment
    === 7
    POST /api/2.0/mlflow/runs/create        method and target; {{%name}} is the variable percent-encoded
    Content-Type: application/json          headers that matter, empty line, then the body in one line:
                                            text as it is | base64:... | nothing
    {"experiment_id": "{{id1}}"}
    --- 200                                 status of the answer, then its body in one line:
    {"run": ...}                            json as a template | base64:... | sha256:HEX LENGTH | any
"""
import argparse, base64, hashlib, http.client, http.server, json, os, re, shutil, socketserver, sqlite3, subprocess, sys, tempfile, threading, urllib.parse

import serve

HERE = os.path.dirname(os.path.abspath(__file__))
KEPT = ("content-type", "content-encoding", "x-mlflow-experiment-id", "x-mlflow-workspace", "range")
HASH_ABOVE = 600  # bytes of a body that is no JSON
TOKEN = re.compile(r"(?:tr-|m-)?[0-9a-f]{32}|[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|(?<!\d)\d{8}(?!\d)")
BY_KEY = {"tags", "params", "metrics", "aliases", "trace_metadata", "request_metadata"}  # lists without an order of their own


class Exchange:
    def __init__(self, method, target, headers, body, status=0, answer=b"", json_answer=False):
        self.method, self.target, self.headers, self.body = method, target, headers, body
        self.status, self.answer, self.json_answer = status, answer, json_answer


# ---- the proxy ----

class Proxy(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    upstream, journal, lock = None, None, threading.Lock()

    def log_message(self, *args):
        pass

    def body(self):
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            out = b""
            while size := int(self.rfile.readline().split(b";")[0], 16):
                out += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            return out
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def pass_on(self):
        body = self.body()
        with self.lock:  # one after the other: the order of the file is the order of the answers
            headers = {k: v for k, v in self.headers.items() if k.lower() not in ("connection", "transfer-encoding", "content-length", "accept-encoding")}
            status, answer, kind = ask(self.upstream, self.command, self.path, headers, body)
            kept = {k: v for k, v in self.headers.items() if k.lower() in KEPT}
            Proxy.journal.append(Exchange(self.command, self.path, kept, body, status, answer, kind.startswith("application/json")))
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = pass_on


class Threaded(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads, request_queue_size = True, 64


def ask(url, method, target, headers, body):
    """Status, body and type of an answer."""
    c = http.client.HTTPConnection(url.split("//")[1], timeout=120)
    try:
        c.request(method, target, body=body or None, headers={**headers, **({"Content-Length": "0"} if not body and method in ("POST", "PUT") else {})})
        r = c.getresponse()
        return r.status, r.read(), r.getheader("Content-Type") or ""
    finally:
        c.close()


def server(python, base):
    """A fresh MLflow server whose experiments are numbered from `base` on, so that their ids are told from other numbers."""
    folder = tempfile.mkdtemp(prefix="record-")
    context = serve.mlflow(python, workers=1, folder=folder)

    class Numbered:
        def __enter__(self):
            url, _ = context.__enter__()
            db = sqlite3.connect(f"{folder}/mlflow.db", timeout=30)
            columns = [c[1] for c in db.execute("PRAGMA table_info(experiments)")]
            more = {"workspace": "default"} if "workspace" in columns else {}
            row = {"experiment_id": base, "name": f"base {base}", "artifact_location": "mlflow-artifacts:/base", "lifecycle_stage": "deleted",
                   "creation_time": 1, "last_update_time": 1, **more}
            db.execute(f"INSERT INTO experiments ({', '.join(row)}) VALUES ({', '.join('?' * len(row))})", list(row.values()))
            db.commit()
            db.close()
            return url

        def __exit__(self, *why):
            context.__exit__(*why)
            subprocess.run(["rm", "-rf", folder], check=False)
    return Numbered()


# ---- comparing ----

def sorted_lists(value, key=""):
    """Lists without an order of their own, by key."""
    if isinstance(value, dict):
        return {k: sorted_lists(v, k) for k, v in value.items()}
    if isinstance(value, list):
        out = [sorted_lists(v) for v in value]
        if key in BY_KEY and all(isinstance(v, dict) and "key" in v and "step" not in v for v in out):
            return sorted(out, key=lambda v: v["key"])
        if key == "latest_versions":
            return sorted(out, key=lambda v: v.get("current_stage", ""))
        if key == "metrics" and all(isinstance(v, dict) and "key" in v for v in out) and len({v["key"] for v in out}) == len(out):
            return sorted(out, key=lambda v: v["key"])
        return out
    return value


class Binder:
    """Names for what differs between two servers."""

    def __init__(self):
        self.names, self.other, self.count = {}, {}, 0

    def bind(self, a, b, kind="id"):
        self.count += 1
        self.names[a], self.other[a] = f"{kind}{self.count}", b

    def text(self, text, value_of):
        """Known tokens replaced."""
        for token in sorted(self.names, key=len, reverse=True):
            text = text.replace(token, value_of(token))
            quoted = urllib.parse.quote(token, safe="")
            if quoted != token:
                text = text.replace(quoted, value_of(token, True))
        return text

    def to_other(self, text):
        return self.text(text, lambda token, quoted=False: urllib.parse.quote(self.other[token], safe="") if quoted else self.other[token])

    def to_template(self, text):
        return self.text(text, lambda token, quoted=False: "{{%" + self.names[token] + "}}" if quoted else "{{" + self.names[token] + "}}")

    def merge(self, a, b, key=""):
        """The template of two answers to the same request."""
        if isinstance(a, dict) and isinstance(b, dict) and set(a) == set(b):
            return {k: self.merge(a[k], b[k], k) for k in a}
        if isinstance(a, list) and isinstance(b, list) and len(a) == len(b):
            return [self.merge(x, y, key) for x, y in zip(a, b)]
        if isinstance(a, str) and isinstance(b, str):
            return self.merge_text(a, b, key)
        return a if a == b and type(a) is type(b) else "{{any}}"

    def merge_text(self, a, b, key):
        if key == "next_page_token":
            self.bind(a, b, "page")
        elif self.to_other(a) != b:
            left, right = TOKEN.findall(a), TOKEN.findall(b)
            if len(left) != len(right) or TOKEN.sub("", a) != TOKEN.sub("", b):
                return "{{any}}"
            for x, y in zip(left, right):
                if x != y and x not in self.names:
                    self.bind(x, y)
            if self.to_other(a) != b:
                return "{{any}}"
        return self.to_template(a)


def one_line(body):
    """A body that is no JSON answer, as the file holds it."""
    if not body:
        return ""
    try:
        text = body.decode()
        if text.isprintable() and not text.startswith(("base64:", "sha256:", "any", "---")):
            return text
    except UnicodeDecodeError:
        pass
    return "base64:" + base64.b64encode(body).decode()


def template(exchanges, url):
    """Plays the exchanges to a second server and yields their lines."""
    binder = Binder()
    for n, e in enumerate(exchanges, 1):
        is_text = e.headers.get("Content-Type", "").startswith("application/json")
        body = binder.to_other(e.body.decode()).encode() if is_text else e.body
        headers = {k: binder.to_other(v) for k, v in e.headers.items()}
        lines = [f"=== {n}", f"{e.method} {binder.to_template(e.target)}"] + [f"{k}: {binder.to_template(v)}" for k, v in e.headers.items()] + [""]
        lines.append(binder.to_template(e.body.decode()) if is_text else one_line(e.body))
        status, answer, _ = ask(url, e.method, binder.to_other(e.target), headers, body)
        if status != e.status:
            print(f"{n}: {e.method} {e.target}: {e.status} when recorded, {status} when played: {answer[:300]!r}", file=sys.stderr)
        lines.append(f"--- {e.status}")
        if e.status >= 400 and e.json_answer:  # the words of an error are the server's own
            lines.append(json.dumps({"error_code": json.loads(e.answer).get("error_code")}))
        elif e.json_answer:
            a, b = json.loads(e.answer), json.loads(answer)
            lines.append(json.dumps(binder.merge(sorted_lists(a), sorted_lists(b)), ensure_ascii=False))
        elif e.answer != answer:
            lines.append("any")
        elif len(e.answer) > HASH_ABOVE:
            lines.append(f"sha256:{hashlib.sha256(e.answer).hexdigest()} {len(e.answer)}")
        else:
            lines.append(one_line(e.answer))
        yield "\n".join(lines)


def record(args):
    version = subprocess.run([args.python, "-c", "import mlflow; print(mlflow.__version__)"], capture_output=True, text=True, check=True).stdout.strip()
    Proxy.journal = []
    with server(args.python, 70000000) as url:
        Proxy.upstream = url
        proxy = Threaded((serve.HOST, 0), Proxy)
        threading.Thread(target=proxy.serve_forever, daemon=True).start()
        env = {**os.environ, "MLFLOW_TRACKING_URI": f"http://{serve.HOST}:{proxy.server_address[1]}", "USER": "someone", "LOGNAME": "someone"}
        with tempfile.TemporaryDirectory(prefix="workflow-") as folder:  # outside of any repository, whose commit would become a tag
            shutil.copy(os.path.join(HERE, "workflow.py"), folder)
            done = subprocess.run([args.python, "workflow.py", *args.parts], env=env, cwd=folder, check=False)
        proxy.shutdown()
        if done.returncode:
            sys.exit("the workflow failed: nothing recorded")
    kept = [e for e in Proxy.journal if e.target not in ("/version", "/health")]
    with server(args.python, 80000000) as url, open(args.out, "w", encoding="utf-8") as f:
        f.write(f"# MLflow {version}, client and server: {' '.join(args.parts)} (record.py)\n")
        for text in template(kept, url):
            f.write(text + "\n")
    print(f"{args.out}: {len(kept)} exchanges, {os.path.getsize(args.out)} bytes")


# ---- playing ----

def read(path):
    """The exchanges of a file: number, method, target, headers, body line, status, answer line."""
    with open(path, encoding="utf-8") as f:
        lines = f.read().split("\n")
    at = 0
    while at < len(lines) and not lines[at].startswith("=== "):
        at += 1
    while at < len(lines) and lines[at].startswith("=== "):
        number, (method, target) = int(lines[at][4:]), lines[at + 1].split(" ", 1)
        at += 2
        headers = {}
        while lines[at]:
            name, value = lines[at].split(": ", 1)
            headers[name] = value
            at += 1
        yield number, method, target, headers, lines[at + 1], int(lines[at + 2][4:]), lines[at + 3]
        at += 4


class Player:
    def __init__(self):
        self.bound = {}

    def fill(self, text):
        def value(match):
            v = self.bound.get(match.group(2))
            return match.group(0) if v is None else urllib.parse.quote(v, safe="") if match.group(1) else v
        return re.sub(r"\{\{(%?)(\w+)\}\}", value, text)

    def differences(self, wanted, got, path=""):
        if wanted == "{{any}}":
            return
        if isinstance(wanted, dict) and isinstance(got, dict):
            for k in wanted.keys() ^ got.keys():
                if (wanted | got)[k]:  # empty, zero or not there: the same to a client
                    yield f"{path}/{k}", wanted.get(k, "(nothing)"), got.get(k, "(nothing)")
            # whole variables first: texts made of them are checked against them
            for k in sorted(wanted.keys() & got.keys(), key=lambda k: not (isinstance(wanted[k], str) and re.fullmatch(r"\{\{\w+\}\}", wanted[k]))):
                yield from self.differences(wanted[k], got[k], f"{path}/{k}")
        elif isinstance(wanted, list) and isinstance(got, list) and len(wanted) == len(got):
            for i, (x, y) in enumerate(zip(wanted, got)):
                yield from self.differences(x, y, f"{path}/{i}")
        elif isinstance(wanted, str) and isinstance(got, str) and (wanted == got or self.matches(wanted, got)):
            return
        elif wanted != got or isinstance(wanted, bool) != isinstance(got, bool):
            yield path, self.fill(wanted) if isinstance(wanted, str) else wanted, got

    def matches(self, wanted, got):
        """A text with unbound variables matches what stands in their places, and binds them."""
        parts = re.split(r"\{\{(\w+)\}\}", self.fill(wanted))
        pattern = "".join(re.escape(p) if i % 2 == 0 else "(.+)" for i, p in enumerate(parts))
        found = re.fullmatch(pattern, got, re.S)
        if found:
            self.bound.update(zip(parts[1::2], found.groups()))
        return found is not None


def play(args):
    player, wrong = Player(), 0
    for number, method, target, headers, body, status, answer in read(args.file):
        raw = base64.b64decode(body[7:]) if body.startswith("base64:") else player.fill(body).encode()
        got_status, got, _ = ask(args.url, method, player.fill(target), {k: player.fill(v) for k, v in headers.items()}, raw)
        found = [("status", status, f"{got_status} {got[:300]!r}")] if got_status != status else []
        if not found and answer.startswith("{"):
            try:
                have = sorted_lists(json.loads(got))
                found = list(player.differences(json.loads(answer), {"error_code": have.get("error_code")} if status >= 400 else have))
            except ValueError:
                found = [("body", answer[:100], got[:300])]
        elif not found and answer.startswith("sha256:"):
            found = [] if hashlib.sha256(got).hexdigest() == answer[7:71] else [("body", answer, f"{len(got)} bytes")]
        elif not found and answer != "any" and one_line(got) != answer:
            found = [("body", answer[:200], one_line(got)[:200])]
        for path, x, y in found:
            wrong += 1
            print(f"{number} {method} {player.fill(target)[:100]} {path}: wanted {str(x)[:160]!r}, got {str(y)[:300]!r}")
    print(f"{args.file}: {wrong} differences")
    return 1 if wrong else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    one = commands.add_parser("record")
    one.add_argument("--python", required=True)
    one.add_argument("--out", required=True)
    one.add_argument("parts", nargs="+")
    two = commands.add_parser("play")
    two.add_argument("file")
    two.add_argument("url")
    args = parser.parse_args()
    return record(args) if args.command == "record" else play(args)


if __name__ == "__main__":
    sys.exit(main())
