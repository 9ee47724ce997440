# SPDX-License-Identifier: Apache-2.0
# A mistake in weir.yaml is shown with its place, before anything is done.
make_project
weir data ingest rides --from rides.csv >/dev/null
for text in 'stagse: {}' 'carbon: {region: DEUU}' 'carbon: {regoin: DEU}' 'carbon: {intensity: -1}' '[not, a, map]' 'stages: {a: [}'; do
    echo "$text" >weir.yaml
    fails 2 weir data ingest new --from rides.csv
    fails 2 weir data clean rides
done
cat >weir.yaml <<'YAML'
stages:
  ingest: {cmd: weir data ingest rides --from rides.csv, deps: [rides.csv], outs: [data:rides]}
  clean: {cmd: weir data clean rides, dep: [data:rides]}
YAML
fails 2 weir run
fails 2 weir status
cat >weir.yaml <<'YAML'
stages:
  a: {cmd: echo a, deps: [dataa:rides], outs: [b]}
YAML
fails 2 weir run
cat >weir.yaml <<'YAML'
stages:
  a: {cmd: touch x, deps: [y], outs: [x]}
  b: {cmd: touch y, deps: [x], outs: [y]}
YAML
fails 2 weir run
cat >weir.yaml <<'YAML'
endpoints:
  delay: {modle: delay@champion}
YAML
fails 2 weir up --port 0
fails 2 weir monitor delay
cat >weir.yaml <<'YAML'
endpoints:
  delay: {model: delay@champion}
monitors:
  delay: {endpoint: delay, windw: 7d}
YAML
fails 2 weir monitor delay
fails 2 weir monitor dealy
fails 2 weir up --port 0
fails 64 weir up --port 99999
fails 2 weir up --port 0 --host nowhere
cat >weir.yaml <<'YAML'
triggers:
  - {on: drfit, endpoint: delay, run: [a]}
YAML
fails 2 weir up --port 0
