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
fails 2 weir user add ada
weir init >/dev/null
fails 64 weir user add ada
fails 64 weir run --
fails 64 weir run --dry-run -- touch made
fails 64 weir run --force -- true
fails 64 weir run --experiment churn python train.py
fails 2 weir run python train.py
fails 64 weir run --name x
fails 64 weir runs list --status finishd
fails 64 weir runs plot abcd --height 0
fails 64 weir runs purge abcd
fails 2 weir runs sync --spool nowhere
fails 2 weir backup .weir/copy
fails 64 weir model evaluate delay --threshold 2
fails 64 weir model evaluate delay --last 3d
fails 64 weir model promote delay best
fails 64 weir deploy foo
fails 64 weir deploy stuty m
fails 64 weir deploy study
fails 64 weir deploy infer fraud
fails 64 weir deploy bandit offers
fails 2 weir deploy study fraud.onnx
touch fraud.onnx fraud2.onnx
fails 2 weir deploy study ./farud.onnx
fails 2 weir deploy study fraud.onx
fails 2 weir deploy list --url ftp://127.0.0.1
