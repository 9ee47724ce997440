# SPDX-License-Identifier: Apache-2.0
# The model card and the bill of materials: what they tell, that they agree, and that the same version gives the same bytes.
make_champion
cat >gate.yaml <<'YAML'
rules:
  - {metric: auc, at_least: 0.5}
YAML
weir model evaluate delay --from 2001-01-15 --by place --gate gate.yaml --report ev.json >/dev/null
weir model register delay --report ev.json >/dev/null
cat >>weir.yaml <<'YAML'
models:
  delay:
    license: Apache-2.0
    summary: Will a ride be late?
    owner: rides@example.org
    intended_use: [planning, telling riders]
    limitations: two weeks of rides
YAML

echo "-- card"
weir model card delay@champion --out card.md
grep -c '^## ' card.md
grep -E '^(license|pipeline_tag|co2_eq_emissions|# |Will|- planning|two weeks)' card.md
grep -E '^\| (training|data-)' card.md | cut -d'|' -f 2,3,8
weir model card delay@champion >again.md
cmp card.md again.md
weir model card delay@1 --json | json limitations
weir model card delay --json | json version
echo "-- the same facts"
weir model bom delay@1 --out bom.json
weir model bom delay@champion >again.json
cmp bom.json again.json
weir model card delay@1 --json >card.json
python3 - <<'PYTHON'
import hashlib, json, re
bom, card, text = json.load(open("bom.json")), json.load(open("card.json")), open("card.md").read()
model = bom["metadata"]["component"]
print(bom["bomFormat"], bom["specVersion"], model["type"], model["name"], model["version"], model["licenses"])
print(sorted(model["modelCard"]), model["modelCard"]["modelParameters"]["architectureFamily"])
print([column["format"] for column in model["modelCard"]["modelParameters"]["inputs"]])
assert model["hashes"][0]["content"] == card["root"] and card["root"] in text
metrics = model["modelCard"]["quantitativeAnalysis"]["performanceMetrics"]
assert [(m["type"], float(m["value"]), m.get("slice")) for m in metrics] == [(m["name"], m["value"], m["slice"]) for m in card["metrics"]]
print(len([m for m in metrics if m.get("slice")]), all(f"`{m['value']}`" in text for m in metrics))
energy = model["modelCard"]["considerations"]["environmentalConsiderations"]["energyConsumptions"]
assert [(e["activity"], e["activityEnergyCost"]["value"]) for e in energy] == [(e["activity"], e["energy_j"] / 3.6e6) for e in card["footprint"]]
print([e["activity"] for e in energy], all(e["co2CostEquivalent"]["unit"] == "tCO2eq" for e in energy))
refs = [model["bom-ref"]] + [c["bom-ref"] for c in bom["components"] + model["components"]]
assert len(refs) == len(set(refs))
print({d["ref"]: d["dependsOn"] for d in bom["dependencies"]})
digests = hashlib.sha256()
for file in model["components"]:
    digests.update(bytes.fromhex(file["hashes"][0]["content"]))
print(digests.hexdigest() == card["root"], re.fullmatch(r"urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", bom["serialNumber"]) is not None)
PYTHON
weir model bom delay@1 --format boamps --json | json task taskStage

echo "-- what serving it took"
printf 'endpoints:\n  delay: {model: delay@champion}\n' >>weir.yaml
weir feature materialize features.yaml --until 2001-01-15 >/dev/null
: >up.out
weir up --port 0 --no-schedule >up.out 2>up.err &
server=$!
trap 'kill -9 "$server" 2>/dev/null || true' EXIT
for _ in $(seq 200); do
    url=$(sed -n 's/^weir is up at \(http:[^ ]*\).*/\1/p' up.out)
    [ -z "$url" ] || break
    sleep 0.1
done
weir deploy replay delay --url "$url" --from 2001-01-15 --until 2001-01-17 >/dev/null 2>&1
kill -TERM "$server"
wait "$server" || true
weir model bom delay@champion --out served.json
weir model card delay@champion >served.md
python3 - <<'PYTHON'
import json
of = lambda file: json.load(open(file))["metadata"]["component"]["modelCard"]["considerations"]["environmentalConsiderations"]["energyConsumptions"]
made, now = of("bom.json"), of("served.json")
assert now[:len(made)] == made and len(now) == len(made) + 1
last = now[-1]
properties = {p["name"]: p["value"] for p in last["properties"]}
# what the schema of CycloneDX 1.6 asks of an entry
assert set(last) <= {"activity", "energyProviders", "activityEnergyCost", "co2CostEquivalent", "co2CostOffset", "properties"}
assert last["activityEnergyCost"]["unit"] == "kWh" and last["co2CostEquivalent"]["unit"] == "tCO2eq"
assert all(p["energySource"] and p["organization"] and p["energyProvided"]["unit"] == "kWh" for p in last["energyProviders"])
print(last["activity"], properties["weir:predictions"], last["activityEnergyCost"]["value"] > 0, properties["weir:tier"])
PYTHON
grep -c '^| inference | 288 predictions |' served.md
sed -n 's/^- \*\*Serving:\*\* [^ ]* J and [^ ]* g/J and g/p' served.md
weir model bom delay@1 --format boamps | python3 -c 'import json, sys; print(json.load(sys.stdin)["task"]["taskStage"])'

echo "-- wrong"
fails 2 weir model card nothing
fails 2 weir model card dela
fails 2 weir model bom delay@9
fails 64 weir model bom
fails 64 weir model bom delay@1 --format cyclone
fails 2 weir model card delay@1 --out nofolder/card.md
sed -i 's/license: /licence: /' weir.yaml
fails 2 weir model card delay@1
