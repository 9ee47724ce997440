# SPDX-License-Identifier: Apache-2.0
# From a CSV file to a registered model, by hand; what each step says as JSON is JSON and fits together.
make_project
weir data ingest rides --from rides.csv --json | json rows
weir data list --json >list.json
json 0 rows <list.json
weir data show rides --json | python3 -m json.tool >/dev/null
weir data profile rides --json | python3 -m json.tool >/dev/null
code=0
weir data check rides --json >check.json || code=$?
echo "check: $code"
python3 -m json.tool <check.json >/dev/null
weir data clean rides --json >clean.json
python3 -m json.tool <clean.json >/dev/null
weir data check rides_clean --json >/dev/null
weir data sql "SELECT count(*) AS rows, min(delay) AS least FROM rides_clean" --out csv
weir data sql "SELECT count(*) AS kept FROM rides_quarantine" --out json
weir data history rides --json | python3 -m json.tool >/dev/null
weir feature build features.yaml --json >features.json
json rows <features.json
json features <features.json
weir feature materialize features.yaml --until 2001-01-15 --json | json newest
weir model train train.yaml --json >trained.json
json train_rows <trained.json
json gain x <trained.json >/dev/null
weir model evaluate delay --from 2001-01-15 --against delay@champion --by place --by week --gate gate.yaml --report reports/e.json --json >e.json
cmp e.json reports/e.json
json rows <e.json
json gate passed <e.json
json gate rules 2 state <e.json
json slices place 3 rows <e.json >/dev/null
weir model register delay --alias champion --report reports/e.json --json | json version
weir model register delay --alias champion --report reports/e.json --json | json version # again: the same
weir model list --json | json 0 aliases
weir model show delay@champion --json | json features
weir runs list --json >runs.json
run=$(json 0 id <runs.json | tr -d '"')
weir runs show "$run" --json | python3 -m json.tool >/dev/null
weir trace delay@champion --json | python3 -m json.tool >/dev/null
weir trace delay@champion | grep -o rides.csv
weir trace rides.csv --down | grep -c 'delay' >/dev/null
weir sustain report --json | python3 -m json.tool >/dev/null
weir status --json | python3 -m json.tool >/dev/null
weir graph
# the text outputs print, and exit with 0
for command in "data list" "data show rides" "data profile rides" "data history rides" "model list" "model show delay" "runs list" \
    "runs show $run" "sustain report" "status" "trace rides_clean"; do
    # shellcheck disable=SC2086
    weir $command >text || echo "weir $command: exit code $?"
    [ -s text ] || echo "weir $command: no output"
done
# the same specification gives the same model: metrics to the last digit, on any number of threads
weir model train train.yaml --threads 1 --json >one.json
weir model train train.yaml --threads 2 --json >two.json
for key in train valid gain trees; do json $key <one.json >a; json $key <two.json >b; cmp a b; done
# a second candidate is not better than itself: the gate says no, the report stays, registering is refused
code=0
weir model evaluate delay --from 2001-01-15 --against delay@champion --gate gate.yaml --report reports/no.json >text || code=$?
echo "evaluate: $code"
grep -c '^gate FAIL' text
fails 1 weir model register delay --alias champion --report reports/no.json
fails 2 weir model register delay --report reports/e.json
weir model promote delay 1 --alias stable --json | json alias
weir model list delay --json | json 0 aliases
