# SPDX-License-Identifier: Apache-2.0
# Studies of Optuna: a journal that Optuna wrote comes in, is shown, goes out, and in again elsewhere with nothing lost; the server
# answers Optuna's storage protocol by gRPC.
cp "$CASES/../fixtures/optuna/journal-5.0.log" optuna.log
weir init >/dev/null
weir study list
weir study import optuna.log
weir study list
weir study show mo --limit 2
weir study list --json | json 0 states
weir study show "gone" --json | json trials 1 values
fails 2 weir study import optuna.log
fails 2 weir study import missing.log
printf '{"op_code":0,"study_name":"new","directions":[1]}\n{"op_code":77}\n' >bad.log
fails 2 weir study import bad.log
printf '{"op_code":0,"stu' >half.log
fails 2 weir study import half.log
fails 2 weir study show nobody
weir study export all.log
fails 2 weir study export all.log
weir study export one.log mo
wc -l <one.log
fails 2 weir study export two.log mo nobody
mkdir other
weir init other >/dev/null
weir -C other study import "$PWD/all.log"
weir -C other study export "$PWD/again.log"
cmp all.log again.log && echo "nothing was lost"

server=
stop() { [ -z "$server" ] || kill -9 "$server" 2>/dev/null || true; }
trap stop EXIT
: >up.out
weir up --port 0 --no-schedule >up.out 2>up.err &
server=$!
for _ in $(seq 200); do
    url=$(sed -n 's/^weir is up at \(http:[^ ]*\).*/\1/p' up.out)
    [ -n "$url" ] && break
    sleep 0.1
done
# call METHOD BYTES: a gRPC call by hand; status of HTTP, of gRPC, and its message
call() {
    # shellcheck disable=SC2059
    printf "$2" | curl -s --http2-prior-knowledge -H 'content-type: application/grpc' -H 'te: trailers' --data-binary @- -D head -o body \
        "$url/optuna.StorageService/$1"
    tr -d '\r' <head | sed -n 's/^HTTP\/2 /&/p; s/^grpc-/&/p' | tr '\n' ' '
    wc -c <body
}
call GetStudyIdFromName '\0\0\0\0\4\12\2mo'
od -An -tx1 body
call GetStudyIdFromName '\0\0\0\0\4\12\2no'
call CreateNewStudy '\0\0\0\0\7\12\1\0\22\2mo'
call CreateNewStudy '\0\0\0\0\7\12\1\0\22\2zz'
call NoSuchMethod '\0\0\0\0\0'
call GetAllStudies '\1\0\0\0\0'
curl -s "$url/optuna.StorageService/GetAllStudies" -d x
echo
kill "$server" && wait "$server" && server=
weir study list --json | json 3 name
fails 2 weir study delete nobody
weir study delete zz --dry-run
weir study delete zz
weir study list --json | json 2 name
fails 2 weir study show zz
