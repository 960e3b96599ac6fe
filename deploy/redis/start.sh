#!/bin/sh
# Starts Redis with a password that stands in no command line: the configuration is read from standard input.
# Redis holds doorbells only. `noeviction` makes a full Redis refuse new ones instead of dropping old ones.
set -eu
case "${REDIS_PASSWORD:?set it in .env}" in
  *[!A-Za-z0-9]*) echo "REDIS_PASSWORD may hold letters and digits only" >&2; exit 2 ;;
esac

exec redis-server - <<CONFIG
bind * -::*
protected-mode yes
port 6379
dir ${REDIS_DIR:-/data}
requirepass $REDIS_PASSWORD
appendonly yes
appendfsync everysec
save ""
maxmemory 256mb
maxmemory-policy noeviction
rename-command FLUSHALL ""
rename-command FLUSHDB ""
rename-command CONFIG ""
CONFIG
