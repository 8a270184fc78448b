#!/usr/bin/env bash
# A real Apache Kafka broker on loopback for tests and benches.   scripts/kafka.sh install|start|stop|kill|status
#
# One node in KRaft mode, from Maven Central jars; needs Java 17, Maven and openssl (scripts/setup.sh test).
# KAFKA_HOME   data, certificates and logs (default target/kafka); jars are shared in target/kafka-jars
# KAFKA_PORT   first of seven ports: +0 plain, +1 controller, +2 TLS with SCRAM or PLAIN, +3 TLS with client
#              certificate, +4 plain with SCRAM or PLAIN, +5 plain that sends clients on to +6, for a proxy there
#              that is not ours (default 19092)
# The user is `engine` with the password `engine-secret`.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
jars=$root/target/kafka-jars
home=${KAFKA_HOME:-$root/target/kafka}
port=${KAFKA_PORT:-19092}
version=4.4.0
log4j=2.25.5
mkdir -p "$home" "$jars"
home=$(cd "$home" && pwd)

fail() { echo "kafka: $*" >&2; exit 1; }
jvm() { java -Xmx512m -XX:TieredStopAtLevel=1 -Dlog4j2.configurationFile="$home/log4j2.properties" -cp "$jars/*" "$@"; }

# --- install: the jars, once for all brokers of this clone ---

pom() {
  cat <<POM
<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>
  <groupId>local</groupId><artifactId>kafka</artifactId><version>1</version><packaging>pom</packaging>
  <dependencies>
    <dependency><groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId><version>$version</version></dependency>
    <dependency><groupId>org.apache.logging.log4j</groupId><artifactId>log4j-slf4j-impl</artifactId><version>$log4j</version></dependency>
  </dependencies>
</project>
POM
}
install() (
  exec 9>"$jars/.lock"
  flock 9
  [ ! -e "$jars/.complete-$version" ] || exit 0
  for tool in java mvn openssl; do
    command -v "$tool" >/dev/null || fail "no \`$tool\`; run scripts/setup.sh test"
  done
  pom >"$jars/pom.xml"
  mvn -q -B -ntp -f "$jars/pom.xml" org.apache.maven.plugins:maven-dependency-plugin:3.7.1:copy-dependencies \
    -DincludeScope=runtime -DoutputDirectory="$jars" >"$jars/install.log" 2>&1 \
    || { cat "$jars/install.log" >&2; fail "could not fetch Kafka $version from Maven Central"; }
  touch "$jars/.complete-$version"
)

# --- certificates: an authority with a broker and a client, and a stranger's authority ---

signed() {   # NAME AUTHORITY
  openssl req -newkey rsa:2048 -nodes -keyout "$1.key" -out "$1.csr" -subj "/CN=$1" 2>/dev/null
  openssl x509 -req -in "$1.csr" -CA "$2.pem" -CAkey "$2.key" -CAcreateserial -days 3650 -out "$1.pem" \
    -extfile <(echo 'subjectAltName=DNS:localhost,IP:127.0.0.1') 2>/dev/null
}
certificates() (
  [ ! -s "$home/tls/broker.p12" ] || exit 0
  mkdir -p "$home/tls"
  cd "$home/tls"
  for authority in ca stranger-ca; do
    openssl req -x509 -newkey rsa:2048 -nodes -keyout $authority.key -out $authority.pem -days 3650 \
      -subj "/CN=$authority" 2>/dev/null
  done
  signed broker ca
  signed client ca
  openssl pkcs12 -export -in broker.pem -inkey broker.key -certfile ca.pem -name broker -out broker.p12 \
    -passout pass:changeit
)

# --- configuration ---

properties() {
  cat <<PROPERTIES
process.roles=broker,controller
node.id=1
log.dirs=$home/data
controller.quorum.voters=1@127.0.0.1:$((port + 1))
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAIN
listeners=PLAIN://127.0.0.1:$port,CONTROLLER://127.0.0.1:$((port + 1)),SCRAMTLS://127.0.0.1:$((port + 2)),MUTUAL://127.0.0.1:$((port + 3)),SCRAM://127.0.0.1:$((port + 4)),PROXIED://127.0.0.1:$((port + 5))
advertised.listeners=PLAIN://127.0.0.1:$port,SCRAMTLS://127.0.0.1:$((port + 2)),MUTUAL://127.0.0.1:$((port + 3)),SCRAM://127.0.0.1:$((port + 4)),PROXIED://127.0.0.1:$((port + 6))
listener.security.protocol.map=PLAIN:PLAINTEXT,CONTROLLER:PLAINTEXT,SCRAMTLS:SASL_SSL,MUTUAL:SSL,SCRAM:SASL_PLAINTEXT,PROXIED:PLAINTEXT
sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256,SCRAM-SHA-512
ssl.keystore.type=PKCS12
ssl.keystore.location=$home/tls/broker.p12
ssl.keystore.password=changeit
ssl.key.password=changeit
ssl.truststore.type=PEM
ssl.truststore.location=$home/tls/ca.pem
listener.name.mutual.ssl.client.auth=required
auto.create.topics.enable=false
offsets.topic.replication.factor=1
offsets.topic.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=1
group.initial.rebalance.delay.ms=0
broker.session.timeout.ms=2000
broker.heartbeat.interval.ms=500
log.retention.ms=-1
log.cleaner.dedupe.buffer.size=2097152
message.max.bytes=10485760
PROPERTIES
  local listener bits plain scram
  plain='org.apache.kafka.common.security.plain.PlainLoginModule required user_engine="engine-secret";'
  scram='org.apache.kafka.common.security.scram.ScramLoginModule required;'
  for listener in scramtls scram; do
    echo "listener.name.$listener.plain.sasl.jaas.config=$plain"
    for bits in 256 512; do echo "listener.name.$listener.scram-sha-$bits.sasl.jaas.config=$scram"; done
  done
}
format() {
  printf '%s\n' 'rootLogger.level=WARN' 'rootLogger.appenderRef.o.ref=O' 'logger.s.name=kafka.server.KafkaRaftServer' \
    'logger.s.level=INFO' 'appender.o.type=Console' 'appender.o.name=O' 'appender.o.layout.type=PatternLayout' \
    'appender.o.layout.pattern=[%d] %p %m (%c)%n' >"$home/log4j2.properties"
  properties >"$home/server.properties"
  [ ! -f "$home/data/meta.properties" ] || return 0
  local cluster
  cluster=$(openssl rand -hex 8 | base64 | tr -d '=\n' | cut -c1-22)
  jvm kafka.tools.StorageTool format -t "$cluster" -c "$home/server.properties" \
    --add-scram 'SCRAM-SHA-256=[name=engine,password=engine-secret]' \
    --add-scram 'SCRAM-SHA-512=[name=engine,password=engine-secret]' >"$home/format.log" 2>&1 \
    || { cat "$home/format.log" >&2; fail "could not format $home/data"; }
}

# --- the process ---

pid() {
  local found
  found=$(cat "$home/pid" 2>/dev/null) || return 1
  tr '\0' ' ' <"/proc/$found/cmdline" 2>/dev/null | grep -qF "$home/server.properties" && echo "$found"
}
launch() (   # nothing of the caller's stays open in the server: a lock or a pipe would be held for ever
  for fd in /proc/"$BASHPID"/fd/*; do
    fd=${fd##*/}
    [[ $fd =~ ^(0|1|2|255)$ ]] || eval "exec $fd>&-"
  done
  cd "$home"
  setsid java -Xmx512m -XX:TieredStopAtLevel=1 -Dlog4j2.configurationFile="$home/log4j2.properties" \
    -cp "$jars/*" kafka.Kafka "$home/server.properties" >"$home/kafka.log" 2>&1 </dev/null &
  echo $! >"$home/pid"
)
start() {
  install
  certificates
  format
  pid >/dev/null || launch
  for _ in $(seq 1 1200); do
    if grep -q 'Kafka Server started' "$home/kafka.log" 2>/dev/null && (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then
      return 0
    fi
    pid >/dev/null || { sleep 0.3; pid >/dev/null || break; }
    sleep 0.05
  done
  tail -n 20 "$home/kafka.log" >&2
  fail "the broker did not start; its log is $home/kafka.log"
}
end() {   # SIGNAL
  local process
  process=$(pid) || return 0
  kill "-$1" "$process"
  while kill -0 "$process" 2>/dev/null && ! grep -q '^State:.*Z' "/proc/$process/status" 2>/dev/null; do sleep 0.05; done
  rm -f "$home/pid"
}

case ${1:-} in
  install) install ;;
  start)   start; echo "127.0.0.1:$port" ;;
  stop)    end TERM ;;
  kill)    end KILL ;;
  status)  if process=$(pid); then echo "runs with pid $process on 127.0.0.1:$port"; else echo "down"; exit 1; fi ;;
  *)       sed -n '2,10p' "${BASH_SOURCE[0]}" | cut -c3-; exit 2 ;;
esac
