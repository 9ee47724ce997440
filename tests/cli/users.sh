# SPDX-License-Identifier: Apache-2.0
# A server with authentication: users, tokens, grants, what each may do, the audit log; a change beside a running server is seen.
weir init >/dev/null
echo "short" | fails 2 weir user add ada --admin
fails 2 weir up --auth --port 0
echo "correct horse battery" | weir user add ada --admin
echo "staple staple staple" | weir user add bob
echo "staple staple staple" | fails 2 weir user add bob
fails 2 weir user remove eve
fails 2 weir user grant bob experiment 0 EDITOR
fails 64 weir user grant bob planet 0 EDIT
fails 64 weir user grant bob expriment 0 EDIT
fails 2 weir user grant bob experiment 99 EDIT
fails 2 weir user grant bob experiment Default EDIT
fails 2 weir user grant bob model nothing EDIT
fails 2 weir user remove bbo
token=$(weir user token bob ci --expires 1d 2>/dev/null)
server=
stop() { [ -z "$server" ] || kill -9 "$server" 2>/dev/null || true; }
trap stop EXIT
: >up.out
weir up --auth --port 0 --no-schedule >up.out 2>up.err &
server=$!
for _ in $(seq 200); do
    url=$(sed -n 's/^weir is up at \(http:[^ ]*\).*/\1/p' up.out)
    [ -n "$url" ] && break
    sleep 0.1
done
# ask WHO METHOD PATH [BODY]: the status and, of errors, the code
ask() {
    who=$1 method=$2 path=$3 body=${4:-}
    case $who in
    nobody) set -- ;;
    token) set -- -H "Authorization: Bearer $token" ;;
    *) set -- -u "$who" ;;
    esac
    curl -s -o answer.json -w '%{http_code}' "$@" -X "$method" -H 'Content-Type: application/json' ${body:+-d "$body"} "$url/api/$path" >status
    code=$(python3 -c 'import json; print(json.load(open("answer.json")).get("error_code", ""))' 2>/dev/null || true)
    echo "$who $method $path: $(cat status) $code"
}
bob=bob:"staple staple staple" ada=ada:"correct horse battery"
curl -s "$url/health" && echo
ask nobody GET "2.0/mlflow/experiments/get?experiment_id=0"
ask "$ada" GET "2.0/mlflow/experiments/get?experiment_id=0"
ask "$bob" GET "2.0/mlflow/experiments/get?experiment_id=0"
ask "bob:wrong wrong wrong" GET "2.0/mlflow/experiments/get?experiment_id=0"
ask token POST 2.0/mlflow/experiments/create '{"name": "of bob"}'
ask "$bob" POST 2.0/mlflow/runs/create '{"experiment_id": "1"}'
ask "$bob" POST 2.0/mlflow/runs/create '{"experiment_id": "0"}'
ask "$bob" POST 2.0/mlflow/experiments/permissions/create '{"experiment_id": "0", "username": "bob", "permission": "MANAGE"}'
ask "$bob" POST 2.0/mlflow/users/create '{"username": "eve", "password": "eve eve eve eve"}'
ask "$ada" POST 2.0/mlflow/experiments/permissions/create '{"experiment_id": "0", "username": "bob", "permission": "EDIT"}'
ask "$bob" POST 2.0/mlflow/runs/create '{"experiment_id": "0"}'
ask "$ada" PATCH 2.0/mlflow/users/update-password '{"username": "ada", "password": "another horse battery"}'
ask "$bob" PATCH 2.0/mlflow/users/update-password '{"username": "bob", "password": "gingham gingham", "current_password": "staple staple staple"}'
ask "$bob" GET "2.0/mlflow/experiments/get?experiment_id=0"
ask "bob:gingham gingham" GET "2.0/mlflow/experiments/get?experiment_id=0"
# beside the running server
weir user grant bob experiment 0 DENY
weir user token bob ci --revoke
sleep 1.5
ask "bob:gingham gingham" GET "2.0/mlflow/experiments/get?experiment_id=0"
ask token GET "2.0/mlflow/experiments/get?experiment_id=1"
curl -s -o /dev/null -w '%{http_code}\n' -H 'Host: evil.example' "$url/api/2.0/mlflow/experiments/get?experiment_id=0"
# ten wrong passwords, and the eleventh is not even looked at
for _ in $(seq 10); do curl -s -o /dev/null -u ada:nonsense "$url/api/2.0/mlflow/users/list"; done
ask ada:nonsense GET 2.0/mlflow/users/list
ask "$ada" GET 2.0/mlflow/users/list
weir user list
weir user list --json | json 1 grants
echo "new new new new" | weir user password bob
weir user remove bob
weir user list
weir user audit --json | python3 -c 'import json, sys
for row in json.load(sys.stdin): print(row["user"], row["action"], row["subject"], row["from"])'
kill -TERM "$server"
wait "$server"
server=
