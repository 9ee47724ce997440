# SPDX-License-Identifier: Apache-2.0
# Versions of a dataset: older ones stay readable, and a wrong one is named.
weir init >/dev/null
for n in 1 2 3; do
    printf 'n,word\n%s,a\n%s,b\n' $n $n >n.csv
    weir data ingest t --from n.csv --json | json version
done
weir data ingest t --from n.csv # the same file again
weir data ingest t --append --from n.csv --json | json version
weir data sql 'SELECT sum(n) AS now FROM t' --out csv
weir data sql 'SELECT sum(n) AS first FROM "t@0"' --out csv
weir data show t@1 --json | json version
fails 2 weir data show t@9
fails 2 weir data show t@2000-01-01
fails 2 weir data show t@never
fails 2 weir data restore t 9
weir data restore t 0 --json | json version
weir data sql 'SELECT sum(n) AS again FROM t' --out csv
weir data restore t --empty --dry-run >text && [ -s text ]
weir data sql 'SELECT count(*) AS still FROM t' --out csv
weir data restore t --empty >/dev/null
weir data sql 'SELECT count(*) AS none FROM t' --out csv
weir data history t --json | json 0 operation
weir data history t --limit 2 --json | python3 -c 'import json, sys; print(len(json.load(sys.stdin)))'
