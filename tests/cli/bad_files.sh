# SPDX-License-Identifier: Apache-2.0
# Files that are not what they should be: refused with the reason, and nothing changes.
make_project
weir data ingest rides --from rides.csv >/dev/null
weir data sql "SELECT * FROM rides" --out rides.parquet >/dev/null
head -c 9000 rides.parquet >truncated.parquet
{ head -c 4 rides.parquet; echo "this is not what follows"; } >garbage.parquet
cp rides.csv text.parquet
: >empty.csv
head -c 3000 /dev/zero >zeros.csv
mkdir folder
for name in rides new; do
    fails 2 weir data ingest $name --from truncated.parquet
    fails 2 weir data ingest $name --from garbage.parquet
    fails 2 weir data ingest $name --from text.parquet
    fails 2 weir data ingest $name --from empty.csv
    fails 2 weir data ingest $name --from none.csv
    fails 2 weir data ingest $name --from 'none-*.csv'
    fails 2 weir data ingest $name --from folder
    fails 2 weir data ingest $name --from checks.yaml
    fails 2 weir data ingest $name --from rides.csv --format parquet
    fails 2 weir data ingest $name --from rides.csv --format xml
    fails 2 weir data ingest $name --from rides.csv --select nothing
    fails 2 weir data ingest $name --from rides.csv --where "t < error('no')"
done
fails 2 weir data ingest ../up --from rides.csv
fails 2 weir data ingest Rides --from rides.csv
# another schema cannot be appended
printf 't,place,x,delay\n2001-01-01,A,much,3\n' >wrong_type.csv
printf 't,place,x\n2001-01-01,A,0.5\n' >missing_column.csv
fails 2 weir data ingest rides --append --from wrong_type.csv
fails 2 weir data ingest rides --append --from missing_column.csv
# outputs that cannot be written
fails 2 weir data sql "SELECT * FROM rides" --out /dev/full/x.csv
fails 2 weir data sql "SELECT * FROM rides" --out /proc/none/x.csv
fails 2 weir data profile rides --report /proc/none/x.json
fails 2 weir data check rides --warn --report /proc/none/x.json
