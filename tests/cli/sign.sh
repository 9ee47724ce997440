# SPDX-License-Identifier: Apache-2.0
# Signatures: of folders and of registered versions; what is signed, what was changed, who is trusted, what the registry requires.
mask() { sed -E 's/[0-9a-f]{64}/HASH/g; s/\b[0-9a-f]{12}\b/SHORT/g'; }

echo "-- keys"
weir model keygen release.pem
weir model keygen other.pem --kind Ed25519 --json
[ "$(stat -c %a release.pem)" = 600 ] || echo "THE KEY IS NOT PRIVATE"
fails 2 weir model keygen release.pem
rm release.pem.pub
fails 2 weir model keygen release.pem
openssl pkey -in release.pem -pubout -out release.pub
fails 2 weir model keygen third.pem --kind P-257
echo "open sesame" >phrase
weir model keygen secret.pem --passphrase-file phrase

echo "-- a folder"
mkdir -p export/sub
echo weights >export/weights.bin
echo config >export/sub/config.json
weir model sign ./export --key release.pem | mask
weir model verify ./export --key release.pub | mask
weir model verify export --key other.pem.pub --key release.pub | mask
weir model verify export/ --key release.pub --json | mask
cp -r export again
fails 1 weir model verify ./again --key other.pem.pub 2>&1 | mask
echo Weights >again/weights.bin
fails 1 weir model verify ./again --key release.pub
fails 1 weir model verify ./again --key release.pub --json
weir model verify ./again --key release.pub --json 2>/dev/null || true
echo weights >again/weights.bin
echo more >again/more.txt
fails 1 weir model verify ./again --key release.pub
rm again/more.txt again/sub/config.json
fails 1 weir model verify ./again --key release.pub
rm again/model.sig
fails 1 weir model verify ./again --key release.pub
fails 2 weir model verify ./again --key release.pub --sig nofile
echo '{"mediaType": "x"}' >again/model.sig
fails 2 weir model verify ./again --key release.pub
ln -s weights.bin again/link
fails 2 weir model sign ./again --key release.pem
weir model sign ./export --key secret.pem --passphrase-file phrase --out apart.sig --json | mask
fails 1 weir model verify ./export --key release.pub --sig apart.sig 2>&1 | mask
weir model verify ./export --key secret.pem.pub --sig apart.sig | mask
weir model sign export/weights.bin --key other.pem | mask
weir model verify export/weights.bin --key other.pem.pub | mask
rm export/weights.bin.sig

echo "-- wrong keys"
fails 64 weir model sign ./export
fails 64 weir model verify ./export
fails 2 weir model sign ./export --key nokey.pem
fails 2 weir model sign ./export --key release.pub
fails 2 weir model verify ./export --key release.pem
fails 2 weir model sign ./export --key phrase
fails 2 weir model verify ./export --key phrase
fails 2 weir model sign ./export --key secret.pem
echo wrong >wrong
fails 2 weir model sign ./export --key secret.pem --passphrase-file wrong
fails 2 weir model sign ./nofolder --key release.pem
fails 2 weir model sign nothing --key release.pem

echo "-- a certificate"
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout ca.pem -out ca.crt -days 9000 -subj "/CN=Weir root" 2>/dev/null
openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-384 -nodes -keyout ada.pem -out ada.csr -subj "/CN=Ada" 2>/dev/null
printf 'keyUsage=digitalSignature\n' >usage.cnf
openssl x509 -req -in ada.csr -CA ca.crt -CAkey ca.pem -days 9000 -extfile usage.cnf -out ada.crt 2>/dev/null
weir model sign ./export --key ada.pem --cert ada.crt | mask
weir model verify ./export --cert ca.crt
fails 1 weir model verify ./export --cert ada.crt
fails 1 weir model verify ./export --key release.pub
fails 2 weir model sign ./export --key ada.pem --cert ca.crt

echo "-- a registered version"
make_champion
weir model sign delay@1 --key release.pem | mask
weir model verify delay@champion --key release.pub | mask
weir model verify delay --key release.pub --json | mask
fails 1 weir model verify delay@1 --key other.pem.pub 2>&1 | mask
fails 2 weir model verify delay@7 --key release.pub
fails 2 weir model verify dela --key release.pub
weir model show delay@1 --json | json reports signature | mask
sed -i 's/rounds: [0-9]*/rounds: 3/' train.yaml
weir model train train.yaml >/dev/null
weir model register delay >/dev/null
fails 1 weir model verify delay@2 --key release.pub

echo "-- required"
cat >>weir.yaml <<'YAML'
endpoints:
  delay: {model: delay@champion}
registry:
  require: signature
  trust: [release.pub]
YAML
fails 1 weir model promote delay@2
weir model sign delay@2 --key other.pem >/dev/null
fails 1 weir model promote delay@2 2>&1 | mask
weir model sign delay@2 --key release.pem >/dev/null
weir model promote delay@2 --dry-run
weir model promote delay@2
weir model verify delay@2 | mask
weir model verify delay@2 --json | json verified

echo "-- a changed file"
file=$(weir model show delay@2 --json | python3 -c 'import json, sys; print(next(f["hash"] for f in json.load(sys.stdin)["files"] if f["path"] == "golden.json"))')
object=".weir/objects/$(echo "$file" | cut -c1-2)/$(echo "$file" | cut -c3-)"
chmod u+w "$object"
cp "$object" kept
sed 's/0/1/' kept >"$object"
fails 1 weir model verify delay@2
cp kept "$object"
weir model verify delay@2 | mask

echo "-- what weir.yaml says"
sed -i 's/trust: .*/trust: [nofile.pub]/' weir.yaml
fails 1 weir model promote delay@1
sed -i '/trust: /d' weir.yaml
fails 1 weir model promote delay@1
sed -i 's/require: .*/require: evaluation/' weir.yaml
fails 2 weir model list
