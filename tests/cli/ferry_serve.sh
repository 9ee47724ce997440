# SPDX-License-Identifier: Apache-2.0
# A server: ready line, protocol, labels, events, logs, feedback, monitor, trace; stops cleanly.
exec 2>&1
set +e
DATA=$CASES/ferry
cp "$DATA"/* .
weir run > run.txt || cat run.txt
weir up --port 0 > up.txt 2> up.err &
server=$!
for _ in $(seq 300); do [ -s up.txt ] && break; sleep 0.1; done
sed 's/:[0-9]*$/:PORT/' up.txt
url=$(grep -o 'http://[^ ]*' up.txt)
curl -s -o /dev/null -w '%{http_code}\n' "$url/v2/health/ready"
weir deploy replay late --url "$url" --from 2024-02-15 --until 2024-02-17 --report replay.json > replay.txt; echo "replay: exit $?"
python3 -c 'import json; r = json.load(open("replay.json")); print(r["predictions"] > 50, r["failed"])'
curl -s "$url/v2/models/late/infer" -d '{"id": "trip-1", "inputs": [
  {"name": "departed", "shape": [1], "datatype": "BYTES", "data": ["2024-02-17T08:00:00Z"]},
  {"name": "miles", "shape": [1], "datatype": "FP64", "data": [5]},
  {"name": "quay", "shape": [1], "datatype": "BYTES", "data": ["east"]}]}' | sed 's/"data":\[0\.[0-9]*\]/"data":[P]/'
echo
curl -s "$url/v2/models/lat/infer" -d '{}'; echo
curl -s "$url/v2/models/late/infer" -d '{"inputs": []}'; echo
curl -s "$url/api/weir/1/endpoints/late/labels" -d '{"labels": [{"id": "trip-1", "label": 1, "known_at": "2024-02-17T09:00:00Z"}]}'; echo
curl -s "$url/api/weir/1/views/trips_features/events" -d '{"events": [{"time": "2024-02-17T09:00:00Z", "quay": "east", "minutes_late": 14}]}'; echo
weir up --port "${url##*:}" 2>&1 | sed "s/[0-9]\{4,5\}/PORT/"
kill -TERM $server; wait $server; echo "server: exit $?"; cat up.err
weir deploy flush --offline; echo "flush: exit $?"
weir deploy feedback late --out feedback
weir data sql 'SELECT count(*) > 50 AS enough, count(DISTINCT prediction_id) = count(*) AS once FROM feedback' --out csv
weir monitor late --report monitor.json --html monitor.html > monitor.txt; echo "monitor: exit $?"
weir trace trip-1 > trace.txt; echo "trace: exit $?"; grep -c trips.csv trace.txt
python3 - <<'PY'
# Served features are the offline ones.
import json, subprocess
def sql(q): return json.loads(subprocess.run(["weir", "data", "sql", q, "--json"], stdout=subprocess.PIPE, check=True).stdout)
print(sql("""SELECT count(*) AS different FROM feedback f JOIN trips_features o USING (departed)
  WHERE f.quay_late_6h IS DISTINCT FROM o.quay_late_6h OR f.all_late_6h IS DISTINCT FROM o.all_late_6h OR f.hour <> o.hour"""))
PY
