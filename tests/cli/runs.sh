# SPDX-License-Identifier: Apache-2.0
# Any command as a run; searching, comparing, drawing, deleting, purging, watching runs, beside a running server.
mask() { sed 's/[0-9a-f]\{32\}/ID/g; s/ [0-9a-f]\{8\} / ID /g'; }
weir init >/dev/null
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
cat >train.sh <<'SH'
post() { curl -s -o /dev/null -X POST -H 'Content-Type: application/json' -d "$2" "$MLFLOW_TRACKING_URI/api/2.0/mlflow/runs/$1"; }
post log-parameter "{\"run_id\": \"$MLFLOW_RUN_ID\", \"key\": \"rate\", \"value\": \"$1\"}"
for step in 0 1 2 3 4 5 6 7 8 9; do
    post log-metric "{\"run_id\": \"$MLFLOW_RUN_ID\", \"key\": \"loss\", \"value\": $(python3 -c "print($1 ** $step)"), \"timestamp\": 1000, \"step\": $step}"
done
[ "$1" != 0.9 ] || exit 3
SH
echo "1,2" >data.csv
weir run --experiment churn --name slow -- sh train.sh 0.8 data.csv 2>said.err
sed 's/run [0-9a-f]*/run */; s/, .*//' said.err
weir run --experiment churn --name fast --json -- sh train.sh 0.5 | python3 -c 'import json, sys; r = json.load(sys.stdin); print(sorted(r), r["exit_code"])'
fails_with() { # the record of the run stays, so `fails` is not for these
    got=0
    "$@" >said.out 2>said.err || got=$?
    echo "exit $got"
    grep '^weir:' said.err
}
fails_with weir run --experiment churn --name wrong -- sh train.sh 0.9
fails_with weir run -- false
fails_with weir run -- ./not-there
fails 64 weir run stage -- sh train.sh
weir runs list | awk 'NR > 1 {print $(NF > 5 ? 5 : 4), $6}' | sed 's/ms //' | head -5
echo "-- search"
weir runs search "metrics.loss < 0.5" -e churn -o "metrics.loss" --show metrics.loss --show params.rate | sed 's/^[0-9a-f]* *[^ ]*//'
weir runs search "params.rate > 0.6 OR status = 'FAILED'" -e churn -o "start_time ASC" --json | python3 -c 'import json, sys
for r in json.load(sys.stdin): print(r["name"], r["status"], r["params"].get("rate"), round(r["metrics"]["loss"], 4))'
weir runs search "metrics.loss BETWEEN 0.001 AND 0.01" -e churn --show name | wc -l
fails 2 weir runs search "metrics.loss <" -e churn
fails 2 weir runs search -e chrun
slow=$(weir runs search "run_name = 'slow'" --json | json 0 id | tr -d '"')
fast=$(weir runs search "run_name = 'fast'" --json | json 0 id | tr -d '"')
echo "-- compare"
weir runs compare "$slow" "$fast" | grep -e loss -e rate | sed 's/  */ /g'
weir runs compare "$slow" "$fast" --json | python3 -c 'import json, sys
print([r["values"] for r in json.load(sys.stdin)["rows"] if r["name"] == "params.rate"])'
echo "-- plot"
weir runs plot "$slow" "$fast" -m loss | tail -n +2 | python3 -c 'import sys
for line in sys.stdin: print(line[:60].rstrip())' | mask
weir runs plot "$fast" -m loss --log --height 4 | head -4
weir runs plot "$fast" --json -m loss | python3 -c 'import json, sys; print(json.load(sys.stdin)[0]["series"][0]["points"][:3])'
fails 2 weir runs plot "$fast" -m nothing | mask
fails 2 weir runs plot "$fast" -m lss | mask
fails 64 weir runs plot abc
fails 2 weir runs show fast | sed 's/is [0-9a-f]*$/is ID/'
echo "-- record"
weir runs show "$slow" --json | python3 -c 'import json, sys
r = json.load(sys.stdin)
print(r["kind"], r["name"], r["status"], [n["name"] for n in r["inputs"] if n["kind"] == "file"], sorted(r["metrics"]))'
curl -s "$(json url <.weir/up.json | tr -d '"')/api/2.0/mlflow/artifacts/list?run_id=$slow&path=weir" | python3 -c 'import json, sys
print([f["path"] for f in json.load(sys.stdin)["files"]])'
echo "-- watch"
weir runs watch "$fast" | sed 's/^[0-9T:.Z-]* *//' | grep -v weir
echo "-- sync"
mkdir spool
weir runs sync --spool spool
printf 'no spool' >spool/x.spool
fails 2 weir runs sync --spool spool
echo "-- delete, restore, purge"
weir runs delete "$slow" | sed 's/[0-9a-f]\{12\}/*/'
weir runs search "" -e churn --show name | wc -l
weir runs search "" -e churn --deleted --show params.rate | wc -l
weir runs restore "$slow" | sed 's/[0-9a-f]\{12\}/*/'
weir runs purge --older-than 0s --yes
weir runs delete "$slow" "$fast" >/dev/null
weir runs purge --older-than 1d --dry-run
weir runs purge --older-than 0s --dry-run | sed 's/[0-9a-f]\{12\}/*/'
fails 64 weir runs purge --older-than 0s
weir runs purge --older-than 0s --yes | sed 's/[0-9a-f]\{12\}/*/'
fails 2 weir runs show "$slow" | mask
weir runs search "" -e churn --deleted
kill -TERM "$server"
wait "$server"
server=
[ ! -e .weir/up.json ] && echo "the server withdrew"
