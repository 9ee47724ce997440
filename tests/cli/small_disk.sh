# SPDX-License-Identifier: Apache-2.0
# A file system that is really full, where we may mount one.
if ! unshare -m true 2>/dev/null; then
    echo "no right to mount" >&2
    exit 77
fi
make_rides
python3 -c '
import random
random.seed(1)
print("n,noise")
for n in range(60000): print(f"{n},{random.getrandbits(512):x}")' >large.csv
mkdir disk
cat >inside.sh <<'SCRIPT'
set -eu
mount -t tmpfs -o size=3m tmpfs disk
cd disk
weir init >/dev/null
weir data ingest few --from ../rides.csv --where "t < TIMESTAMP '2001-01-02'" >/dev/null
look() { weir data list --json; find .weir/lake -mindepth 1 | sort; }
look >../before
try() {
    code=0
    weir data ingest "$@" >../out 2>../err || code=$?
    echo "exit code $code"
    grep -c 'space' ../err
    grep -c '^hint:' ../err
}
try large --from ../large.csv # fills up while the file is being written
look >../after
cmp ../before ../after
dd if=/dev/zero of=filler bs=1k 2>/dev/null || true
try more --from ../rides.csv
rm filler
look >../after
cmp ../before ../after
weir data ingest few --from ../rides.csv --json | python3 -c 'import json, sys; print(json.load(sys.stdin)["rows"])' # and on it goes
SCRIPT
unshare -m sh ./inside.sh
