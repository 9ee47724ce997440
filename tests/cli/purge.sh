# SPDX-License-Identifier: Apache-2.0
# A deleted experiment keeps its name until it is purged: delete, restore, purge from the prompt, beside a running server.
mask() { sed 's/[0-9a-f]\{32\}/ID/g; s/ [0-9a-f]\{12\} / RUN /g'; }
weir init >/dev/null
server=
stop() { [ -z "$server" ] || kill -9 "$server" 2>/dev/null || true; }
trap stop EXIT
up() {
    rm -f .weir/up.json
    : >up.out
    weir up --port 0 --no-schedule >up.out 2>up.err &
    server=$!
    for _ in $(seq 200); do
        [ -e .weir/up.json ] && break
        sleep 0.1
    done
    url=$(json url <.weir/up.json | tr -d '"')
}
post() { curl -s -X POST -H 'Content-Type: application/json' -d "$2" "$url/api/2.0/mlflow/$1"; }
put() { curl -s -o /dev/null -X PUT --data-binary "$2" "$url/api/2.0/mlflow-artifacts/artifacts/$1"; }
create() { post experiments/create "{\"name\": \"$1\"}"; }
files() { find .weir/artifacts -type f ! -path '*/tmp/*' | wc -l; }
# an experiment with a run (param, points, a file), a logged model with a file and a trace with a file
fill() {
    e=$(create churn | json experiment_id | tr -d '"')
    run=$(post runs/create "{\"experiment_id\": \"$e\", \"run_name\": \"first\", \"start_time\": 1}" | json run info run_id | tr -d '"')
    post runs/log-parameter "{\"run_id\": \"$run\", \"key\": \"rate\", \"value\": \"0.1\"}" >/dev/null
    post runs/log-metric "{\"run_id\": \"$run\", \"key\": \"loss\", \"value\": 1, \"timestamp\": 1, \"step\": 1}" >/dev/null
    model=$(post logged-models "{\"experiment_id\": \"$e\", \"name\": \"m\", \"source_run_id\": \"$run\"}" | json model info model_id | tr -d '"')
    trace=$(post traces "{\"experiment_id\": \"$e\", \"timestamp_ms\": 1, \"request_metadata\": [], \"tags\": []}" | json trace_info request_id | tr -d '"')
    put "$e/$run/artifacts/a.txt" "of the run"
    put "$e/models/$model/artifacts/MLmodel" "of the model"
    put "$e/traces/$trace/artifacts/traces.json" "of the trace"
    put "$e/traces/gone/artifacts/traces.json" "of a trace that was deleted before"
}
up
other=$(create other | json experiment_id | tr -d '"')
put "$other/x/artifacts/x.txt" "of another experiment"
fill
files
echo "-- delete and restore"
weir runs delete --experiment churn
fails 2 weir runs delete -e churn
create churn
echo
weir runs restore -e churn
fails 2 weir runs restore -e churn
fails 2 weir runs delete -e churm
fails 64 weir runs delete
fails 64 weir runs restore
fails 64 weir runs delete -e churn "$run" | mask
fails 2 weir runs purge --experiments -e churn --older-than 0s --yes
fails 2 weir runs purge --experiments -e Default
weir runs delete -e "$e"
echo "-- purge"
weir runs purge
weir runs purge --experiments --yes
weir runs purge --experiments -e churn --yes
weir runs purge --older-than 0s --dry-run | mask
weir runs purge --older-than 0s --experiments --dry-run
weir runs purge --older-than 0s --experiments --dry-run --json
fails 64 weir runs purge --older-than 0s --experiments
fails 64 weir runs purge --experiment-ids 1
fails 64 weir runs purge churn
post runs/restore "{\"run_id\": \"$run\"}" >/dev/null
weir runs purge --older-than 0s --experiments --yes
fails 2 weir runs purge --older-than 0s --experiments -e churn --yes
weir runs delete "$run" >/dev/null
weir runs purge --older-than 0s --experiments --yes
weir runs purge --older-than 0s --experiments --yes
files
fails 2 weir runs show "$run" | mask
create churn
echo
echo "-- points in the log of a server that is gone"
weir runs delete -e churn
weir runs purge --experiments -e churn --older-than 0s --yes --json
fill
kill -9 "$server"
wait "$server" 2>/dev/null || true
server=
weir runs delete -e churn
weir runs purge --experiments -e churn --older-than 0s --yes
files
up
create churn
echo
post runs/search "{\"experiment_ids\": [\"0\", \"1\", \"2\", \"3\", \"4\", \"5\"]}"
echo
curl -s "$url/api/2.0/mlflow/metrics/get-history?run_id=$run&metric_key=loss" | mask
echo
echo "-- a number and a name"
create "$other" >/dev/null
fails 64 weir runs delete -e "$other"
kill -TERM "$server"
wait "$server"
server=
