#!/usr/bin/env bash
# The web console under ui/.   scripts/console.sh build|check|test
#
#   build  makes ui/dist anew; what is there is committed and becomes part of the program
#   check  makes it elsewhere and compares: ui/dist is what ui/src says, byte for byte
#   test   runs ui/tests against the real program in Chromium
#
# TIDEWATCH_BIN  the program that is tested (default target/debug/tidewatch)
# CHROMIUM       the browser (default /usr/bin/chromium)
# Needs nodejs, npm and chromium (scripts/setup.sh test). Node older than the pinned one is passed over: a copy is
# fetched from npm into target/node.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
ui=$root/ui
pinned=20.20.2

fail() { echo "console: $*" >&2; exit 1; }

# Vite needs it; Debian 12 has an older one.
use_node() {
  command -v npm >/dev/null || fail "no \`npm\`; run scripts/setup.sh test"
  local found
  found=$(node --version 2>/dev/null) || found=v0
  ! printf '%s\n' "$pinned" "${found#v}" | sort --version-sort --check=quiet || return 0
  local machine package
  case $(uname -s)-$(uname -m) in
    Linux-x86_64) machine=linux-x64 ;;
    Linux-aarch64) machine=linux-arm64 ;;
    *) fail "Node $found is too old, the console needs $pinned or newer" ;;
  esac
  package=$root/target/node-$pinned
  [ -x "$package/node_modules/node-$machine/bin/node" ] ||
    npm install --prefix "$package" --no-save --no-audit --no-fund --loglevel=error "node-$machine@$pinned" >&2 ||
    fail "could not fetch Node $pinned from npm"
  PATH=$package/node_modules/node-$machine/bin:$PATH
}

# Installs what the lock file says, once per lock file.
packages() {
  local mark=$ui/node_modules/.complete
  [ "$mark" -nt "$ui/package-lock.json" ] || {
    (cd "$ui" && npm ci --no-audit --no-fund --loglevel=error >&2) || fail "npm could not install the packages of ui/package-lock.json"
    touch "$mark"
  }
}

build() (   # FOLDER
  cd "$ui"
  npx --no-install tsc --noEmit
  npx --no-install vite build --logLevel warn --emptyOutDir --outDir "$1"
)

what=${1:-}
[[ $what =~ ^(build|check|test)$ && $# = 1 ]] || { echo "usage: scripts/console.sh build|check|test" >&2; exit 2; }
use_node
packages
case $what in
  build) build "$ui/dist" ;;
  check)
    made=$(mktemp -d)
    trap 'rm -rf "$made"' EXIT
    build "$made"
    diff -rq "$made" "$ui/dist" ||
      fail "ui/dist is not what ui/src says: run \`make console\` and commit ui/dist"
    echo "console: ui/dist is what ui/src says"
    ;;
  test)
    TIDEWATCH_BIN=${TIDEWATCH_BIN:-$root/target/debug/tidewatch}
    [ -x "$TIDEWATCH_BIN" ] || fail "no program at $TIDEWATCH_BIN; \`cargo build\` makes it"
    export TIDEWATCH_BIN CHROMIUM=${CHROMIUM:-/usr/bin/chromium}
    [ -x "$CHROMIUM" ] || fail "no Chromium at $CHROMIUM; run scripts/setup.sh test"
    cd "$ui"
    npx --no-install playwright test
    ;;
esac
