# SPDX-License-Identifier: Apache-2.0
# Every command that weir help lists has usage, options, examples, a man page and exit code 0; group pages and completions work.
weir help >all
sed -n 's/^  \([a-z][a-z ]*[a-z]\)   .*/\1/p' all >names
# in groups, none left over; what is wide is wrapped
sed -n 's/^\([a-z]*\): .*/\1/p' all | sed '/^usage$/d'
if grep '^more' all; then echo "a command of no group"; fi
awk 'length > 80 { print FILENAME ": " $0 }' all
weir help models
weir help monitor | head -1
for group in data model deploy runs; do
    weir $group >page
    weir help $group | cmp - page
    weir $group --help | cmp - page
    awk 'length > 80 { print FILENAME ": " $0 }' page
done
fails 64 weir help modles
[ "$(wc -l <names)" -ge 20 ] || echo "only $(wc -l <names) commands"
while read -r name; do
    # shellcheck disable=SC2086
    weir $name --help >page || echo "weir $name --help: exit code $?"
    weir help $name >again
    cmp page again
    head -1 page | grep -q "^weir $name - " || echo "weir $name: no summary"
    for part in "^usage: weir $name" "^options of every command:" "^examples:" "^  .*weir $name" "^exit codes:"; do
        grep -q -e "$part" page || echo "weir $name --help lacks $part"
    done
    awk 'length > 120 { print FILENAME ": " $0 }' page
    weir man $name >man.1
    grep -q '^.SH SYNOPSIS' man.1 || echo "weir man $name: no synopsis"
    group=${name%% *}
    [ "$group" = "$name" ] || grep -q "^usage: weir $group" all || { weir $group >page; grep -q "  $name " page || echo "weir $group lacks $name"; }
done <names
# the examples are commands that exist
while read -r name; do
    # shellcheck disable=SC2086
    weir $name --help | sed -n '/^examples:/,/^exit codes/p' | sed -n 's/^  \(weir .*\)/\1/p'
done <names >examples
while read -r program first second _; do
    grep -qx "$first" names || grep -qx "$first $second" names || echo "an example of no command: $program $first $second"
done <examples
weir completions bash >weir.bash
bash -n weir.bash
weir completions zsh | bash -n
weir completions fish | grep -c . >/dev/null
echo fine
