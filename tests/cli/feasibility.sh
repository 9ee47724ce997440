# SPDX-License-Identifier: Apache-2.0
# The feasibility study: of a package, of an ONNX and an XGBoost file; targets; what the registry makes of the report.

# states FILE: the state of each check that does not depend on the machine.
states() {
    python3 - "$1" <<'PYTHON'
import json, sys
r = json.load(open(sys.argv[1]))
assert len(r["checks"]) == 20 and [c["number"] for c in r["checks"]] == list(range(1, 21))
assert all(c["measured"] and c["limit"] for c in r["checks"])
assert sum(r["counts"].values()) == 20
print(r["verdict"], r["rows"]["real"])
for c in r["checks"]:
    if c["number"] != 10:
        print(c["number"], c["name"], c["state"])
PYTHON
}
evidence() { python3 -c 'import json, sys; c = json.load(open(sys.argv[1]))["checks"][int(sys.argv[2]) - 1]; print(c["state"], c["measured"])' "$@"; }

cat >easy.yaml <<'YAML'
name: easy
latency: {p99: 20s, cold_start: 60s}
load: {rps: 0.1, concurrency: 2}
memory: {limit: 8GiB}
host: {nofile: 10, kernel: "2.6"}
YAML

echo "-- files, without a project"
weir deploy study "$CASES/../../fuzz/corpus/xgboost/xgb17_squarederror.json" --target easy.yaml --seconds 0.4 --out xgb.json >xgb.txt
states xgb.json
cp "$CASES/../../fuzz/corpus/onnx/model_logistic.onnx" logistic.onnx
weir deploy study ./logistic.onnx --target easy.yaml --seconds 0.4 --out onnx.json --json | json verdict
states onnx.json
weir deploy study ./logistic.onnx --target easy.yaml --seconds 0.4 --out onnx.md >/dev/null
grep -c '^|' onnx.md
sed -n 1p onnx.md
python3 -c 'import pickle; pickle.dump(print, open("model.pkl", "wb"))'
code=0
weir deploy study ./model.pkl --target easy.yaml >/dev/null 2>said || code=$?
echo "exit code $code"

echo "-- wrong targets"
printf 'latency: {p99: 20ms}\nmemmory: {limit: 1GB}\n' >bad.yaml
code=0
weir deploy study logistic.onnx --target bad.yaml 2>&1 || code=$?
printf 'latency:\n  p90: 20ms\n' >bad.yaml
weir deploy study logistic.onnx --target bad.yaml 2>&1 || code=$?
printf 'load: {rps: many}\n' >bad.yaml
weir deploy study logistic.onnx --target bad.yaml 2>&1 || code=$?
printf 'load: {concurrency: 1000}\n' >bad.yaml
weir deploy study logistic.onnx --target bad.yaml 2>&1 || code=$?
printf 'memory: {limit: [1]}\n' >bad.yaml
weir deploy study logistic.onnx --target bad.yaml 2>&1 || code=$?
weir deploy study logistic.onnx --target nofile.yaml 2>&1 || code=$?
echo "exit code $code"
code=0
weir deploy study nomodel.onnx --target easy.yaml 2>said || code=$?
echo "exit code $code"
code=0
weir deploy study logistic.onnx --out report.pdf 2>&1 || code=$?
echo "exit code $code"

echo "-- a package"
make_champion
weir deploy study delay@champion --target easy.yaml --seconds 0.4 --out package.json >table.txt
states package.json
grep -c . table.txt
for n in 1 2 3 4 15; do evidence package.json $n; done
weir deploy study delay/1 --target easy.yaml --seconds 0.4 --strict >/dev/null 2>&1 || echo "strict: exit code $?"
weir model show delay@1 --json | python3 -c 'import json, sys; print(sorted(k.split(".")[0] for k in json.load(sys.stdin)["reports"]))'
head -4 rides.csv | sed 's/place/plaze/' >bad.csv
code=0
weir deploy study delay@1 --rows bad.csv --seconds 0.4 --out bad.json >/dev/null 2>&1 || code=$?
echo "exit code $code"
evidence bad.json 1

echo "-- a budget that does not hold"
sed 's/rps: 0.1/rps: 900000000/' easy.yaml >hard.yaml
sed -i 's/name: easy/name: hard/' hard.yaml
code=0
weir deploy study delay@1 --target hard.yaml --seconds 0.4 --out hard.json >/dev/null 2>said || code=$?
echo "exit code $code"
sed 's/[0-9,]* a second.*/N a second/' said
python3 -c 'import json; print([c["name"] for c in json.load(open("hard.json"))["checks"] if c["state"] == "fail"])'

echo "-- promotion"
sed -i 's/rounds: [0-9]*/rounds: 3/' train.yaml
weir model train train.yaml >/dev/null
weir model register delay >/dev/null
cat >>weir.yaml <<'YAML'
registry:
  target: easy.yaml
  policies:
    - {alias: champion, requires: [feasibility]}
YAML
fails 1 weir model promote delay@2
weir deploy study delay@2 --target hard.yaml --seconds 0.4 >/dev/null 2>&1 || echo "exit code $?"
fails 1 weir model promote delay@2
weir deploy study delay@2 --target easy.yaml --seconds 0.4 --out two.json >/dev/null
evidence two.json 15
weir model promote delay@2
weir model promote delay@1 # it was studied for this target before
sed -i 's/target: easy.yaml/target: hard.yaml/' weir.yaml
fails 1 weir model promote delay@2 | sed 's/[0-9,]* a second.*/N a second/'
sed -i '/target: hard.yaml/d' weir.yaml
weir model promote delay@2
