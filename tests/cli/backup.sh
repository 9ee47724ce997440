# SPDX-License-Identifier: Apache-2.0
# Backups of a project whose server is being written to: each is whole and holds all that was acknowledged before it began.
weir init >/dev/null
printf 'x,y\n1,2\n3,4\n' >a.csv
weir data ingest numbers --from a.csv >/dev/null
server=
stop() { [ -z "$server" ] || kill -9 "$server" 2>/dev/null || true; }
trap stop EXIT
up() { # the address, in $url
    : >up.out
    : >up.out
    weir up --port 0 --no-schedule >up.out 2>up.err &
    server=$!
    for _ in $(seq 200); do
        url=$(sed -n 's/^weir is up at \(http:[^ ]*\).*/\1/p' up.out)
        [ -n "$url" ] && break
        sleep 0.1
    done
}
down() {
    kill -TERM "$server"
    wait "$server" || true
    server=
}
up
# load.py URL: writers until the file "enough" is there; each notes what was acknowledged, before it goes on
cat >load.py <<'PYTHON'
import http.client, json, os, sys, threading
host = sys.argv[1].removeprefix("http://")
def writer(k):
    c = http.client.HTTPConnection(host)
    def ask(method, path, body):
        c.request(method, path, body, {"Content-Type": "application/json"})
        r = c.getresponse()
        text = r.read()
        assert r.status == 200, (r.status, text)
        return json.loads(text)
    run = ask("POST", "/api/2.0/mlflow/runs/create", json.dumps({"experiment_id": "0", "run_name": f"writer {k}"}))["run"]["info"]["run_id"]
    with open(f"acked.{k}", "w") as note:
        n = 0
        while not os.path.exists("enough"):
            ask("POST", "/api/2.0/mlflow/runs/log-metric", json.dumps({"run_id": run, "key": "m", "value": n, "timestamp": n, "step": n}))
            if n % 20 == 0:
                ask("PUT", f"/api/2.0/mlflow-artifacts/artifacts/0/{run}/artifacts/f{n}.txt", f"file {n} of {k}")
                ask("POST", "/api/2.0/mlflow/runs/set-tag", json.dumps({"run_id": run, "key": f"t{n}", "value": str(n)}))
            note.write(f"{run} {n}\n")
            note.flush()
            n += 1
threads = [threading.Thread(target=writer, args=(k,)) for k in range(4)]
for t in threads: t.start()
for t in threads: t.join()
PYTHON
# holds.py URL ACKED...: everything that was acknowledged is there
cat >holds.py <<'PYTHON'
import json, sys, urllib.request
def get(path):
    return urllib.request.urlopen(sys.argv[1] + "/api/2.0/" + path).read()
missing = 0
for k, name in enumerate(sys.argv[2:]):
    lines = [line.split() for line in open(name) if line.endswith("\n")]
    if not lines: continue
    run, last = lines[-1][0], int(lines[-1][1])
    points = json.loads(get(f"mlflow/metrics/get-history?run_id={run}&metric_key=m&max_results=1000000"))["metrics"]
    missing += len(set(range(last + 1)) - {p["step"] for p in points})
    tags = {t["key"] for t in json.loads(get(f"mlflow/runs/get?run_id={run}"))["run"]["data"]["tags"]}
    for n in range(0, last + 1, 20):
        missing += f"t{n}" not in tags
        missing += get(f"mlflow-artifacts/artifacts/0/{run}/artifacts/f{n}.txt").decode() != f"file {n} of {k}"
print(missing, "missing")
PYTHON
python3 load.py "$url" 2>load.err &
load=$!
for n in 1 2 3; do
    sleep 1
    for k in 0 1 2 3; do cp "acked.$k" "acked.$k.before.$n"; done
    weir backup "backups/$n" --json | python3 -c 'import json, sys; r = json.load(sys.stdin); print(r["backup"], r["files"] > 10, r["linked"] > 5)'
done
touch enough
wait "$load"
cat load.err
down
fails 2 weir backup backups/1
for n in 1 2 3; do
    weir backup --verify "backups/$n"
    # restore: the folder in the place of .weir
    rm -rf "restored.$n" && mkdir "restored.$n" && cp weir.yaml "restored.$n/" && cp -r "backups/$n" "restored.$n/.weir"
    cd "restored.$n"
    up
    python3 ../holds.py "$url" ../acked.?.before."$n"
    down
    weir data sql 'SELECT sum(x) AS x FROM numbers' --json
    cd ..
done
[ "$(cat acked.? | wc -l)" -gt 100 ] || echo "THE LOAD WAS NONE"
# what is damaged is found
cp -r backups/1 damaged
python3 - <<'PYTHON'
import os, sqlite3
db = sqlite3.connect("file:damaged/weir.db?mode=ro", uri=True)
first, last = db.execute("SELECT min(object), max(object) FROM artifacts").fetchone() # not one that an upload has just left
os.unlink(f"damaged/artifacts/{first[:2]}/{first[2:]}")
with open(f"damaged/artifacts/{first[:2]}/{first[2:]}", "w") as f:
    f.write("x")
os.unlink(f"damaged/artifacts/{last[:2]}/{last[2:]}")
PYTHON
rm "$(find damaged/lake -name '*.parquet' | head -1)"
weir backup --verify damaged >damaged.out 2>damaged.err && echo "NOT FOUND" || echo "exit code $?"
sed 's/[0-9a-f]\{20,\}/HASH/; s/f[0-9]*\.txt/F.txt/; s/part-[^ ]*/PART/' damaged.out | LC_ALL=C sort | grep -v '^records' | sed 's/^[^ ]*damaged/damaged/'
python3 - <<'PYTHON'
with open("damaged/weir.db", "r+b") as f:
    f.seek(4096 * 3)
    f.write(b"\xff" * 4096 * 4)
PYTHON
weir backup --verify damaged --json 2>/dev/null | python3 -c 'import json, sys; print(any("records" in p for p in json.load(sys.stdin)["problems"]))'
fails 2 weir backup --verify nowhere
mkdir empty
weir backup --verify empty 2>/dev/null || echo "exit code $?"
