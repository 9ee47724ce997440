# SPDX-License-Identifier: Apache-2.0
# The whole path by hand, on a small made-up ferry line.
exec 2>&1
set +e
DATA=$CASES/ferry
cp "$DATA"/*.yaml .
weir init > /dev/null
weir data ingest trips --from "$DATA/trips.csv"
weir data ingest trips --from "$DATA/trips.csv"
weir data list
weir data show trips --head 2
weir data profile trips --report profile.json --html profile.html | head -3
weir data check trips --suite checks.yaml --warn | tail -5
weir data clean trips --suite checks.yaml --out trips_clean --quarantine trips_bad
weir data check trips_clean --suite checks.yaml | tail -1
weir data sql 'SELECT count(*) AS n, min(minutes_late) AS least FROM trips_clean' --out csv
weir data sql 'SELECT minutes_late FROM trips_bad' --out csv
weir feature build features.yaml
weir feature materialize features.yaml --until 2024-02-15
weir model train train.yaml > train.txt; echo "train: exit $?"
head -1 train.txt
weir model evaluate late --from 2024-02-15 --gate gate.yaml --by quay --by week --report report.json > evaluate.txt; echo "evaluate: exit $?"
grep gate evaluate.txt
weir model evaluate late --from 2024-02-15 --gate gate_hard.yaml > refused.txt; echo "evaluate with a hard gate: exit $?"
weir model register late --alias champion --report report.json
weir model register late --alias champion
weir model list
weir model show late@champion | head -2
weir model promote late 1
weir data history trips_clean
weir data restore trips_bad --empty
weir data sql 'SELECT count(*) AS n FROM trips_bad' --out csv
weir data restore trips_bad 0
weir data sql 'SELECT count(*) AS n FROM trips_bad' --out csv
weir trace late@1 | grep -c trips.csv
weir runs list | head -2
weir sustain report | tail -1
for json in "data list" "data show trips" "data history trips" "model list" "model show late" "runs list" "sustain report" "trace late@1" \
    "data profile trips" "data check trips_clean --suite checks.yaml" "status" "graph"; do
    weir $json --json | python3 -m json.tool > /dev/null || echo "weir $json --json is not JSON"
done
