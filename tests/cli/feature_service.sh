# SPDX-License-Identifier: Apache-2.0
# A feature service: requests bring keys and what only they know, the rest is looked up; what the model saw is the row of the training table.
make_rides
weir init >/dev/null
# what is known of a place, from when on: its size changes at noon, its zone at the start of a week; D is not known at all
python3 - <<'PYTHON'
from datetime import datetime, timedelta
with open("places.csv", "w") as f:
    f.write("since,id,size,zone\n")
    for day in range(21):
        for k, place in enumerate("ABC"):
            size = "" if (day + k) % 6 == 5 else day * 7 % 5 + k / 3
            f.write(f"{datetime(2001, 1, 1, 12) + timedelta(days=day)},{place},{size},z{(day // 7 + k) % 3}\n")
PYTHON
cat >features.yaml <<'YAML'
name: rides_features
source: rides
time: t
keep: [delay]
label: {name: late, of: delay, above: 22}
known_at: t + INTERVAL 30 MINUTE
events:
  source: rides
  time: t + INTERVAL 30 MINUTE
  values: {late: {of: delay, above: 22}}
features:
  - {name: minute, op: minute_of_day, of: t}
  - {name: x, op: number, of: x}
  - {name: place, op: category, of: place}
  - {name: size, op: number, of: size}
  - {name: zone, op: category, of: zone}
  - {name: late_2h, op: share, of: late, key: place, over: 2h}
lookup:
  - {source: places, time: since, key: place, source_key: id, columns: [size, zone], ttl: 3d}
YAML
cat >train.yaml <<'YAML'
model: delay
view: features.yaml
rows: SELECT * FROM rides_features
train: {from: 2001-01-01, until: 2001-01-12}
valid: {from: 2001-01-12, until: 2001-01-15}
learner: {name: trees, rounds: 30, leaves: 15, learning_rate: 0.2, min_child_weight: 5, early_stop: 5, seed: 1}
YAML
cat >weir.yaml <<'YAML'
feature_services:
  rides: {view: features.yaml, optional: [x]}
endpoints:
  delay: {model: delay@champion, features: rides}
YAML
{
    weir data ingest rides --from rides.csv
    weir data ingest places --from places.csv
    weir feature build features.yaml
    weir model train train.yaml
    weir model register delay --alias champion
} >/dev/null
weir data sql 'SELECT count(*) AS rows, count(size) > 1000 AS sizes, count(DISTINCT zone) AS zones FROM rides_features' --out csv
weir feature materialize rides --until 2001-01-15

server=
stop() { [ -z "$server" ] || kill -9 "$server" 2>/dev/null || true; }
trap stop EXIT
up() {
    : >up.out # before it is read, and nothing of the server before
    weir up --port 0 --no-schedule >up.out 2>up.err &
    server=$!
    for _ in $(seq 200); do
        url=$(sed -n 's/^weir is up at \(http:[^ ]*\).*/\1/p' up.out)
        [ -z "$url" ] || return 0
        sleep 0.1
    done
    cat up.out up.err
    return 1
}
up

# Waits until the server has tables as of this moment (the server looks each second).
tables_of() {
    at=$(date -u -d "$1" +%s)
    for _ in $(seq 300); do
        ! curl -s "$url/metrics" | grep -q "^weir_lookup_as_of_seconds{view=\"rides_features\"} $at\$" || return 0
        sleep 0.1
    done
    echo "NO TABLES OF $1"
}

# A night and, with new tables, an afternoon: each ride asked for with its time, its place and x alone, by all protocols in turn.
cat >ask.py <<'PYTHON'
import csv, json, sys, urllib.request
from datetime import datetime, timedelta
url, begin, end = sys.argv[1:]
def ask(path, body, kind="application/json"):
    r = urllib.request.Request(url + path, body.encode(), {"Content-Type": kind})
    return json.load(urllib.request.urlopen(r, timeout=20))
rides = list(csv.DictReader(open("rides.csv")))
asked = [(i, r) for i, r in enumerate(rides) if begin <= r["t"] < end]
for i, r in asked:
    done = rides[i - 3]
    known = (datetime.fromisoformat(done["t"]) + timedelta(minutes=30)).isoformat()
    if known > "2001-01-15T00:00:00": # what was known by then is materialized
        ask("/api/weir/1/views/rides_features/events", json.dumps({"events": [{"time": known + "Z", "place": done["place"], "delay": float(done["delay"])}]}))
    t, place, x = r["t"].replace(" ", "T") + "Z", r["place"], float(r["x"])
    way = i % 4
    if way == 0:
        got = ask("/v2/models/delay/infer", json.dumps({"inputs": [
            {"name": "place", "shape": [1], "datatype": "BYTES", "data": [place]}, {"name": "x", "shape": [1], "datatype": "FP64", "data": [x]},
            {"name": "t", "shape": [1], "datatype": "BYTES", "data": [t]}]}))
        assert got["outputs"][0]["data"][0] > 0
    elif way == 1:
        got = ask("/v1/models/delay:predict", json.dumps({"instances": [{"t": t, "place": place, "x": x}]}))
    elif way == 2:
        got = ask("/endpoints/delay/invocations", json.dumps({"dataframe_split": {"columns": ["place", "t", "x"], "data": [[place, t, x]]}}))
    else:
        got = ask("/endpoints/delay/invocations", f"t,place,x,size\n{t},{place},{x},\n", "text/csv") # empty: looked up
print(len(asked), "asked")
PYTHON
python3 ask.py "$url" "2001-01-15 00:00:00" "2001-01-15 12:00:00"
weir feature materialize rides --lookups --until 2001-01-15T12:00
tables_of 2001-01-15T12:00Z
python3 ask.py "$url" "2001-01-15 12:00:00" "2001-01-15 18:00:00"
weir deploy flush --url "$url" >/dev/null
same='p.minute = f.minute AND p.x = f.x AND p.place = f.place AND p.size IS NOT DISTINCT FROM f.size AND p.zone IS NOT DISTINCT FROM f.zone AND p.late_2h IS NOT DISTINCT FROM f.late_2h'
weir data sql "SELECT count(*) AS asked, sum(CASE WHEN $same THEN 1 ELSE 0 END) AS same, count(DISTINCT p.zone) AS zones, count(p.late_2h) > 50 AS windows
    FROM \"predictions.delay\" p JOIN rides_features f ON p.event_time = f.t" --out csv

# what is needed, and what is not
curl -s "$url/v2/models/delay" | python3 -c 'import json, sys; print({i["name"]: i.get("optional", False) for i in json.load(sys.stdin)["inputs"]})'
curl -s "$url/v2/models/delay/config" | python3 -c 'import json, sys; print({i["name"]: i.get("optional", False) for i in json.load(sys.stdin)["input"]})'
# without a time it is now: what comes out of it is masked
ask() {
    curl -s -H 'Content-Type: application/json' "$url$1" -d "$2" | sed 's/"[0-9a-f]*-[0-9a-f]*"/ID/g; s/"probability":[-+0-9.e]*,"label":[01]/P/g'
    echo
}
ask /v1/models/delay:predict '{"instances": [{"t": "2001-01-15T18:00:00Z", "x": 0.5}]}'
ask /endpoints/delay/invocations '{"dataframe_records": [{"x": 0.5}]}'
ask /v2/models/delay/infer '{"inputs": [{"name": "x", "shape": [1], "datatype": "FP64", "data": [1]}]}'
ask /v1/models/delay:predict '{"instances": [{"place": "A"}, {"place": null}]}'
kill -TERM "$server"
wait "$server"
server=

# without tables there is nothing to look up in; they are taken up when they come
rm .weir/online/rides_features.lookup
up
ask /v1/models/delay:predict '{"instances": [{"place": "A"}]}'
ask /v1/models/delay:predict '{"instances": [{"place": "A", "size": 1, "zone": "z0"}]}'
weir feature materialize rides --lookups --until 2001-01-20 >/dev/null
tables_of 2001-01-20T00:00Z
ask /v1/models/delay:predict '{"instances": [{"place": "A"}]}'
kill -TERM "$server"
wait "$server"
server=

# tables as what a stage makes: again when what is looked up changes, back from the cache when they are gone
cat >>weir.yaml <<'YAML'
stages:
  tables: {cmd: weir feature materialize rides --lookups --until 2001-01-20, deps: [data:places, features.yaml], outs: [feature:rides_features]}
YAML
weir run tables >/dev/null 2>&1
sum=$(sha256sum <.weir/online/rides_features.lookup)
weir status | sed "s, (.*,,"
rm .weir/online/rides_features.lookup
weir run tables >/dev/null 2>&1
[ "$(sha256sum <.weir/online/rides_features.lookup)" = "$sum" ] && echo "the same tables"
echo "2001-01-19 12:00:00,D,7,z9" >>places.csv
weir data ingest places --from places.csv >/dev/null
weir status | sed "s, (.*,,"
weir run tables >/dev/null 2>&1
weir status | sed "s, (.*,,"

# mistakes
sed -i 's/features: rides/features: ridse/' weir.yaml
fails 2 weir up --port 0
sed -i 's/features: ridse/features: rides/; s/optional: \[x\]/optional: [xx]/' weir.yaml
fails 2 weir up --port 0
fails 2 weir feature materialize rdies
sed '/^lookup/,$d; /size/d; /zone/d' features.yaml >plain.yaml
fails 2 weir feature materialize plain.yaml --lookups
fails 64 weir feature materialize rides plain.yaml
sed -i 's/size, zone\]/size, zones]/' features.yaml
fails 2 weir feature build features.yaml
