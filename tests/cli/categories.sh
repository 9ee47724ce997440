# SPDX-License-Identifier: Apache-2.0
# Models that know what their categories are called: asked by values, served and offline, logged, compared, studied.
cp "$CASES/../reference/forests/xgb32_frame.ubj" shop.ubj
mkdir -p models/light/1
cp "$CASES/../reference/forests/lgb_framehand.txt" models/light/1/model.txt
weir init >/dev/null
cat >weir.yaml <<'YAML'
endpoints:
  shop: {path: shop.ubj, log: all}
serving: {repository: models}
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
# 2^60 and the number after it are two categories
cat >rows.csv <<'CSV'
color,x,size,flag,wide,grade
red,0,35,1,1152921504606846977,high
red,0,35,1,1152921504606846976,high
,,,,7,
CSV
weir deploy infer shop rows.csv
weir deploy infer shop rows.csv --explain --json >served.json
weir model explain shop.ubj rows.csv --json >offline.json
python3 -c 'import json; a, b = json.load(open("served.json")), json.load(open("offline.json")); print(all(a[k] == b[k] for k in b), sorted(b))'
echo '[{"color": "pink", "x": 0, "size": 35, "flag": 1, "wide": 7, "grade": "low"}]' >pink.json
weir deploy infer shop pink.json || echo "exit code $?"
weir model explain shop.ubj pink.json || echo "exit code $?"
weir model explain shop.ubj "SELECT 7 AS color, 0 AS x, 35 AS size, 1 AS flag, 7 AS wide, 'low' AS grade" || echo "exit code $?"
printf 'zip,color,x,grade\n4,green,-1.5,mid\n1,pink,0,high\n1,,0,high\n' >light.csv
weir deploy infer light light.csv
curl -s "$url/v2/models/light" | python3 -c 'import json, sys; print([(i["name"], i["datatype"]) for i in json.load(sys.stdin)["inputs"]])'
kill -TERM "$server"
wait "$server"
server=
weir data sql "SELECT color, size, wide, grade, round(output, 4) AS output FROM \"predictions.shop\" ORDER BY served_at, prediction_id LIMIT 3"
weir deploy replay shop --candidate shop.ubj --json | python3 -c 'import json, sys; print(json.load(sys.stdin)["rows"])'
