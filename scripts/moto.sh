#!/usr/bin/env bash
# Amazon's S3, SQS, SNS and IAM as one process on loopback, for tests.   scripts/moto.sh install|start|stop
#
# moto, from PyPI into target/moto; needs python3 with venv, and curl (scripts/setup.sh test).
# MOTO_HOME   log and pid (default target/moto-run)
# MOTO_PORT   where it listens (default 15000)
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
command=${1:-}
moto=$root/target/moto
home=${MOTO_HOME:-$root/target/moto-run}
port=${MOTO_PORT:-15000}
version=5.2.5

fail()    { echo "moto: $*" >&2; exit 1; }
needs()   { command -v "$1" >/dev/null || fail "no \`$1\`; run scripts/setup.sh test"; }
running() { kill -0 "$1" 2>/dev/null && ! grep -q '^State:.*Z' "/proc/$1/status" 2>/dev/null; }
answers() { curl -fsS -m 2 -o /dev/null "http://127.0.0.1:$port/moto-api/data.json"; }

install() (
  mkdir -p "$moto"
  exec 9>"$moto/.lock"
  flock 9
  [ ! -e "$moto/.complete-$version" ] || exit 0
  needs python3
  { python3 -m venv "$moto" && "$moto/bin/pip" install -q --disable-pip-version-check "moto[server]==$version" boto3==1.44.5; } \
    >"$moto/install.log" 2>&1 || { tail -n 20 "$moto/install.log" >&2; fail "could not install moto from PyPI"; }
  touch "$moto/.complete-$version"
)

start() {
  needs curl
  mkdir -p "$home"
  ! answers 2>/dev/null || fail "port $port is taken"
  setsid "$moto/bin/moto_server" -H 127.0.0.1 -p "$port" >"$home/moto.log" 2>&1 </dev/null &
  echo $! >"$home/moto.pid"
  for _ in $(seq 1 600); do
    ! answers 2>/dev/null || return 0
    running "$(cat "$home/moto.pid")" || break
    sleep 0.05
  done
  tail -n 20 "$home/moto.log" >&2
  fail "moto did not start"
}

stop() {
  local process
  process=$(cat "$home/moto.pid" 2>/dev/null) || return 0
  kill "$process" 2>/dev/null || true
  for _ in $(seq 1 100); do running "$process" || break; sleep 0.05; done
  kill -9 "$process" 2>/dev/null || true
  rm -f "$home/moto.pid"
}

case $command in
  install) install ;;
  start) install; start ;;
  stop) stop ;;
  *) sed -n '2,6p' "${BASH_SOURCE[0]}" | cut -c3-; exit 2 ;;
esac
