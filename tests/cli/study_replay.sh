# SPDX-License-Identifier: Apache-2.0
# The feasibility study over what a server was really asked: a package, and a model file; from serving to the report.
evidence() { python3 -c 'import json, sys; c = json.load(open(sys.argv[1]))["checks"][int(sys.argv[2]) - 1]; print(c["number"], c["state"], c["measured"])' "$@"; }
rows_of() { python3 -c 'import json, sys; r = json.load(open(sys.argv[1]))["rows"]; print(r["count"], r["real"], r["from"])' "$@"; }
make_champion
mkdir exports
cp "$CASES/../reference/forests/xgb17_squarederror.json" exports/boost.json
cat >weir.yaml <<'YAML'
endpoints:
  delay: {model: delay@champion}
  boost: {path: exports/boost.json, log: all}
  quiet: {path: exports/boost.json}
YAML
cat >easy.yaml <<'YAML'
name: easy
latency: {p99: 20s, cold_start: 60s}
load: {rps: 0.1, concurrency: 2}
memory: {limit: 8GiB}
host: {nofile: 10, kernel: "2.6"}
YAML
weir feature materialize features.yaml --until 2001-01-15 >/dev/null
server=
stop() { [ -z "$server" ] || kill -9 "$server" 2>/dev/null || true; }
trap stop EXIT
: >up.out
weir up --port 0 --no-schedule >up.out 2>up.err &
server=$!
for _ in $(seq 200); do
    url=$(sed -n 's/^weir is up at \(http:[^ ]*\).*/\1/p' up.out)
    [ -z "$url" ] || break
    sleep 0.1
done
weir deploy replay delay --url "$url" --from 2001-01-15 --until 2001-01-17 >/dev/null 2>&1
python3 - "$url" <<'PYTHON'
import json, sys, urllib.request
ask = lambda path, body=None: json.load(urllib.request.urlopen(urllib.request.Request(sys.argv[1] + path, data=body), timeout=20))
meta = ask("/v2/models/boost")["inputs"][0]
width = meta["shape"][1]
for i in range(30):
    row = [(i * 7 + k) % 11 / 3 for k in range(width)]
    ask("/v2/models/boost/infer", json.dumps({"inputs": [{"name": meta["name"], "datatype": "FP32", "shape": [1, width], "data": row}]}).encode())
PYTHON

echo "-- nothing in the lake yet"
fails 2 weir deploy study delay@champion --replay delay
fails 2 weir deploy study exports/boost.json --replay quiet
fails 2 weir deploy study delay@champion --replay dely
weir deploy flush --url "$url" >/dev/null

echo "-- a package"
weir deploy study delay@champion --target easy.yaml --seconds 0.4 --replay delay --out delay.json >table.txt
rows_of delay.json
for n in 1 2 3 4 5; do evidence delay.json $n; done
grep -c '^to do:' table.txt

echo "-- a file"
weir deploy study exports/boost.json --target easy.yaml --seconds 0.4 --replay boost --out boost.json >/dev/null
rows_of boost.json
for n in 1 2 4; do evidence boost.json $n; done

echo "-- the log of another model"
code=0
weir deploy study exports/boost.json --target easy.yaml --seconds 0.4 --replay delay --out other.json >/dev/null 2>&1 || code=$?
echo "exit code $code"
evidence other.json 1

echo "-- what was asked has moved"
python3 - "$url" <<'PYTHON'
import json, sys, urllib.request
from datetime import datetime, timedelta
for i in range(400):
    t = datetime(2001, 1, 17) + timedelta(minutes=i)
    body = {"inputs": [{"name": "t", "datatype": "BYTES", "shape": [1], "data": [t.isoformat()]},
                       {"name": "place", "datatype": "BYTES", "shape": [1], "data": ["A"]},
                       {"name": "x", "datatype": "FP64", "shape": [1], "data": [40 + i % 10]}]}
    urllib.request.urlopen(sys.argv[1] + "/v2/models/delay/infer", data=json.dumps(body).encode(), timeout=20).read()
PYTHON
weir deploy flush --url "$url" >/dev/null
code=0
weir deploy study delay@champion --target easy.yaml --seconds 0.4 --replay delay --out moved.md >/dev/null 2>said || code=$?
echo "exit code $code"
sed 's/largest PSI [0-9.]*/largest PSI N/' said
sed -n '/^### 5/,/^### 6/p' moved.md | sed 's/PSI of \([a-z0-9_]*\): .*/PSI of \1: N/'
