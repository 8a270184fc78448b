#!/usr/bin/env bash
# Measures the detectors and writes the tables of docs/accuracy.md and detectors/README.md.
#   [DATA=FOLDER] [TIDEWATCH=PROGRAM] [PYTHON=PROGRAM] scripts/evaluate.sh
#
#   DATA        a folder with the developer data (wsd, aiops, ms, NAB and the series without labels); ../shared/data
#               where it exists. It is not part of this repository. eval/ beside it has the reference scorers, eval/prototype
#               the rows to compare with.
#   TIDEWATCH   a program to use as it is; without it, this script builds one
#   PYTHON      a python3 with numpy, pandas and numba; without it, they are installed into target/evaluate
#
#   ONLY        `causes`: only the tables about causes of incidents; `backtest`: only that of backtests, and the scorers' agreement
#
# About twelve minutes on two cores, and twenty for the faults of the simulated shop.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

say()  { echo "evaluate: $*" >&2; }
fail() { echo "evaluate: $*" >&2; exit 1; }

data=${DATA:-../shared/data}
[ -d "$data" ] || fail "no developer data: there is no folder \`$data\`
  Name one with DATA=FOLDER. It holds wsd/, aiops/ and ms/, each with NAME.csv.gz files of timestamp,value,label."
[ -f "$data/robustspot/causes.yaml" ] || fail "no labelled incidents: there is no file \`$data/robustspot/causes.yaml\`"
for set in wsd aiops ms; do
  compgen -G "$data/$set/*.csv.gz" >/dev/null || fail "no series in \`$data/$set\`"
done
others=$data/../eval/prototype/score.py
[ -f "$others" ] || fail "nothing to compare with: there is no file \`$others\`"
work=target/evaluate
mkdir -p "$work"

python=${PYTHON:-$work/venv/bin/python}
if ! "$python" -c 'import numpy, pandas, numba' 2>/dev/null; then
  [ -z "${PYTHON:-}" ] || fail "\`$PYTHON\` lacks numpy, pandas or numba"
  command -v python3 >/dev/null || fail "python3 is missing (apt-get install python3 python3-venv)"
  say "installing numpy, pandas and numba into $work/venv"
  python3 -m venv "$work/venv" || fail "python3 cannot make a venv (apt-get install python3-venv)"
  "$work/venv/bin/pip" install --quiet numpy pandas numba
fi
program=${TIDEWATCH:-}
if [ -z "$program" ]; then
  say "building"
  cargo build --release --locked --bin tidewatch
  program=${CARGO_TARGET_DIR:-target}/release/tidewatch
fi

causes() {
  say "causes of labelled incidents"
  "$python" scripts/evaluate_locate.py "$data/robustspot" "$program" "$work/locate.md" >&2
  say "faults of the simulated shop"
  "$python" scripts/evaluate_shop.py "$program" "$work/shop" "$work/shop.md" >&2
}

if [ "${ONLY:-}" = causes ]; then
  causes
  "$python" scripts/evaluate_write.py "$work" --causes
  say "wrote docs/accuracy.md"
  exit
fi

agree_and_backtest() {
  say "comparing the scorers with the reference ones"
  "$python" scripts/evaluate_agree.py "$data" "$program" "$work" >&2
  say "every set through a backtest"
  "$python" scripts/evaluate_backtest.py "$data" "$program" "$work/backtest" "$work/backtest.md" >&2
}

score() { # OUT ZONE FILE... [-- OPTION...]
  local out=$1 zone=$2; shift 2
  rm -rf "${out:?}"
  "$program" score "$@" --timestamp timestamp --value value --timezone "$zone" --out "$out" 2>/dev/null
}

# --- Labelled series ---------------------------------------------------------------------------------------------
# 13 KPIs of aiops are the same measurements as 25 series of wsd.
twins=()
for kpi in c69a50cf 05f10d3a 4d2af31a 6a757df4 ffb82d38 847e8ecc 6efa3a07 f0932edd 431a8542 6d1114ae 8723f0fb adb2fde9 42d6616d; do
  twins+=(--skip "$kpi")
done

score_set() { # SET ZONE
  say "scoring $1"
  score "$work/seasonal/$1" "$2" "$data/$1"/*.csv.gz
  local detector
  for detector in prototype holtwinters ewma; do
    # Their scores depend on the data alone.
    [ -d "$work/$detector/$1.done" ] && continue
    "$python" "$others" "$work/$detector/$1" "$data/$1"/*.csv.gz --detector "$detector"
    mkdir "$work/$detector/$1.done"
  done
}

judge_set() { # TITLE SET OPTION...
  local title=$1 set=$2; shift 2
  local detector name rows=()
  for detector in seasonal prototype holtwinters ewma; do
    case $detector in
      seasonal) name="**seasonal**"; rows=() ;;
      prototype) name="a prototype"; rows=(--rows) ;;
      holtwinters) name="Holt-Winters, z >= 7"; rows=(--rows) ;;
      ewma) name="EWMA, z >= 8"; rows=(--rows) ;;
    esac
    [ "$detector" = seasonal ] && printf '\n%s\n\n' "$title"
    "$program" judge "$work/$detector/$set" --labels "$data/$set" --sweep --name "$name" ${rows[@]+"${rows[@]}"} "$@"
  done
}

labelled() {
  judge_set "**wsd**: 45 metrics of web services, one value a minute, 76 days (AnoTransfer-data). China time." wsd
  judge_set "**aiops**: 19 metrics of web companies, mostly one value a minute (AIOps contest of 2018). China time." aiops
  judge_set "**aiops without its twins**: the six metrics that are not also in wsd, the only independent part." aiops "${twins[@]}"
  judge_set "**ms**: 43 metrics of Microsoft's cloud, hourly or one value a minute (cloud-monitoring-dataset, MIT). UTC." ms
}

# --- Series without labels, and NAB -------------------------------------------------------------------------------
quiet() {
  local set zone rows=()
  for set in services bike bike-usual cran peyton nab-quiet merlion streams; do
    zone=UTC
    case $set in services) zone=Asia/Shanghai ;; bike*) zone=America/New_York ;; esac
    score "$work/quiet/$set" "$zone" "$work/series/$set"/*.csv
    "$program" judge "$work/quiet/$set" ${rows[@]+"${rows[@]}"}
    rows=(--rows)
  done
}

# What NAB's files measure, by their names and before any score is seen. Gauges: levels that a machine holds.
machine_gauges='cpu_utilization|disk_write|network_in|NetworkIn|grok_asg|temperature'
# Every value that is not a number of events in its interval.
every_gauge="$machine_gauges|latency|rogue_agent|occupancy|speed_|TravelTime|_cpc_|_cpm_"

nab() {
  local all=("$work"/series/nab/*.csv) kind pattern rows=()
  score "$work/nab/seasonal" UTC "${all[@]}"
  score "$work/nab/novelty" UTC "${all[@]}" --detector novelty
  for kind in machine every; do
    pattern=${kind}_gauge; [ "$kind" = machine ] && pattern=machine_gauges
    rm -rf "${work:?}/nab/$kind"; cp -r "$work/nab/seasonal" "$work/nab/$kind"
    ls "$work/nab/novelty" | grep -E "${!pattern}" | while read -r file; do cp "$work/nab/novelty/$file" "$work/nab/$kind/$file"; done
  done
  nab_rows seasonal "seasonal on every file: nothing declared"
  rows=(--rows)
  nab_rows machine "novelty on machine gauges, else seasonal"
  nab_rows every "novelty on every value that is no count, else seasonal"
  nab_rows novelty "novelty on every file"
}

nab_rows() { # FOLDER NAME
  "$program" judge "$work/nab/$1" --nab "$work/series/nab/windows.json" --name "$2" ${rows[@]+"${rows[@]}"}
}

say "preparing series"
"$python" scripts/evaluate_series.py "$data" "$work/series"
score_set wsd Asia/Shanghai
score_set aiops Asia/Shanghai
score_set ms UTC
agree_and_backtest
if [ "${ONLY:-}" = backtest ]; then
  "$python" scripts/evaluate_write.py "$work" --backtest
  say "wrote docs/accuracy.md"
  exit
fi
say "judging"
labelled > "$work/labelled.md"
quiet > "$work/quiet.md"
nab > "$work/nab.md"
say "synthetic counts"
"$program" calibrate --seed 20261 --series 100 > "$work/synthetic.md"
"$program" calibrate --seed 20262 --series 20 --drills > "$work/drills.md"
say "checking the NAB scorer against its published total"
NAB_DATA=$PWD/$work/series/nab cargo run --release --locked --quiet -p tidewatch-datasets --example nab_gaussian >&2

causes
"$python" scripts/evaluate_write.py "$work"
say "wrote docs/accuracy.md and detectors/README.md"
