# SPDX-License-Identifier: Apache-2.0
# A server from its first line to its last: replay, flush, feedback, and what is said when there is none.
make_champion
echo 'endpoints: {delay: {model: delay@champion, threshold: 0.5}}' >>weir.yaml
weir feature materialize features.yaml --until 2001-01-18 >/dev/null

: >up.out
weir up --port 0 --no-schedule >up.out 2>up.err &
server=$!
for _ in $(seq 200); do [ -s up.out ] && break; sleep 0.05; done
sed 's/[0-9]*$/PORT/' up.out
url=$(grep -o 'http://.*' up.out)

fails 2 weir up --port 0
fails 2 weir up --port "${url##*:}"
weir deploy replay delay --url "$url" --from 2001-01-18 --until 2001-01-20 --report reports/replay.json
json failed <reports/replay.json
weir deploy flush --url "$url"
weir deploy flush --url "$url" --json | json predictions
weir deploy feedback delay --out rides_feedback --until 2001-01-19
weir data sql "SELECT count(*) AS rows, count(DISTINCT late_2h) > 3 AS alive FROM
    (SELECT * FROM rides_features UNION ALL BY NAME SELECT * FROM rides_feedback) WHERE t >= '2001-01-18' AND t < '2001-01-19'" --out csv
# what was served equals what training would have seen
weir data sql "SELECT count(*) AS differ FROM rides_feedback s JOIN rides_features f USING (t) WHERE s.late_2h IS DISTINCT FROM f.late_2h
    OR s.x IS DISTINCT FROM f.x OR s.late IS DISTINCT FROM f.late" --out csv

kill -TERM $server
wait $server && echo "down: 0"
cat up.err
weir deploy flush --offline
fails 2 weir deploy replay delay --url http://127.0.0.1:1 --from 2001-01-18 --until 2001-01-20
fails 2 weir deploy replay dela --from 2001-01-18 --until 2001-01-20
fails 64 weir deploy replay delay
fails 64 weir deploy feedback delay
fails 2 weir deploy flush --url http://127.0.0.1:1
