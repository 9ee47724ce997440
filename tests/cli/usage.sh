# SPDX-License-Identifier: Apache-2.0
fails 64 weir trian
fails 64 weir data igest
fails 64 weir nonsense
fails 64 weir data ingest rides --form x.csv
fails 64 weir data ingest --from x.csv
fails 64 weir data ingest rides
fails 64 weir model train a.yaml b.yaml
fails 64 weir model evaluate delay --from yesterday
fails 64 weir --threads many data list
fails 64 weir help model trian
fails 64 weir completions csh
fails 64 weir --json modle list
# without a project
fails 2 weir data list
fails 2 weir model list
fails 2 weir -C nowhere data list
weir init >/dev/null
fails 64 weir model evaluate delay --threshold 2
fails 64 weir model evaluate delay --last 3d
fails 64 weir model promote delay best
