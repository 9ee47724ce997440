# SPDX-License-Identifier: Apache-2.0
# A pipeline: runs once, does nothing the second time, runs what changed, restores what is known, stops where a stage says no.
make_project
cat >weir.yaml <<'YAML'
stages:
  ingest: {cmd: weir data ingest rides --from rides.csv, deps: [rides.csv], outs: [data:rides]}
  check: {cmd: weir data check rides --report reports/check.json --warn, deps: [data:rides, checks.yaml], metrics: [reports/check.json]}
  clean: {cmd: weir data clean rides, deps: [data:rides, checks.yaml], outs: [data:rides_clean, data:rides_quarantine]}
  features: {cmd: weir feature build features.yaml, deps: [data:rides_clean, features.yaml], outs: [data:rides_features]}
  train: {cmd: weir model train train.yaml, deps: [data:rides_features, features.yaml, train.yaml], outs: [model:delay]}
  evaluate: {cmd: weir model evaluate delay --from 2001-01-15 --against delay@champion --gate gate.yaml --report reports/evaluate.json, deps: [model:delay, data:rides_features, gate.yaml], metrics: [reports/evaluate.json]}
  register: {cmd: weir model register delay --alias champion --report reports/evaluate.json, deps: [model:delay, reports/evaluate.json]}
YAML
weir graph --mermaid | head -1
weir status --json | python3 -c 'import json, sys; json.load(sys.stdin)'
ran() { python3 -c '
import json, sys
stages = json.load(sys.stdin)
stages = stages.get("stages", stages) if isinstance(stages, dict) else stages
print(" ".join(s.get("name", s.get("stage")) + ":" + s["status"].replace(" ", "_") for s in stages))'; }
weir run --json | ran
weir run --json | ran
weir runs list --json | python3 -c 'import json, sys; print(len(json.load(sys.stdin)))'
weir trace delay@champion | grep -c 'rides.csv'
# another specification: only what depends on it
cp train.yaml old.yaml
sed -i 's/rounds: 30/rounds: 3/' train.yaml
weir run train --json | ran
# and back: the result is known
cp old.yaml train.yaml
weir run train --json | ran
# a stage that says no: what follows does not run, exit code 1
echo 'rules: [{metric: auc, at_least: 0.9999}]' >gate.yaml
code=0
weir run --json >said.json 2>/dev/null || code=$?
echo "exit code $code"
ran <said.json
weir model list --json | python3 -c 'import json, sys; print(len(json.load(sys.stdin)))'
# a stage that fails: exit code 2
sed -i 's/of: x}/of: wrong}/' features.yaml
code=0
weir run --json >said.json 2>said.err || code=$?
echo "exit code $code"
tail -1 said.err | json error
weir runs list --status failed --json | json 0 error
# a run is shown with its stage's log
run=$(weir runs list --status failed --json | json 0 id | tr -d '"')
weir runs show "$run" | grep -c 'no column "wrong"'
