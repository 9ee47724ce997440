# SPDX-License-Identifier: Apache-2.0
# Specifications, views, suites and gates with mistakes; models that are not there.
make_champion
train() { printf 'model: delay\nview: features.yaml\nrows: SELECT * FROM rides_features\n%s\n' "$1" >t.yaml; fails 2 weir model train t.yaml; }
train 'features: [x, palce]'
train 'tarin: {}'
train 'learner: {rounds: many}'
train 'train: {from: soon}'
train 'train: {until: 2001-01-12}
valid: {from: 2001-01-10}'
train 'train: {from: 2011-01-01}'
fails 2 weir model train none.yaml
fails 64 weir model train train.yaml --rounds 0
printf 'model: delay\nview: features.yaml\nrows: SELECT * EXCLUDE (x) FROM rides_features\n' >t.yaml
fails 2 weir model train t.yaml
printf 'model: delay\nview: features.yaml\nrows: SELECT * FROM rides_featuers\n' >t.yaml
fails 2 weir model train t.yaml
printf 'model: delay\nview: features.yaml\nrows: SELECT * REPLACE (late * 9 AS late) FROM rides_features\n' >t.yaml
fails 2 weir model train t.yaml
# views
view() { sed "$1" features.yaml >v.yaml; fails 2 weir feature build v.yaml; }
view 's/op: number/op: nubmer/'
view 's/of: x}/of: wrong}/'
view 's/source: rides_clean/source: rides_claen/'
view 's/^time: t/time: place/'
view 's/over: 2h/over: long/'
view 's/^features:/featuers:/'
fails 2 weir feature build none.yaml
fails 2 weir feature materialize none.yaml
fails 64 weir feature materialize features.yaml --until soon
# models and datasets that are not there
fails 2 weir model evaluate dealy
fails 2 weir model evaluate delay@7
fails 2 weir model evaluate delay@champoin
fails 2 weir model evaluate delay --baseline nothing
fails 2 weir model evaluate delay --by palce
fails 2 weir model evaluate delay --rows 'SELECT * EXCLUDE (x) FROM rides_features'
fails 2 weir model evaluate delay --from 2011-01-01
printf 'rules: [{metric: acu, at_least: 1}]\n' >g.yaml
fails 2 weir model evaluate delay --gate g.yaml
fails 2 weir model evaluate delay --gate none.yaml
fails 2 weir model evaluate delay --report /proc/none/e.json
fails 2 weir model register dealy
fails 2 weir model register delay --alias 3
fails 2 weir model register 'a b' --candidate delay
fails 2 weir model register delay --report none.json
echo '{"model": {}}' >r.json
fails 2 weir model register delay --report r.json
fails 2 weir model promote delay 9
fails 2 weir model promote dealy 1
fails 2 weir model show nothing
fails 2 weir data show rides@9
fails 2 weir data show ridse
fails 2 weir data check rides --suite none.yaml
fails 2 weir data check ridse
fails 2 weir data clean rides@9
fails 2 weir data restore rides 9
fails 2 weir data history ridse
fails 2 weir data sql 'SELECT * FROM ridse'
fails 2 weir data sql 'SELEC'
fails 2 weir data sql 'DROP TABLE rides'
fails 2 weir data sql "COPY rides TO 'x.csv'"
fails 2 weir data sql "SELECT * FROM read_csv('/etc/passwd')"
fails 2 weir runs show 0000
fails 2 weir trace nothing
sed 's/max: 1440/mx: 1440/' checks.yaml >c.yaml
fails 2 weir data check rides --suite c.yaml
sed 's/column: delay/column: dealy/' checks.yaml >c.yaml
fails 2 weir data check rides --suite c.yaml
fails 2 weir data clean rides --suite c.yaml
