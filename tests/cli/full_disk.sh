# SPDX-License-Identifier: Apache-2.0
# The disk is full, or fails, at each step in turn: exit code 2 and nothing changed, or 0 and all of it.
make_champion
weir model evaluate delay --from 2001-01-15 --report e.json >/dev/null
# what goes to stdout
full() { code=0; "$@" >/dev/full 2>said.err || code=$?; echo "\$ $*: $code: $(head -1 said.err)"; rm said.err; }
full weir data list
full weir model show delay --json
full weir data sql 'SELECT 1 AS one' --out csv
full weir model list
full weir --version
full weir help
# WEIR_FAULT fails the n-th write, fsync or rename
each_fault() {
    for kind in write fsync rename; do
        n=1
        while [ $n -le 12 ]; do
            weir data list >/dev/null
            state >state.before
            code=0
            WEIR_FAULT=$kind:$n "$@" >said.out 2>said.err || code=$?
            state >state.after
            if [ $code = 2 ]; then
                [ -s said.err ] || echo "$kind:$n $*: no message"
                cmp -s state.before state.after || { echo "$kind:$n $*: changed"; diff state.before state.after || true; }
            elif [ $code != 0 ]; then echo "$kind:$n $*: exit code $code: $(cat said.err)"
            fi
            rm -f state.before state.after said.out said.err
            [ $code = 0 ] && break
            n=$((n + 1))
        done
    done
}
head -500 rides.csv >part.csv
each_fault weir data ingest part --from part.csv
each_fault weir feature build features.yaml
each_fault weir feature materialize features.yaml --until 2001-01-15
each_fault weir model evaluate delay --from 2001-01-15 --report e.json
weir data list --json | json 0 rows
