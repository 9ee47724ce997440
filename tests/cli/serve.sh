# SPDX-License-Identifier: Apache-2.0
# A server over the champion: predictions, labels, drain, feedback, monitor, trace; kill -9 loses nothing that was answered.
make_champion
cat >weir.yaml <<'YAML'
endpoints:
  delay: {model: delay@champion}
monitors:
  delay:
    endpoint: delay
    from: 2001-01-15
    window: 1d
    every: 1d
    label_lag: 1h
    reference: SELECT * FROM rides_features WHERE t < '2001-01-15'
    columns: [x, late_2h]
    statistic: wasserstein
    threshold: 0.9
YAML
weir feature materialize features.yaml --until 2001-01-15 >/dev/null
server=
stop() { [ -z "$server" ] || kill -9 "$server" 2>/dev/null || true; }
trap stop EXIT
up() {
    : >up.out
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
weir deploy replay delay --url "$url" --from 2001-01-15 --until 2001-01-17 --json >replay.json
python3 -m json.tool <replay.json >/dev/null
python3 - "$url" <<'PYTHON'
import json, sys, urllib.request
url = sys.argv[1]
ask = lambda path: urllib.request.urlopen(url + path, timeout=20).read().decode()
print(json.loads(ask("/v2/health/ready")) if ask("/v2/health/ready").strip() else "ready")
print("weir" in ask("/metrics"), "<html" in ask("/").lower())
PYTHON
weir deploy flush --url "$url" >/dev/null
weir data sql 'SELECT count(*) AS predictions FROM "predictions.delay"' --out csv
weir data sql 'SELECT count(*) >= 280 AS labels FROM "labels.delay"' --out csv
weir deploy feedback delay --out feedback --json >feedback.json
python3 -m json.tool <feedback.json >/dev/null
weir data sql 'SELECT count(*) >= 280 AS rows FROM feedback' --out csv
weir data sql 'SELECT count(*) AS same FROM feedback b JOIN rides_features f USING (t) WHERE b.x = f.x AND b.place = f.place AND b.late_2h IS NOT DISTINCT FROM f.late_2h' --out csv
id=$(weir data sql 'SELECT prediction_id AS id FROM "predictions.delay" LIMIT 1' --out csv | tail -1)
weir trace "$id" --json | python3 -m json.tool >/dev/null
weir trace "$id" | grep -c rides.csv
code=0
weir monitor delay --json >monitor.json || code=$?
[ $code -le 1 ] || echo "monitor: exit code $code"
python3 -m json.tool <monitor.json >/dev/null
# an orderly end
kill -TERM "$server"
code=0
wait "$server" || code=$?
echo "up: exit code $code"
# a second server in the same project is refused; what kill -9 leaves is drained later
up
fails 2 weir up --port 0
fails 2 weir deploy flush --offline
weir deploy replay delay --url "$url" --from 2001-01-17 --until 2001-01-18 --json >replay.json
kill -9 "$server"
wait "$server" 2>/dev/null || true
weir deploy flush --offline >/dev/null
weir data sql 'SELECT count(*) AS predictions, count(DISTINCT prediction_id) AS ids FROM "predictions.delay"' --out csv
weir deploy flush --offline >/dev/null # again: nothing twice
weir data sql 'SELECT count(*) AS still FROM "predictions.delay"' --out csv
fails 2 weir deploy flush --url "$url"
fails 2 weir deploy replay delay --url "$url" --from 2001-01-17 --until 2001-01-18
fails 2 weir deploy replay dealy --url "$url" --from 2001-01-17 --until 2001-01-18
fails 2 weir deploy feedback dealy --out x
fails 64 weir deploy feedback delay
fails 64 weir deploy replay delay
fails 2 weir monitor dealy
weir sustain report --json | python3 -m json.tool >/dev/null
