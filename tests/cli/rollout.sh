# SPDX-License-Identifier: Apache-2.0
# Rollouts by command: begun, looked at, ended; what is refused.
mkdir exports
cp "$CASES/../triton/models/simple/1/model.onnx" exports/sums.onnx
cp exports/sums.onnx exports/next.onnx
cp "$CASES/../triton/models/simple_identity/1/model.onnx" exports/other.onnx
weir init >/dev/null
cat >weir.yaml <<'YAML'
endpoints:
  sums: {path: exports/sums.onnx}
YAML
server=
stop() { [ -z "$server" ] || kill -9 "$server" 2>/dev/null || true; }
trap stop EXIT
: >up.out
weir up --port 0 --no-schedule >up.out 2>up.err &
server=$!
for _ in $(seq 200); do
    url=$(sed -n 's/^weir is up at \(http:[^ ]*\).*/\1/p' up.out)
    [ -z "$url" ] || break
    sleep 0.1
done
cat >rows.json <<'JSON'
{"inputs": [{"name": "INPUT0", "shape": [1, 16], "datatype": "INT32", "data": [0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15]},
            {"name": "INPUT1", "shape": [1, 16], "datatype": "INT32", "data": [1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1]}]}
JSON
ask() { # how many answers each version gave, of $1 requests
    for i in $(seq "$1"); do curl -s "$url/v2/models/sums/infer" -H "x-user: u${2:-}$i" -d @rows.json; echo; done |
        python3 -c '
import collections, json, sys
print(dict(sorted(collections.Counter(json.loads(l)["model_version"] for l in sys.stdin if l.strip()).items())))'
}
weir deploy status
weir deploy rollout sums --to exports/next.onnx --step 100% --max 100% --every 1h --sticky-header x-user >said
sed -n '1p;2s/since .*/since/p;3p' said
ask 5
weir deploy status sums --json >state.json
for k in phase mode; do json $k <state.json; done
json arms 1 requests <state.json
json rollout steps <state.json
json rollout sticky <state.json
weir deploy status | grep -c canary
weir deploy rollback sums | sed -n '1s/since [^;]*/since/p'
ask 3
# a model that cannot answer: nobody notices
weir deploy split sums bad=exports/other.onnx:50% good=exports/next.onnx:50% --guard errors.worse_by=1% --guard p99.max=5s --guard errors.max=50% --json >state.json
json rollout guardrails <state.json
ask 20 x >counts
python3 -c 'c = eval(open("counts").read()); print(sum(c.values()), sorted(c))'
weir deploy promote sums good --json | json phase
ask 3
weir deploy shadow sums exports/next.onnx --no-guards >/dev/null
ask 4
for _ in $(seq 50); do
    [ "$(weir deploy status sums --json | json arms 1 shadow pairs)" = 4 ] && break
    sleep 0.1
done
weir deploy status sums | grep agrees
weir deploy switch sums next=exports/next.onnx --json | json arms 1 share
weir deploy bandit sums b=exports/next.onnx --floor 5% --policy epsilon --json | json rollout bandit
fails 2 weir deploy rollout sum --to exports/next.onnx
fails 64 weir deploy rollout sums
fails 2 weir deploy rollout sums --to exports/nowhere.onnx
fails 64 weir deploy rollout sums --to exports/next.onnx --guard errors=1%
fails 2 weir deploy rollout sums --to exports/next.onnx --guard eror.max=1%
fails 2 weir deploy split sums a=exports/next.onnx:70% b=exports/next.onnx:70%
fails 2 weir deploy promote sums c
weir deploy rollback sums >/dev/null
fails 2 weir deploy promote sums
