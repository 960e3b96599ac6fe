#!/bin/sh
# Starts Redis with the users of users.acl. No password stands in a command line or in a file: the configuration is read
# from standard input and holds hashes. With redis.crt, redis.key and ca.crt in REDIS_TLS_DIR it speaks TLS only.
# Redis holds doorbells only. `noeviction` makes a full Redis refuse new ones instead of dropping old ones.
set -eu
here=$(dirname "$0")

password_of() {
  case "$1" in
    scheduler) printf %s "${REDIS_SCHEDULER_PASSWORD:?set it in .env}" ;;
    worker) printf %s "${REDIS_WORKER_PASSWORD:?set it in .env}" ;;
    monitor) printf %s "${REDIS_MONITOR_PASSWORD:?set it in .env}" ;;
    *) echo "users.acl: user $1 has no password in the environment" >&2; exit 2 ;;
  esac
}

users=""
while read -r name rules; do
  case "$name" in ''|'#'*) continue ;; esac
  password=$(password_of "$name")
  hash=$(printf %s "$password" | sha256sum | cut -d ' ' -f 1)
  users="${users}user $name on #$hash resetchannels $rules
"
done < "$here/users.acl"

tls=${REDIS_TLS_DIR:-/tls}
if [ -f "$tls/redis.crt" ]; then
  listen="port 0
tls-port 6379
tls-cert-file $tls/redis.crt
tls-key-file $tls/redis.key
tls-ca-cert-file $tls/ca.crt
tls-auth-clients no
tls-protocols \"TLSv1.2 TLSv1.3\""
else
  listen="port 6379"
fi

exec redis-server - <<CONFIG
bind * -::*
protected-mode yes
$listen
dir ${REDIS_DIR:-/data}
user default off
$users
appendonly yes
appendfsync everysec
save ""
maxmemory 256mb
maxmemory-policy noeviction
CONFIG
