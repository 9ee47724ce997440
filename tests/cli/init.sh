# SPDX-License-Identifier: Apache-2.0
weir init
cat .weir/.gitignore
grep -c '^#' weir.yaml
fails 2 weir init
weir init deep/er
weir init --json other | json project
fails 2 weir init other
mkdir sub && cd sub
weir data list # found above
cd ..
weir -C deep/er data list
fails 2 weir init /proc/here
