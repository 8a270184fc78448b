#!/usr/bin/env bash
# A real schema registry on loopback for tests: Apicurio, with the API of Confluent's.
#   scripts/registry.sh install|start|stop|status
#
# From Maven Central (142 MB, 310 MB on disk); needs Java 17 and Maven (scripts/setup.sh test).
# REGISTRY_HOME   its log (default target/registry); the program is shared in target/registry-app
# REGISTRY_PORT   default 19081; the address is http://127.0.0.1:PORT/apis/ccompat/v7
# Schemas are kept in memory: it forgets them when it ends.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
app=$root/target/registry-app
home=${REGISTRY_HOME:-$root/target/registry}
port=${REGISTRY_PORT:-19081}
version=2.6.13.Final
jar=apicurio-registry-app-$version-runner.jar
url=http://127.0.0.1:$port/apis/ccompat/v7
mkdir -p "$home" "$app"
home=$(cd "$home" && pwd)

fail() { echo "registry: $*" >&2; exit 1; }

install() (
  exec 9>"$app/.lock"
  flock 9
  [ ! -e "$app/.complete-$version" ] || exit 0
  for tool in java mvn curl; do
    command -v "$tool" >/dev/null || fail "no \`$tool\`; run scripts/setup.sh test"
  done
  archive=$app/apicurio-registry-app-$version-all.tar.gz
  mvn -q -B -ntp org.apache.maven.plugins:maven-dependency-plugin:3.7.1:copy \
    -Dartifact="io.apicurio:apicurio-registry-app:$version:tar.gz:all" -DoutputDirectory="$app" >"$app/install.log" 2>&1 \
    || { cat "$app/install.log" >&2; fail "could not fetch Apicurio $version from Maven Central"; }
  tar xzf "$archive" -C "$app"
  rm -f "$archive"
  touch "$app/.complete-$version"
)
pid() {
  local found
  found=$(cat "$home/pid" 2>/dev/null) || return 1
  tr '\0' ' ' <"/proc/$found/cmdline" 2>/dev/null | grep -qF -- "-Dregistry.home=$home " && echo "$found"
}
launch() (   # nothing of the caller's stays open in the server: a lock or a pipe would be held for ever
  for fd in /proc/"$BASHPID"/fd/*; do
    fd=${fd##*/}
    [[ $fd =~ ^(0|1|2|255)$ ]] || eval "exec $fd>&-"
  done
  cd "$app"
  setsid java -Xmx256m -XX:TieredStopAtLevel=1 "-Dregistry.home=$home" -Dquarkus.http.host=127.0.0.1 \
    -Dquarkus.http.port="$port" -jar "$jar" >"$home/registry.log" 2>&1 </dev/null &
  echo $! >"$home/pid"
)
start() {
  install
  pid >/dev/null || launch
  for _ in $(seq 1 600); do
    ! curl -fs "$url/subjects" >/dev/null 2>&1 || return 0
    pid >/dev/null || { sleep 0.3; pid >/dev/null || break; }
    sleep 0.1
  done
  tail -n 20 "$home/registry.log" >&2
  fail "the registry did not start; its log is $home/registry.log"
}
stop() {
  local process
  process=$(pid) || return 0
  kill "$process"
  while kill -0 "$process" 2>/dev/null && ! grep -q '^State:.*Z' "/proc/$process/status" 2>/dev/null; do sleep 0.05; done
  rm -f "$home/pid"
}

case ${1:-} in
  install) install ;;
  start)   start; echo "$url" ;;
  stop)    stop ;;
  status)  if process=$(pid); then echo "runs with pid $process, $url"; else echo "down"; exit 1; fi ;;
  *)       sed -n '2,8p' "${BASH_SOURCE[0]}" | cut -c3-; exit 2 ;;
esac
