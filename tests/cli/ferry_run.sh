# SPDX-License-Identifier: Apache-2.0
# A pipeline: what runs, what does not, and why; a gate that says no; the cache.
exec 2>&1
set +e
DATA=$CASES/ferry
cp "$DATA"/* .
weir status
weir run > first.txt; echo "exit $?"; cut -d' ' -f1,2 first.txt
weir run
weir graph
echo '# a comment' >> train.yaml
weir run --dry-run train
weir run --json | python3 -c 'import json, sys; print([s["name"] for s in json.load(sys.stdin) if not s["cached"]])'
cp gate_hard.yaml gate.yaml
weir run > refused.txt 2>&1; echo "exit $?"; grep -c refused refused.txt
cp "$DATA/gate.yaml" .
weir run > back.txt; echo "exit $?"; cut -d' ' -f1,2 back.txt
rm weir.lock
weir run > again.txt; echo "exit $?"; grep -c restored again.txt
id=$(weir runs list --json | python3 -c 'import json, sys; print(json.load(sys.stdin)[0]["id"])')
weir runs show "$id" > show.txt; echo "exit $?"
weir runs show 0123456789; echo "exit $?"
weir run nosuch; echo "exit $?"
