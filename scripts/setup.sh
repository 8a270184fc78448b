#!/usr/bin/env bash
# Makes sure that this machine has what a recipe of the Makefile needs.   scripts/setup.sh demo|check|test|bench
#
#   demo    a Rust toolchain, and what builds the C parts of the dependencies
#   check   the same, what the Kafka client is built from, and rustfmt and clippy
#   test    the same, and the servers and tools that the tests start (Postfix among them starts as root only)
#   bench   the same as check, and what runs Kafka and the engines it is compared with
#
# Installs missing Debian packages when run as root, one line each with the reason. Anywhere else it names
# what is missing and exits 1. Run again it changes nothing, and it never starts a service.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

say()  { echo "setup: $*"; }
fail() { echo "setup: $*" >&2; exit 1; }
has()  { command -v "$1" >/dev/null 2>&1; }

# --- Rust: installed by rustup in the user's home, never by this script ---

own_cargo=~/.cargo
cargo_bin=${CARGO_HOME:-$own_cargo}/bin
has cargo || { [ -x "$cargo_bin/cargo" ] && PATH=$cargo_bin:$PATH; } || true

require_rust() {
  has cargo || fail "no Rust toolchain found: there is no \`cargo\` on the PATH nor in $cargo_bin
  Install one with rustup, which needs no root, and run this again in a new shell:
      curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh
  (if curl is missing: apt-get install curl ca-certificates)"
  local wanted found
  wanted=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)
  found=$(rustc --version | cut -d' ' -f2) || found=
  [ -n "$found" ] || fail "cargo is here but \`rustc --version\` fails; with rustup: rustup default stable"
  printf '%s\n' "$wanted" "${found%%-*}" | sort --version-sort --check=quiet \
    || fail "Rust $found is too old, Tidewatch needs $wanted or newer; with rustup: rustup update stable"
}

require_component() {   # COMPONENT SUBCOMMAND WHY
  ! cargo "$2" --version >/dev/null 2>&1 || return 0
  has rustup || fail "missing \`cargo $2\` ($3), and no rustup that could add it
  Install your toolchain's package of $1, or install Rust with rustup (https://rustup.rs)."
  say "adding the Rust component $1: $3"
  rustup component add "$1" || fail "rustup could not add $1; try: rustup component add $1"
}

# --- Debian packages ---

missing=() reasons=()
need() {   # PACKAGE WHY CHECK...: PACKAGE is missing unless CHECK succeeds
  local package=$1 why=$2
  shift 2
  "$@" >/dev/null 2>&1 || { missing+=("$package"); reasons+=("$why"); }
}
has_c_headers()   { [ -e /usr/include/stdlib.h ] || echo '#include <stdlib.h>' | cc -E -; }
has_certificates() {
  local file
  for file in "${SSL_CERT_FILE:-}" /etc/ssl/certs/ca-certificates.crt /etc/pki/tls/certs/ca-bundle.crt /etc/ssl/cert.pem; do
    [ ! -s "$file" ] || return 0
  done
  return 1
}
has_prometheus()  { has prometheus && has promtool; }
has_alertmanager() { has prometheus-alertmanager && has amtool; }
has_imap()        { [ -x /usr/lib/dovecot/imap ]; }

need_for_builds() {
  need gcc             "compiles SQLite, Zstandard and the TLS library, which are built from source, and links" has cc
  need libc6-dev       "the C library's headers for that compiler" has_c_headers
  need make            "runs the recipes of the Makefile" has make
  need ca-certificates "lets cargo trust the crate registry, and webhooks their receivers" has_certificates
}
need_for_all_features() {
  need pkg-config      "tells build scripts where system libraries are" has pkg-config
  need g++             "builds librdkafka, the Kafka client" has g++
  need libssl-dev      "TLS for the Kafka client" pkg-config --exists openssl
  need zlib1g-dev      "gzip for the Kafka client" pkg-config --exists zlib
}
need_for_tests() {
  need openjdk-17-jre-headless "runs the Apache Kafka broker and the schema registry of the tests" has java
  need maven           "fetches both from Maven Central" has mvn
  need openssl         "makes certificates for that broker's listeners" has openssl
  need nodejs          "runs the Kinesis emulators of the tests" has node
  need npm             "fetches those emulators, and what the web console is built from, from npm" has npm
  need chromium        "the tests look at the web console in it" has chromium
  need curl            "the tests talk to the HTTP API with a client that is not ours" has curl
  need prometheus      "the tests let a real Prometheus scrape /metrics, and promtool check it" has_prometheus
  need prometheus-alertmanager "the tests send it alerts, and read them back with amtool" has_alertmanager
  need python3         "runs the small servers and clients of the tests, and moto, which plays Amazon's SNS, SQS and S3" has python3
  need python3-venv    "the place that moto is installed into" python3 -c 'import ensurepip'
  need postfix         "the tests send mail through it" has postfix
  need dovecot-imapd   "checks the passwords of that mail server, and the tests read the mail by IMAP" has_imap
}

need_for_benches() {
  need openjdk-17-jdk-headless "compiles and runs the engines of benches/peers, and the Kafka broker" has javac
  need maven           "fetches them from Maven Central" has mvn
  need openssl         "makes certificates for the broker's listeners" has openssl
  need python3         "runs the Python analyst's way beside a backtest" has python3
  need python3-venv    "the place that pandas and statsmodels are installed into" python3 -c 'import ensurepip'
}

list_missing() { local i; for i in "${!missing[@]}"; do echo "  ${missing[i]}: ${reasons[i]}"; done; }

install_missing() {
  [ "${#missing[@]}" -gt 0 ] || return 0
  if [ "$(id -u)" != 0 ] || ! has apt-get; then
    fail "these Debian packages are missing:
$(list_missing)
  This needs root and apt. Install them (apt-get install ${missing[*]}) or what your system calls them, and run this again."
  fi
  say "installing with apt-get:"
  list_missing
  local log apt=(env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 apt-get -qq -o DPkg::Lock::Timeout=300 -o Acquire::Retries=3)
  log=$(mktemp)
  # RUNLEVEL=1 keeps init scripts from starting a service. systemd does not look at it, but leaves a masked unit alone.
  local package service
  for package in prometheus prometheus-alertmanager postfix dovecot-imapd; do
    service=${package%-imapd}
    if [[ " ${missing[*]} " == *" $package "* && -d /run/systemd/system ]]; then
      systemctl mask --quiet "$service.service"
      say "masked $service.service: the tests start one of their own (systemctl unmask $service takes it back)"
    fi
  done
  if ! { "${apt[@]}" update && "${apt[@]}" install -y --no-install-recommends "${missing[@]}"; } </dev/null >"$log" 2>&1; then
    tail -n 30 "$log" >&2
    fail "apt-get could not install ${missing[*]}; all it said is in $log"
  fi
  rm -f "$log"
}

what=${1:-}
[[ $what =~ ^(demo|check|test|bench)$ && $# = 1 ]] || { echo "usage: scripts/setup.sh demo|check|test|bench" >&2; exit 2; }

require_rust
need_for_builds
[ "$what" = demo ] || need_for_all_features
[ "$what" != test ] || need_for_tests
[ "$what" != bench ] || need_for_benches
install_missing
if [ "$what" != demo ]; then
  require_component rustfmt fmt "checks the format"
  require_component clippy clippy "the lints"
fi
if [ "$what" = test ]; then
  scripts/receivers.sh install sns
  [ "$(id -u)" = 0 ] || say "NOT root: Postfix cannot start, so the tests of tests/email.rs will fail; run \`make test\` as root for these"
fi
say "ready for \`$what\`"
