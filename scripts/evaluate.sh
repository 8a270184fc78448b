#!/usr/bin/env bash
# Scores labelled series and writes docs/accuracy.md.   [DATA=FOLDER] [TIDEWATCH=PROGRAM] scripts/evaluate.sh
#
#   DATA        a folder with the sets wsd, aiops and ms; ../shared/data where it exists. The data is not part of
#               this repository. The scorer is read from eval/event_table.py beside that folder.
#   TIDEWATCH   a program to use as it is; without it, this script builds one
#
# Needs python3 with venv; numpy and pandas are installed into target/evaluate and nowhere else.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

say()  { echo "evaluate: $*"; }
fail() { echo "evaluate: $*" >&2; exit 1; }

data=${DATA:-../shared/data}
[ -d "$data" ] || fail "no labelled series: there is no folder \`$data\`
  Name one with DATA=FOLDER. It holds wsd/, aiops/ and ms/, each with NAME.csv.gz files of timestamp,value,label."
for set in wsd aiops ms; do
  compgen -G "$data/$set/*.csv.gz" >/dev/null || fail "no series in \`$data/$set\`"
done
scorer=$data/../eval/event_table.py
[ -f "$scorer" ] || fail "no scorer: there is no file \`$scorer\`"
command -v python3 >/dev/null || fail "python3 is missing (apt-get install python3 python3-venv)"

work=target/evaluate
mkdir -p "$work"
if ! "$work/venv/bin/python" -c 'import numpy, pandas' 2>/dev/null; then
  say "installing numpy and pandas into $work/venv"
  python3 -m venv "$work/venv" || fail "python3 cannot make a venv (apt-get install python3-venv)"
  "$work/venv/bin/pip" install --quiet numpy pandas
fi

program=${TIDEWATCH:-}
if [ -z "$program" ]; then
  say "building"
  cargo build --release --locked --bin tidewatch
  program=${CARGO_TARGET_DIR:-target}/release/tidewatch
fi

score() {   # SET ZONE
  say "scoring $1"
  rm -rf "${work:?}/$1"
  "$program" score "$data/$1"/*.csv.gz --timestamp timestamp --value value --timezone "$2" --out "$work/$1"
  "$work/venv/bin/python" "$scorer" "$data/$1" "$work/$1" --at 70 80 --json "$work/$1.json"
}
score wsd Asia/Shanghai
score aiops Asia/Shanghai
score ms UTC

"$work/venv/bin/python" - "$work" > "$work/accuracy.md" <<'PYTHON'
import json, sys

print("""# Accuracy on labelled series

Written by `make evaluate`; do not edit. The command scores each series with `tidewatch score` and default settings,
then judges the second half of it, event by event.

| Set | Severity from | Series | Segments | Recall | Precision | F1 | False events per series-week | The worst series | Normal time in alarm |
|---|---|---|---|---|---|---|---|---|---|""")
for name in ["wsd", "aiops", "ms"]:
    for row in json.load(open(f"{sys.argv[1]}/{name}.json")):
        print(f"| {name} | {row['at']:.0f} | {row['series']} | {row['segments']} | {row['recall']:.3f} | {row['precision']:.3f} "
              f"| {row['f1']:.3f} | {row['fa_week']:.2f} | {row['worst_fa_week']:.1f} | {100 * row['busy']:.2f} % |")
print("""
A *segment* is a run of labelled points. It counts as found when the severity reaches the threshold inside it or in a
short grace after it (10 minutes for fine series, else 2 points). Alarms elsewhere are false events; those less than an
hour (or 3 points) apart count as one. Read the last column beside the false events: an alarm that never ends would
count as a single one.

The sets:

- **wsd**: 45 metrics of web services, one value a minute, 76 days (AnoTransfer-data). China time.
- **aiops**: 19 metrics of web companies, mostly one value a minute (AIOps contest of 2018). China time.
  13 of them are the same measurements as 25 series of wsd, labelled by other people, so the two sets are not
  independent evidence.
- **ms**: 43 metrics of Microsoft's cloud, hourly or one value a minute (cloud-monitoring-dataset, MIT). UTC.

Labels are made by hand. Where wsd and aiops label the same measurements, one labelling judged by the other reaches an
event F1 of 0.87: values near that say nothing more about a detector. The data is not part of this repository.
""", end="")
PYTHON
mv "$work/accuracy.md" docs/accuracy.md
say "wrote docs/accuracy.md"
