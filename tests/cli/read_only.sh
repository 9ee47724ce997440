# SPDX-License-Identifier: Apache-2.0
# A project and folders that cannot be written.
make_champion
printf 'rows\n' >taken
chmod -R a+rX . && chmod 755 .
if ! as_user weir --version >/dev/null 2>&1; then
    echo "the program cannot be run by another user" >&2
    exit 77
fi
state >state.before
try() {
    echo "\$ weir $*"
    code=0
    as_user weir "$@" >said.out 2>said.err || code=$?
    cat said.err
    [ $code = 2 ] || { echo "EXIT CODE $code"; cat said.out; }
}
try init sub
try data ingest new --from rides.csv
try feature build features.yaml
try model train train.yaml
try model register delay
state >state.after
cmp state.before state.after
rm state.before state.after said.out said.err
# a folder in the way of a file, a file in the way of a folder
mkdir report.json
fails 2 weir model evaluate delay --report report.json
fails 2 weir model evaluate delay --report taken/e.json
fails 2 weir init taken
fails 2 weir data ingest new --from rides.csv -C taken
