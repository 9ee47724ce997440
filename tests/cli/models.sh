# SPDX-License-Identifier: Apache-2.0
# A folder of models in service: list, load, unload, infer; and a model file as an endpoint.
cp -r "$CASES/../triton/models" models
chmod -R u+w models
mkdir -p models/trees/1 models/boost/1 exports
cp "$CASES/../reference/forests/lgb_regression.txt" models/trees/1/model.txt
cp "$CASES/../reference/forests/xgb17_squarederror.json" models/boost/1/model.json
cp models/simple/1/model.onnx exports/sums.onnx
weir init >/dev/null
cat >weir.yaml <<'YAML'
endpoints:
  sums: {path: exports/sums.onnx}
serving:
  repository: models
  load: none
YAML
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
weir deploy list
weir deploy load simple
weir deploy load simple_string --url "$url" --json
cat >rows.json <<'JSON'
{"inputs": [{"name": "INPUT0", "shape": [2, 16], "datatype": "INT32", "data": [[0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15], [0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15]]},
            {"name": "INPUT1", "shape": [2, 16], "datatype": "INT32", "data": [[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1], [2,2,2,2,2,2,2,2,2,2,2,2,2,2,2,2]]}],
 "outputs": [{"name": "OUTPUT0"}]}
JSON
weir deploy infer simple rows.json
weir deploy infer sums - <rows.json --json | json model_name
code=0
weir deploy infer simple nowhere.csv || code=$?
echo "exit code $code"
weir deploy list --json | json 0 name
weir deploy load trees
weir deploy load boost
printf 'e,d,c,b,a\n1,20,0.25,-0.5,1\n2,3,0,1,-2\n' >rows.csv
weir deploy infer trees rows.csv
weir deploy infer trees rows.csv --json >by_name.json
echo '[{"a": 1, "b": -0.5, "c": 0.25, "d": 20, "e": 1}, {"a": -2, "b": 1, "c": 0, "d": 3, "e": 2}]' | weir deploy infer trees - --json | cmp - by_name.json
echo '[[1, -0.5, 0.25, 20, 1], [-2, 1, 0, 3, 2]]' | weir deploy infer trees - --json | cmp - by_name.json
weir deploy infer trees rows.csv --explain --top 2
weir deploy infer trees rows.csv --explain --json | python3 -c '
import json, sys
a = json.load(sys.stdin)
print(a["features"], all(abs(sum(row[0]) - m[0]) < 1e-9 for row, m in zip(a["explanations"], a["margins"])), len(a["explanations"]))'
weir deploy infer trees rows.csv --explain --json >served.json
weir model explain models/trees/1/model.txt rows.csv --json >offline.json
python3 -c 'import json; a, b = json.load(open("served.json")), json.load(open("offline.json")); print(all(a[k] == b[k] for k in b), sorted(b))'
weir model explain models/trees/1/model.txt "SELECT a + 1 AS a, b, c, d, e FROM read_csv('rows.csv')" --top 1 --limit 1
code=0
weir model explain models/trees/1/model.txt "SELECT a, b, c FROM read_csv('rows.csv')" || code=$?
weir model explain models/simple/1/model.onnx rows.csv || code=$?
echo "exit code $code"
code=0
weir deploy infer simple rows.json --explain || code=$?
echo "exit code $code"
echo '[[1, 2]]' | weir deploy infer boost - --json >/dev/null || echo "exit code $?"
echo '{"max_batch_size": 1}' >one.json
weir deploy load simple --config one.json
code=0
weir deploy infer simple rows.json || code=$?
echo "exit code $code"
weir deploy unload simple
weir deploy list
code=0
weir deploy load simpel || code=$?
echo "exit code $code"
weir deploy load sums || echo "exit code $?"
weir deploy load exports/sums.onnx || echo "exit code $?"
weir deploy unload simple_int8 || echo "exit code $?"
weir deploy replay sums --candidate exports/sum.onnx || echo "exit code $?"
weir model explain models/trees/1/model.txt row.csv || echo "exit code $?"
code=0
weir deploy unload sums || code=$?
echo "exit code $code"
kill -TERM "$server"
code=0
wait "$server" || code=$?
server=
echo "exit code $code"
code=0
weir deploy list --url "$url" || code=$?
echo "exit code $code"
