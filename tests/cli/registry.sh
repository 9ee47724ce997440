# SPDX-License-Identifier: Apache-2.0
# Versions, aliases, policies: register, report, promote, rollback, diff.
make_project
weir data ingest rides --from rides.csv >/dev/null
weir data clean rides >/dev/null
weir feature build features.yaml >/dev/null
weir model train train.yaml >/dev/null
weir model register delay --alias champion
sed -i 's/rounds: [0-9]*/rounds: 3/' train.yaml
weir model train train.yaml >/dev/null
weir model register delay
weir model promote delay 2
weir model rollback delay
fails 2 weir model rollback delay
fails 2 weir model rollback delay --alias nobody
fails 2 weir model rollback nothing
weir model diff delay@champion delay@2 | grep -E 'WHAT|option|package' | sed 's/[0-9a-f]\{64\}/HASH/g'
weir model diff delay@1 delay@1
weir model diff delay@1 delay@2 --json | python3 -c 'import json, sys; print(sorted({row["what"] for row in json.load(sys.stdin)["rows"]}))'
fails 2 weir model diff delay@1 delay@9
# what an alias asks for
cat >>weir.yaml <<'YAML'
registry:
  policies:
    - {alias: champion, requires: [feasibility]}
YAML
fails 1 weir model promote delay 2
echo '{"cost": 3}' >feasible.json
weir model report delay 2 feasibility feasible.json
weir model promote delay 2
weir model report delay 2 feasibility feasible.json --json
fails 64 weir model report delay two feasibility feasible.json
fails 2 weir model report delay 2 feasibility nofile.json
fails 2 weir model report delay 7 feasibility feasible.json
fails 2 weir model report delay 2 'a b' feasible.json
fails 1 weir model rollback delay # version 1 has no report
weir model list --json | python3 -c 'import json, sys; print([(v["version"], v["aliases"]) for v in json.load(sys.stdin)])'
