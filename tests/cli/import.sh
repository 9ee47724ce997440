# SPDX-License-Identifier: Apache-2.0
# What MLflow keeps comes in from its database: of 2.22 and 3.x, with users, artifacts, names that are taken, and again without doing it twice.
made() { # FILE SQL...: a database
    file=$1
    shift
    python3 -c 'import sqlite3, sys
db = sqlite3.connect(sys.argv[1])
for name in sys.argv[2:]: db.executescript(open(name, encoding="utf-8").read())' "$file" "$@"
}
fixtures="$CASES/../fixtures/mlflow"
made mlflow2.db "$fixtures/mlflow2.sql"
made mlflow3.db "$fixtures/mlflow2.sql" "$fixtures/mlflow3.sql"
made auth2.db "$fixtures/auth2.sql"
made auth3.db "$fixtures/auth3.sql"
mkdir -p tree/1/a0000000000000000000000000000001/artifacts/model
echo "a model" >tree/1/a0000000000000000000000000000001/artifacts/model/MLmodel
echo "a model" >"tree/1/a0000000000000000000000000000001/artifacts/a b.txt"
ask() { weir runs search "$@"; }

echo "== 3.x"
mkdir three && cd three && weir init >/dev/null
weir import mlflow ../mlflow3.db --dry-run
fails 2 weir import mlflow ../missing.db
fails 2 weir import mlflow mysql://user@host/mlflow
fails 2 weir import mlflow ../auth2.db
printf "not a database, but long enough to be looked at as one, and more than a hundred bytes of it: 0123456789" >../text.db
fails 2 weir import mlflow ../text.db
fails 2 weir import mlflow ../mlflow3.db --artifacts ../nowhere --dry-run
weir import mlflow "sqlite:///../mlflow3.db" --artifacts ../tree --artifact-root /srv/mlruns --auth-db ../auth3.db
weir import mlflow ../mlflow3.db --artifacts ../tree --artifact-root /srv/mlruns --auth-db ../auth3.db
weir user list
cd ..

echo "== 2.22, into a project with an experiment of that number"
mkdir two && cd two && weir init >/dev/null
weir run --experiment own -- true >/dev/null 2>&1
weir import mlflow ../mlflow2.db --artifacts ../tree --artifact-root /srv/mlruns --auth-db ../auth2.db
weir import mlflow ../mlflow2.db --artifacts ../tree --artifact-root /srv/mlruns --auth-db ../auth2.db --json | json runs
ask -e churn --json | python3 -c 'import json, sys
for r in json.load(sys.stdin): print(json.dumps(r, sort_keys=True, ensure_ascii=False))'
ask -e gone --deleted

echo "== names that are taken"
python3 -c 'import sqlite3
db = sqlite3.connect("../mlflow2.db")
db.execute("UPDATE experiments SET creation_time = creation_time + 1 WHERE experiment_id = 1")
db.commit()'
fails 2 weir import mlflow ../mlflow2.db
weir import mlflow ../mlflow2.db --prefix old/ --json | json experiments

echo "== what is new comes along: a run ended, another has a point more"
python3 -c 'import sqlite3
db = sqlite3.connect("../mlflow2.db")
db.execute("UPDATE experiments SET creation_time = creation_time - 1 WHERE experiment_id = 1")
db.execute("UPDATE runs SET status = ?, end_time = 1600000009999 WHERE name = ?", ("FAILED", "second"))
db.execute("INSERT INTO metrics VALUES (?, 0.0625, 1600000001300, ?, 8, 0)", ("loss", "a0000000000000000000000000000001"))
db.execute("INSERT INTO tags VALUES (?, ?, ?)", ("late", "yes", "a0000000000000000000000000000001"))
db.commit()'
weir import mlflow ../mlflow2.db --json | json runs
ask "metrics.loss < 0.1 AND tags.late = 'yes'" -e churn --show metrics.loss
ask "status = 'FAILED'" -e churn --show params.lr

echo "== the server"
server=
stop() { [ -z "$server" ] || kill -9 "$server" 2>/dev/null || true; }
trap stop EXIT
: >up.out
: >up.out
weir up --auth --port 0 --no-schedule >up.out 2>up.err &
server=$!
for _ in $(seq 200); do
    url=$(sed -n 's/^weir is up at \(http:[^ ]*\).*/\1/p' up.out)
    [ -n "$url" ] && break
    sleep 0.1
done
get() { curl -s -u "$1" "$url/api/2.0/$2"; echo; }
for who in "ada:correct horse" "bob:correct horse" "bob:correct horsf"; do get "$who" "mlflow/experiments/get-by-name?experiment_name=churn"; done
get "ada:correct horse" "mlflow/metrics/get-history?run_id=a0000000000000000000000000000001&metric_key=odd" | python3 -c 'import json, sys
for p in json.load(sys.stdin)["metrics"]: print(p["step"], p["timestamp"], p["value"])'
get "ada:correct horse" "mlflow/registered-models/get?name=churn%20model" | python3 -m json.tool --indent 1
uri=$(get "ada:correct horse" "mlflow/runs/get?run_id=a0000000000000000000000000000001" | json run info artifact_uri | tr -d '"')
echo "$uri"
get "ada:correct horse" "mlflow-artifacts/artifacts/${uri#mlflow-artifacts:/}/model/MLmodel"
kill -TERM "$server"
wait "$server"
server=

echo "== from a running server, which need not be MLflow's own"
cd ../three
: >up.out
: >up.out
weir up --port 0 --no-schedule >up.out 2>up.err &
server=$!
for _ in $(seq 200); do
    url=$(sed -n 's/^weir is up at \(http:[^ ]*\).*/\1/p' up.out)
    [ -n "$url" ] && break
    sleep 0.1
done
mkdir ../pulled && cd ../pulled && weir init >/dev/null
weir import mlflow "$url/"
weir import mlflow "$url" --json | python3 -c 'import json, sys
print(sum(v.get("new", 0) for v in json.load(sys.stdin).values() if isinstance(v, dict)), "new")'
ask -e churn --json >pulled.json
(cd ../three && ask -e churn --json) | cmp - pulled.json && echo "the same runs"
kill -TERM "$server"
wait "$server"
server=
fails 2 weir import mlflow "$url" 2>&1 | sed "s#$url#URL#; s/port [0-9][0-9]* after [0-9]* ms/port N/"
cd ../two
: >up.out
: >up.out
weir up --auth --port 0 --no-schedule >up.out 2>up.err &
server=$!
for _ in $(seq 200); do
    url=$(sed -n 's/^weir is up at \(http:[^ ]*\).*/\1/p' up.out)
    [ -n "$url" ] && break
    sleep 0.1
done
mkdir ../asked && cd ../asked && weir init >/dev/null
fails 2 weir import mlflow "$url" 2>&1 | sed "s#$url#URL#"
MLFLOW_TRACKING_USERNAME=ada MLFLOW_TRACKING_PASSWORD="correct horse" weir import mlflow "$url" --json | json runs
kill -TERM "$server"
wait "$server"
server=

echo "== killed three times, and in the end everything is there once"
made long.db "$fixtures/mlflow2.sql"
python3 -c 'import sqlite3
db = sqlite3.connect("long.db")
for i in range(1000):
    run = f"{i:032x}"
    db.execute("INSERT INTO runs VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", (run, "r", "", "", "", "me", "FINISHED", i, i + 1, "", "active", "", 1, None))
    db.executemany("INSERT INTO metrics VALUES (?, ?, ?, ?, ?, 0)", [("m", s, s, run, s) for s in range(10)])
db.executemany("INSERT INTO metrics VALUES (?, ?, ?, ?, ?, 0)", [("loss", s, s, "a0000000000000000000000000000002", s) for s in range(100000)])
db.commit()'
mkdir killed && cd killed && weir init >/dev/null
for after in 0.2 0.3 0.4; do
    weir import mlflow ../long.db >/dev/null 2>&1 &
    victim=$!
    sleep "$after"
    kill -9 "$victim" 2>/dev/null || true
    wait "$victim" 2>/dev/null || true
done
weir import mlflow ../long.db >/dev/null
python3 -c 'import sqlite3
db = sqlite3.connect(".weir/weir.db")
for sql in ("count(*) FROM track_runs", "count(*) FROM track_runs WHERE status = 1", "sum(n) FROM track_chunks", "count(*) FROM track_params"):
    print(sql, db.execute("SELECT " + sql).fetchone()[0])'
