#!/usr/bin/env bash
# Real receivers of alerts on loopback, for tests.   scripts/receivers.sh install|start|stop sns|mail|alertmanager
#
#   sns           moto, which speaks SNS, SQS and IAM; from PyPI into target/moto
#   mail          Postfix and Dovecot with a queue, a configuration and certificates of their own; root only
#   alertmanager  the one of Debian
#
# RECEIVER_HOME   configuration, data and logs of one instance; `mail` needs a folder that everybody may enter
# RECEIVER_PORT   the first of its ports. sns, alertmanager: +0 HTTP. mail: +0 STARTTLS and AUTH, +1 TLS and AUTH,
#                 +2 plain, +3 IMAP, +4 where Postfix asks a policy server of the test about each recipient
# Mail for *@test.local lies in one mailbox; its users are `alerts` and `ops`, the password `s3cret`.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
command=${1:-} what=${2:-}
home=${RECEIVER_HOME:-$root/target/receivers/$what}
port=${RECEIVER_PORT:-15000}
moto=$root/target/moto

fail()      { echo "receivers: $*" >&2; exit 1; }
http_ok()   { curl -fsS -m 2 -o /dev/null "$@"; }
greets()    { local line; exec 3<>"/dev/tcp/127.0.0.1/$1"; IFS= read -r -t 2 line <&3; [[ $line == "$2"* ]]; }
running()   { kill -0 "$1" 2>/dev/null && ! grep -q '^State:.*Z' "/proc/$1/status" 2>/dev/null; }
needs()     { command -v "$1" >/dev/null || fail "no \`$1\`; run scripts/setup.sh test"; }

launch() (   # NAME COMMAND...: nothing of the caller's stays open in the server
  for fd in /proc/"$BASHPID"/fd/*; do
    fd=${fd##*/}
    [[ $fd =~ ^(0|1|2|255)$ ]] || eval "exec $fd>&-"
  done
  setsid "${@:2}" >"$home/$1.log" 2>&1 </dev/null &
  echo $! >"$home/$1.pid"
)
wait_for() {   # NAME CHECK...
  for _ in $(seq 1 600); do
    ! "${@:2}" >/dev/null 2>&1 || return 0
    [ ! -f "$home/$1.pid" ] || running "$(cat "$home/$1.pid")" || break
    sleep 0.05
  done
  tail -n 20 "$home"/*.log >&2 || true
  fail "$1 did not start; its log is in $home"
}
end() {   # NAME
  local process
  process=$(cat "$home/$1.pid" 2>/dev/null) || return 0
  kill "$process" 2>/dev/null || true
  for _ in $(seq 1 100); do running "$process" || break; sleep 0.05; done
  kill -9 "$process" 2>/dev/null || true
  rm -f "$home/$1.pid"
}

# --- sns ---

sns_install() { bash "$root/scripts/moto.sh" install; }
sns_start() {
  needs curl
  launch moto "$moto/bin/python" "$root/scripts/moto_server.py" "$port"
  wait_for moto http_ok "http://127.0.0.1:$port/moto-api/data.json"
}
sns_stop() { end moto; }

# --- alertmanager: sends what it groups to the hook of a test ---

alertmanager_install() { needs prometheus-alertmanager; needs amtool; }
alertmanager_start() {
  cat >"$home/alertmanager.yml" <<YML
route: {receiver: hook, group_by: [monitor], group_wait: 300ms, group_interval: 1s, repeat_interval: 1h}
receivers:
  - name: hook
    webhook_configs: [{url: 'http://127.0.0.1:$((port + 1))/', send_resolved: true}]
YML
  # No cluster address: it would listen on all interfaces.
  launch alertmanager prometheus-alertmanager --config.file="$home/alertmanager.yml" --storage.path="$home/data" \
    --web.listen-address="127.0.0.1:$port" --cluster.listen-address= --log.level=warn
  wait_for alertmanager http_ok "http://127.0.0.1:$port/-/ready"
}
alertmanager_stop() { end alertmanager; }

# --- mail ---

certificate() {   # an authority and a leaf: rustls refuses a leaf that is its own authority
  local certs=$home/certs
  mkdir -p "$certs"
  openssl req -x509 -newkey rsa:2048 -nodes -keyout "$certs/ca.key" -out "$certs/ca.pem" -days 30 -subj /CN=test-ca 2>/dev/null
  openssl req -newkey rsa:2048 -nodes -keyout "$certs/key.pem" -out "$certs/leaf.csr" -subj /CN=localhost 2>/dev/null
  openssl x509 -req -in "$certs/leaf.csr" -CA "$certs/ca.pem" -CAkey "$certs/ca.key" -CAcreateserial -days 30 \
    -out "$certs/cert.pem" -extfile <(echo 'subjectAltName=DNS:localhost,IP:127.0.0.1') 2>/dev/null
  chmod 600 "$certs/key.pem" "$certs/ca.key"
}
main_cf() {
  cat <<CF
compatibility_level = 3.6
queue_directory = $home/spool
data_directory = $home/data
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
mail_owner = postfix
setgid_group = postdrop
myhostname = mail.test.local
mydestination =
mynetworks =
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
maillog_file_prefixes = $home
maillog_file = $home/mail.log
import_environment = MAIL_CONFIG MAIL_DEBUG MAIL_LOGTAG TZ LANG=C POSTLOG_SERVICE POSTLOG_HOSTNAME
default_transport = error:this test server sends nothing out
relay_transport = error:this test server sends nothing out
local_transport = error:no local users
virtual_mailbox_domains = test.local
virtual_mailbox_base = $home/vmail
virtual_mailbox_maps = static:all/Maildir/
virtual_uid_maps = static:$(id -u nobody)
virtual_gid_maps = static:$(id -g nobody)
virtual_minimum_uid = 100
virtual_mailbox_limit = 0
message_size_limit = 1048576
smtpd_tls_cert_file = $home/certs/cert.pem
smtpd_tls_key_file = $home/certs/key.pem
smtpd_tls_auth_only = yes
smtpd_sasl_type = dovecot
smtpd_sasl_path = $home/dovecot/auth
smtpd_relay_restrictions = permit_sasl_authenticated, reject_unauth_destination
smtpd_recipient_restrictions = check_policy_service inet:127.0.0.1:$((port + 4))
smtpd_policy_service_default_action = DUNNO
smtpd_peername_lookup = no
smtpd_client_connection_count_limit = 0
CF
}
master_cf() {
  local auth='-o smtpd_sasl_auth_enable=yes -o smtpd_client_restrictions=permit_sasl_authenticated,reject'
  cat <<CF
127.0.0.1:$port       inet  n  -  n  -  -  smtpd -o smtpd_tls_security_level=encrypt $auth
127.0.0.1:$((port + 1)) inet  n  -  n  -  -  smtpd -o smtpd_tls_wrappermode=yes $auth
127.0.0.1:$((port + 2)) inet  n  -  n  -  -  smtpd
cleanup   unix  n  -  n  -  0  cleanup
qmgr      unix  n  -  n  300 1 qmgr
rewrite   unix  -  -  n  -  -  trivial-rewrite
bounce    unix  -  -  n  -  0  bounce
defer     unix  -  -  n  -  0  bounce
trace     unix  -  -  n  -  0  bounce
verify    unix  -  -  n  -  1  verify
flush     unix  n  -  n  1000? 0 flush
proxymap  unix  -  -  n  -  -  proxymap
error     unix  -  -  n  -  -  error
retry     unix  -  -  n  -  -  error
discard   unix  -  -  n  -  -  discard
virtual   unix  -  n  n  -  -  virtual
anvil     unix  -  -  n  -  1  anvil
scache    unix  -  -  n  -  1  scache
tlsmgr    unix  -  -  n  1000? 1 tlsmgr
showq     unix  n  -  n  -  -  showq
postlog   unix-dgram n - n - 1 postlogd
CF
}
dovecot_conf() {
  cat <<CF
base_dir = $home/dovecot/run
state_dir = $home/dovecot/state
log_path = $home/dovecot.log
protocols = imap
listen = 127.0.0.1
ssl = no
disable_plaintext_auth = no
auth_mechanisms = plain login
mail_location = maildir:$home/vmail/all/Maildir
first_valid_uid = 100
passdb {
  driver = passwd-file
  args = scheme=PLAIN $home/dovecot/users
}
userdb {
  driver = static
  args = uid=$(id -u nobody) gid=$(id -g nobody) home=$home/vmail
}
service auth {
  unix_listener $home/dovecot/auth {
    mode = 0660
    user = postfix
    group = postfix
  }
}
service imap-login {
  inet_listener imap {
    port = $((port + 3))
  }
  inet_listener imaps {
    port = 0
  }
}
CF
}
mail_install() {
  [ "$(id -u)" = 0 ] || fail "Postfix runs as several users and starts as root only: run the mail tests as root"
  needs postfix; needs dovecot; needs openssl
}
mail_start() {
  mkdir -p "$home"/{etc,spool,data,vmail/all,dovecot}
  chmod 755 "$home"
  runuser -u postfix -- test -x "$home" || fail "the user postfix cannot enter $home: choose another RECEIVER_HOME"
  certificate
  chown -R nobody "$home/vmail"
  chown postfix "$home/data"
  main_cf >"$home/etc/main.cf"
  master_cf >"$home/etc/master.cf"
  dovecot_conf >"$home/dovecot/dovecot.conf"
  printf 'alerts:{PLAIN}s3cret\nops:{PLAIN}s3cret\n' >"$home/dovecot/users"
  # Both daemons would keep the caller's pipes open.
  dovecot -c "$home/dovecot/dovecot.conf" >"$home/dovecot-start.log" 2>&1 </dev/null || fail "$(cat "$home"/dovecot*.log)"
  postfix -c "$home/etc" start >"$home/postfix-start.log" 2>&1 </dev/null || fail "$(cat "$home"/postfix*.log "$home/mail.log")"
  wait_for mail mail_ready
}
mail_ready() { greets "$((port + 2))" 220 && greets "$((port + 3))" '* OK' && (exec 3<>"/dev/tcp/127.0.0.1/$port"); }
mail_stop() {
  [ ! -d "$home/etc" ] || postfix -c "$home/etc" abort >/dev/null 2>&1 || true
  local process
  process=$(cat "$home/dovecot/run/master.pid" 2>/dev/null) || return 0
  kill "$process" 2>/dev/null || true
  for _ in $(seq 1 100); do running "$process" || break; sleep 0.05; done
}

case $command-$what in
  install-sns | install-mail | install-alertmanager) "${what}_install" ;;
  start-sns | start-mail | start-alertmanager)
    "${what}_install"
    mkdir -p "$home"
    home=$(cd "$home" && pwd)
    "${what}_start" ;;
  stop-sns | stop-mail | stop-alertmanager) "${what}_stop" ;;
  *) sed -n '2,13p' "${BASH_SOURCE[0]}" | cut -c3-; exit 2 ;;
esac
