# SPDX-License-Identifier: Apache-2.0
# lib.sh - what the cases share; loaded before each of them.

# What must not change when a command fails: files and folders of the project (without the records, scratch, locks and the server's logs), and what the
# records say of datasets and models.
state() {
    find . \( -path ./.weir/tmp -o -path ./.weir/log -o -path ./.weir/track -o -path ./.weir/secret -o -name 'weir.db*' -o -name '*.lock' -o -name 'state.*' -o -name 'said.*' \) -prune -o -type f -print0 |
        LC_ALL=C sort -z | xargs -0r sha256sum
    find . -mindepth 1 \( -path '*/.weir/*' ! -path '*/.weir/lake*' \) -prune -o -type d -print | LC_ALL=C sort
    if [ -e weir.yaml ] && weir data list --json >/dev/null 2>&1 && weir model list --json >/dev/null 2>&1; then
        weir data list --json
        weir model list --json
    fi
}

# fails CODE COMMAND...: the command ends with this code, says why on stderr (printed), and changes nothing.
fails() {
    wanted=$1
    shift
    weir data list >/dev/null 2>&1 || true # makes .weir/lake, should it not be there yet
    state >state.before
    got=0
    timeout 60 "$@" >said.out 2>said.err || got=$?
    state >state.after
    echo "\$ $*"
    cat said.err
    [ "$got" = "$wanted" ] || { echo "EXIT CODE $got, NOT $wanted"; cat said.out; }
    [ -s said.err ] || [ "$wanted" = 1 ] || echo "NO MESSAGE"
    cmp -s state.before state.after || { echo "CHANGED:"; diff state.before state.after || true; }
    rm -f state.before state.after said.out said.err
}

# json KEY...: the value at this path of the JSON on stdin, as JSON; fails when there is none. Numbers are indexes.
json() {
    python3 -c '
import json, sys
value = json.load(sys.stdin)
for key in sys.argv[1:]:
    value = value[int(key)] if isinstance(value, list) else value[key]
print(json.dumps(value, sort_keys=True))' "$@"
}

# As a user who may not write everywhere: root may.
as_user() {
    if [ "$(id -u)" != 0 ]; then "$@"
    else setpriv --reuid=65534 --regid=65534 --clear-groups env HOME=/ "$@"
    fi
}

# rides.csv: 3,000 rides, one each ten minutes from 2001-01-01 on; the delay grows with x and the place. A few rows are wrong.
make_rides() {
    python3 - <<'PYTHON'
from datetime import datetime, timedelta
with open("rides.csv", "w") as f:
    f.write("t,place,x,delay\n")
    for i in range(3000):
        delay = i * 7907 % 1000 // 40 + i * 7919 % 4 * 4 + i * 104729 % 13
        if i in (700, 1400):
            delay = -5000
        f.write(f"{datetime(2001, 1, 1) + timedelta(minutes=10 * i)},{'ABCD'[i * 7919 % 4]},{i * 7907 % 1000 / 1000},{delay}\n")
PYTHON
}

# A project over rides.csv: checks, features, specification, gate. Prints nothing.
make_project() {
    weir init >/dev/null
    make_rides
    cat >checks.yaml <<'YAML'
suite: rides
checks:
  - {check: type, column: t, is: timestamp}
  - {check: not_null, columns: [t, place, x, delay]}
  - {check: between, column: delay, min: -90, max: 1440, action: quarantine}
  - {check: matches, column: place, regex: "[A-D]"}
YAML
    cat >features.yaml <<'YAML'
name: rides_features
source: rides_clean
time: t
keep: [delay]
label: {name: late, of: delay, above: 22}
known_at: t + INTERVAL 30 MINUTE
events:
  source: rides_clean
  time: t + INTERVAL 30 MINUTE
  values: {late: {of: delay, above: 22}}
features:
  - {name: minute, op: minute_of_day, of: t}
  - {name: x, op: number, of: x}
  - {name: place, op: category, of: place}
  - {name: late_2h, op: share, of: late, key: place, over: 2h}
YAML
    cat >train.yaml <<'YAML'
model: delay
view: features.yaml
rows: SELECT * FROM rides_features
train: {from: 2001-01-01, until: 2001-01-12}
valid: {from: 2001-01-12, until: 2001-01-15}
learner: {name: trees, rounds: 30, leaves: 15, learning_rate: 0.2, min_child_weight: 5, early_stop: 5, seed: 1}
YAML
    cat >gate.yaml <<'YAML'
rules:
  - {metric: auc, at_least: 0.85}
  - {metric: auc, better_than: baseline, by: 0.1}
  - {metric: auc, better_than: against}
YAML
}

# The same with everything done up to a champion. Prints nothing.
make_champion() {
    make_project
    {
        weir data ingest rides --from rides.csv
        weir data clean rides
        weir feature build features.yaml
        weir model train train.yaml
        weir model register delay --alias champion
    } >/dev/null
}
