#!/usr/bin/env bash
# Kinesis emulators on loopback for tests.   scripts/kinesis.sh install|start|stop NAME
#
# NAME         kinesis-local (the base: resharding, paging, fan-out) or kinesalite (fast, old)
# KINESIS_HOME data and logs (default target/kinesis); packages are shared in target/kinesis-npm
# KINESIS_PORT where it listens; kinesis-local takes the next port as well, for TLS (default 24567)
# Needs nodejs, npm and openssl (scripts/setup.sh test).
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
packages=$root/target/kinesis-npm
home=${KINESIS_HOME:-$root/target/kinesis}
port=${KINESIS_PORT:-24567}
pinned=(kinesis-local@0.6.2 kinesalite@3.3.3 aws-kinesis-agg@4.2.8)
mkdir -p "$home" "$packages"
home=$(cd "$home" && pwd)

fail() { echo "kinesis: $*" >&2; exit 1; }

install() (
  exec 9>"$packages/.lock"
  flock 9
  local mark=$packages/.complete-${pinned[*]//[^a-z0-9.]/-}
  mark=${mark// /_}
  [ ! -e "$mark" ] || exit 0
  for tool in node npm openssl; do
    command -v "$tool" >/dev/null || fail "no \`$tool\`; run scripts/setup.sh test"
  done
  cd "$packages"
  echo '{"private":true}' >package.json
  npm install --no-audit --no-fund --ignore-scripts --loglevel=error "${pinned[@]}" >install.log 2>&1 \
    || { cat install.log >&2; fail "could not fetch ${pinned[*]} from npm"; }
  touch "$mark"
)

# Both emulators listen on every interface and have no setting for it.
loopback() {
  cat <<'JS'
const { Server } = require('net');
const listen = Server.prototype.listen;
Server.prototype.listen = function (first, ...rest) {
  const place = first !== null && typeof first === 'object' ? first : { port: Number(first) };
  return listen.call(this, { ...place, host: '127.0.0.1' }, ...rest.filter((each) => typeof each === 'function'));
};
JS
}
certificate() {   # kinesis-local does not start without one; ca.pem is the authority behind it
  [ ! -s "$home/tls.json" ] || return 0
  openssl req -x509 -newkey rsa:2048 -nodes -keyout "$home/ca.key" -out "$home/ca.pem" -days 3650 -subj /CN=authority 2>/dev/null
  openssl req -newkey rsa:2048 -nodes -keyout "$home/key.pem" -out "$home/request.pem" -subj /CN=localhost 2>/dev/null
  openssl x509 -req -in "$home/request.pem" -CA "$home/ca.pem" -CAkey "$home/ca.key" -CAcreateserial -days 3650 \
    -out "$home/cert.pem" -extfile <(echo 'subjectAltName=DNS:localhost,IP:127.0.0.1') 2>/dev/null
  node -e 'const f=require("fs"),d=process.argv[1]+"/";
    f.writeFileSync(d+"tls.json",JSON.stringify({server:{key:""+f.readFileSync(d+"key.pem"),cert:""+f.readFileSync(d+"cert.pem")}}))' "$home"
}
pid() {
  local found
  found=$(cat "$home/pid" 2>/dev/null) || return 1
  tr '\0' ' ' <"/proc/$found/cmdline" 2>/dev/null | grep -qF "$home/loopback.cjs" && echo "$found"
}
launch() (   # nothing of the caller's stays open in the server: a lock or a pipe would be held for ever
  for fd in /proc/"$BASHPID"/fd/*; do
    fd=${fd##*/}
    [[ $fd =~ ^(0|1|2|255)$ ]] || eval "exec $fd>&-"
  done
  cd "$home"
  setsid node -r "$home/loopback.cjs" "$@" >"$home/log" 2>&1 </dev/null &
  echo $! >"$home/pid"
)
answers() { curl -s -o /dev/null -m 2 "http://127.0.0.1:$port/${1:-}"; }
start() {
  install
  loopback >"$home/loopback.cjs"
  case $1 in
    kinesis-local)
      certificate
      export KINESIS_MOCK_CERT_PATH=$home/tls.json KINESIS_MOCK_PLAIN_PORT=$port KINESIS_MOCK_TLS_PORT=$((port + 1)) \
        LOG_LEVEL=ERROR SHARD_LIMIT=200 CREATE_STREAM_DURATION=50ms DELETE_STREAM_DURATION=50ms SPLIT_SHARD_DURATION=50ms \
        MERGE_SHARDS_DURATION=50ms UPDATE_SHARD_COUNT_DURATION=50ms REGISTER_STREAM_CONSUMER_DURATION=50ms
      pid >/dev/null || launch "$packages/node_modules/kinesis-local/main.js" ;;
    kinesalite)
      pid >/dev/null || launch "$packages/node_modules/kinesalite/cli.js" --port "$port" --shardLimit 200 \
        --createStreamMs 50 --deleteStreamMs 50 --updateStreamMs 50 ;;
    *) fail "unknown emulator \`$1\`" ;;
  esac
  for _ in $(seq 1 1200); do
    ! answers healthcheck || return 0
    pid >/dev/null || { sleep 0.3; pid >/dev/null || break; }
    sleep 0.05
  done
  tail -n 20 "$home/log" >&2
  fail "$1 did not start; its log is $home/log"
}
stop() {
  local process
  process=$(pid) || return 0
  kill -KILL "$process"
  rm -f "$home/pid"
}

case ${1:-} in
  install) install ;;
  start)   start "${2:-kinesis-local}"; echo "127.0.0.1:$port" ;;
  stop)    stop ;;
  *)       sed -n '2,7p' "${BASH_SOURCE[0]}" | cut -c3-; exit 2 ;;
esac
