#!/usr/bin/env bash
# The speed table of backtests in docs/benchmarks.md: ten million points from Parquet, beside pandas and statsmodels.
#   [TIDEWATCH=PROGRAM] [PYTHON=PROGRAM] scripts/bench_backtest.sh [--quick]
#
#   TIDEWATCH   a program to use as it is; without it, this script builds one
#   PYTHON      a python3 with numpy, pandas, pyarrow and statsmodels; without it, they are installed into target/bench
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
say()  { echo "bench: $*" >&2; }
fail() { echo "bench: $*" >&2; exit 1; }

work=target/bench
mkdir -p "$work"
python=${PYTHON:-$work/venv/bin/python}
if ! "$python" -c 'import numpy, pandas, pyarrow, statsmodels' 2>/dev/null; then
  [ -z "${PYTHON:-}" ] || fail "\`$PYTHON\` lacks numpy, pandas, pyarrow or statsmodels"
  command -v python3 >/dev/null || fail "python3 is missing (apt-get install python3 python3-venv)"
  say "installing numpy, pandas, pyarrow and statsmodels into $work/venv"
  python3 -m venv "$work/venv" || fail "python3 cannot make a venv (apt-get install python3-venv)"
  "$work/venv/bin/pip" install --quiet numpy==2.3.3 pandas==2.3.3 pyarrow==21.0.0 statsmodels==0.14.5
fi
program=${TIDEWATCH:-}
if [ -z "$program" ]; then
  say "building"
  cargo build --release --locked --no-default-features --features parquet --bin tidewatch
  program=${CARGO_TARGET_DIR:-target}/release/tidewatch
fi
"$python" benches/backtest.py "$program" "$work" "$@"
