# SPDX-License-Identifier: Apache-2.0
# One registry: versions that a client of MLflow's registered beside versions of weir; list, show, diff, promote, rollback, alias, trace.
mask() { sed -E 's/[0-9a-f]{64}/HASH/g; s/[0-9a-f]{32}/ID/g; s/\b[0-9a-f]{12}\b/SHORT/g; s/\b[0-9a-f]{8}\b/RUN/g; s/[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9:.]+Z?/TIME/g; s/  +/ /g; s/ +$//'; }
make_champion
sed -i 's/rounds: [0-9]*/rounds: 3/' train.yaml
weir model train train.yaml >/dev/null
weir model register delay >/dev/null
cat >>weir.yaml <<'YAML'
endpoints:
  delay: {model: delay@champion}
registry:
  policies:
    - {alias: champion, model: churn, requires: [fairness]}
YAML
server=
stop() { [ -z "$server" ] || kill -9 "$server" 2>/dev/null || true; }
trap stop EXIT
: >up.out
weir up --port 0 --no-schedule >up.out 2>up.err &
server=$!
for _ in $(seq 200); do
    [ -e .weir/up.json ] && break
    sleep 0.1
done
api="$(json url <.weir/up.json | tr -d '"')/api/2.0"
post() { curl -sf -X POST -H 'Content-Type: application/json' -d "$2" "$api/mlflow/$1"; }

# A client: a run with data, params, a metric, a model's files; version N of churn from it, with a tag.
client() {
    run=$(post runs/create '{"experiment_id": "0", "user_id": "ada", "start_time": 1700000000000, "run_name": "fit", "tags": [{"key": "mlflow.source.git.commit", "value": "c0ffee'"$1"'"}]}' | json run info run_id | tr -d '"')
    post runs/log-batch '{"run_id": "'"$run"'", "params": [{"key": "C", "value": "'"$2"'"}, {"key": "solver", "value": "lbfgs"}], "metrics": [{"key": "auc", "value": 0.'"$3"', "timestamp": 1, "step": 0}]}' >/dev/null
    post runs/log-inputs '{"run_id": "'"$run"'", "datasets": [{"dataset": {"name": "calls", "digest": "d'"$1"'", "source_type": "local", "source": "calls.csv"}}]}' >/dev/null
    cat >MLmodel <<YAML
artifact_path: model
flavors:
  python_function: {loader_module: mlflow.sklearn}
  sklearn: {sklearn_version: 1.5.0}
mlflow_version: 2.22.5
model_uuid: 00000000000000000000000000000000
run_id: $run
signature:
  inputs: '[{"type": "double", "name": "minutes", "required": true}, {"type": "$4", "name": "plan", "required": false}]'
  outputs: '[{"type": "tensor", "tensor-spec": {"dtype": "int64", "shape": [-1]}}]'
  params: '[{"name": "cut", "type": "double", "default": 0.5, "shape": null}]'
YAML
    printf 'weights %s' "$1" >model.pkl
    printf 'sklearn==1.5.0' >requirements.txt
    for file in MLmodel model.pkl requirements.txt; do
        curl -sf -T $file "$api/mlflow-artifacts/artifacts/0/$run/artifacts/model/$file" >/dev/null
    done
    post model-versions/create '{"name": "churn", "source": "mlflow-artifacts:/0/'"$run"'/artifacts/model", "run_id": "'"$run"'", "description": "take '"$1"'", "tags": [{"key": "team", "value": "risk"}]}' >/dev/null
}
post registered-models/create '{"name": "churn", "description": "who leaves", "tags": [{"key": "owner", "value": "ada"}]}' >/dev/null
weir model list churn
client 1 0.1 81 string
client 2 1.0 84 long
post registered-models/create '{"name": "a \"b\" c"}' >/dev/null
post model-versions/create '{"name": "a \"b\" c", "source": "s3://elsewhere/model", "description": "red \u001b[31m\nand more", "tags": [{"key": "bell", "value": "\u0007ding"}]}' >/dev/null
post registered-models/create '{"name": "nothing yet"}' >/dev/null

echo "-- list"
weir model list | mask
weir model list --filter "tags.team = 'risk' AND version_number > 1" --json | python3 -c 'import json, sys
for v in json.load(sys.stdin): print(v["model"], v["version"], v["stage"], v["package"], v["tags"], v["description"])'
weir model list delay --json | python3 -c 'import json, sys
for v in json.load(sys.stdin): print(v["model"], v["version"], v["aliases"], len(v["package"]), v["source"] == "mlflow-artifacts:/packages/" + v["package"])'
weir model list --filter "name = 'none'"
fails 2 weir model list chrun
fails 2 weir model list --filter "version >"
echo "-- show"
weir model show churn@2 --files | mask
weir model show models:/churn/1 --json | python3 -c 'import json, sys
v = json.load(sys.stdin)
print(v["model"], v["version"], v["signature"]["inputs"][1], v["signature"]["params"], v["data"], v["params"], v["metrics"], v["code"], v["size"] > 500, [f["path"] for f in v["files"]])'
weir model show 'a "b" c@1' | mask
weir model show delay@champion | sed -E 's/(metrics|options) .*/\1 ./; s/by run .*//; s/Z by .*//; s/, [0-9.]* kB/, SIZE/' | sed '/^params/,$d' | mask
weir model show delay@champion | sed -n '/^metrics/,$p' | grep -E '^metrics|train_auc' | sed 's/0\.[0-9]*/NUMBER/'
weir model show delay --candidate --json | python3 -c 'import json, sys
v = json.load(sys.stdin)
print(v["version"], v["features"], sorted(v["options"])[:2], [c["name"] for c in v["signature"]["outputs"]], v["metrics"]["auc"] > 0.5 if "auc" in v["metrics"] else sorted(v["metrics"])[:3])'
fails 2 weir model show dealy
fails 2 weir model show churn@9
fails 2 weir model show churn@champoin
echo "-- promote"
fails 1 weir model promote churn@2 --to champion
echo '{"gap": 0.01}' >fair.json
weir model report churn 2 fairness fair.json
weir model promote churn@2 --dry-run
weir model promote churn@2 --to champion
weir model promote churn@champion --to stable
fails 64 weir model promote churn
fails 64 weir model promote churn one
fails 2 weir model promote chrun@1
weir model show churn | mask
echo "-- alias, rollback"
fails 2 weir model rollback churn
fails 2 weir model rollback churn --alias champoin
fails 2 weir model rollback chrun
weir model alias churn stable 1
weir model alias churn stable --delete --dry-run
weir model rollback churn --alias stable --json
weir model alias churn stable --delete
fails 2 weir model alias churn stable --delete
fails 64 weir model alias churn stable
fails 64 weir model alias churn stable 1 --delete
fails 2 weir model alias churn stable 7
fails 2 weir model alias churn 5 1
serving() { # until the endpoint has this version
    for _ in $(seq 100); do
        got=$(curl -s "${api%/api/2.0}/v2/models/delay" | python3 -c 'import json, sys; print(json.load(sys.stdin)["versions"][-1])' 2>/dev/null || true)
        [ "$got" = "$1" ] && break
        sleep 0.1
    done
    echo "serving $got"
}
serving 1
weir model promote delay@2
serving 2
weir model rollback delay --dry-run
serving 2
weir model rollback delay
serving 1
echo "-- diff"
weir model diff churn@1 churn@2 | mask
weir model diff churn@1 churn@2 --json | python3 -c 'import json, sys
d = json.load(sys.stdin)
print(d["differ"], [(r["what"], r["key"]) for r in d["rows"]])'
weir model diff churn@1 churn@2 --all | grep -c ' \*'
weir model diff delay@1 delay@2 | grep -E 'WHAT|rounds|package|model.trees' | grep -v learner | sed 's/[0-9.]* kB/SIZE/g' | mask
fails 1 weir model diff delay@1 delay@2 --exit-code
weir model diff delay@2 delay@2 --exit-code
weir model diff delay@1 churn@1 --json | python3 -c 'import json, sys; print(sorted({r["what"] for r in json.load(sys.stdin)["rows"]}))'
fails 2 weir model diff churn@1 churn@9
echo "-- trace"
cost() { mask | sed -E 's/( TIME) [0-9.]+ (ms|s|us) [0-9.]+ .?J [0-9.]+ .?g$/\1 COST/; s/runs?: [0-9].*/run: COST/'; }
weir model trace churn@2 | cost
weir model trace churn@1 --json | python3 -c 'import json, sys
t = json.load(sys.stdin)
print(t["model"], t["version"], [(n["kind"], n.get("version"), n.get("hash", "")[:2]) for n in t["up"]["nodes"]], t["down"]["nodes"][0]["name"], t["endpoints"])'
weir trace churn@1 | mask
post registered-models/create '{"name": "churn-prod"}' >/dev/null
post model-versions/create '{"name": "churn-prod", "source": "models:/churn/2"}' >/dev/null
weir model trace churn-prod@1 --json | python3 -c 'import json, sys; print([(n["kind"], n["name"], n.get("version")) for n in json.load(sys.stdin)["up"]["nodes"]])' | mask
url="${api%/api/2.0}/v2/models/delay/infer"
for i in 1 2 3; do
    curl -sf -X POST -H 'Content-Type: application/json' "$url" -o /dev/null -d '{"id": "p'$i'", "inputs": [{"name": "t", "datatype": "BYTES", "shape": [1], "data": ["2001-02-01T00:00:00Z"]}, {"name": "x", "datatype": "FP64", "shape": [1], "data": [0.5]}, {"name": "place", "datatype": "BYTES", "shape": [1], "data": ["A"]}]}'
done
weir deploy flush --url "${api%/api/2.0}" >/dev/null
weir model trace delay@champion | cost
weir model trace delay@2 --json | python3 -c 'import json, sys
t = json.load(sys.stdin)
print([n["kind"] for n in t["up"]["nodes"]], [(e["endpoint"], e["now"], e["predictions"], bool(e["loaded"])) for e in t["endpoints"]])'
weir model trace delay | grep -c ' run '
fails 2 weir model trace dealy
fails 2 weir model trace churn@7
fails 2 weir trace chrun
weir model alias --help | head -3
kill -TERM "$server"
wait "$server"
server=
# a backup without what a version is made of is not whole
weir backup whole >/dev/null
weir backup --verify whole >/dev/null && echo "with all packages"
package=$(weir model show delay --json | json versions 0 package | tr -d '"')
rest=${package#??}
tree=whole/objects/${package%"$rest"}/$rest
trees=$(sed -n 's/ .* model\.trees$//p' "$tree")
rest=${trees#??}
rm -f "whole/objects/${trees%"$rest"}/$rest"
weir backup --verify whole 2>/dev/null | grep -v '^records' || true
rm -f "$tree"
weir backup --verify whole 2>/dev/null | grep -v '^records' || true
weir model explain delay rides_features --limit 3 --json | python3 -c 'import json, sys
a = json.load(sys.stdin)
print(a["features"], len(a["explanations"]), all(abs(sum(r[0]) - m[0]) < 1e-9 and len(r[0]) == len(a["features"]) + 1 for r, m in zip(a["explanations"], a["margins"])))'
fails 2 weir model explain delay "SELECT 1 AS x"
fails 2 weir model explain dealy rides_features
fails 64 weir model explain delay rides_features --top 0
