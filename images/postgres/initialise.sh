#!/bin/bash
# Makes the database where there is none: the entrypoint calls it, or Patroni on the first of several servers.
#
#   PGDATA                its folder, below the volume: the volume's own root may hold other things
#   POSTGRES_USER         the superuser that is made
#   POSTGRES_PASSWORD     and its password
#   POSTGRES_DB           the database that is made
#   REPLICATION_USER      the role by which other servers follow, and
#   REPLICATION_PASSWORD  its password; without them none is made
set -euo pipefail

: "${POSTGRES_USER:?is not set: the database needs its superuser}"
: "${POSTGRES_PASSWORD:?is not set: the superuser needs a password}"
: "${POSTGRES_DB:?is not set: the database needs a name}"

quoted() { printf '"%s"' "${1//\"/\"\"}"; }
statements() {
  if [[ $POSTGRES_DB != postgres ]]; then
    printf 'CREATE DATABASE %s\n' "$(quoted "$POSTGRES_DB")"
  fi
  if [[ ${REPLICATION_PASSWORD-} ]]; then
    printf "CREATE ROLE %s LOGIN REPLICATION PASSWORD '%s'\n" \
      "$(quoted "$REPLICATION_USER")" "${REPLICATION_PASSWORD//\'/\'\'}"
  fi
}

# Made aside and renamed when complete: what an interrupted start has left is no database.
making="$PGDATA.making"
trap 'rm -rf "$making"' EXIT
rm -rf "$making"
printf '%s\n' "$POSTGRES_PASSWORD" | initdb --pgdata="$making" --username="$POSTGRES_USER" --pwfile=/dev/stdin \
  --auth=scram-sha-256 --data-checksums --encoding=UTF8 --locale=C.UTF-8 \
  --locale-provider=builtin --builtin-locale=C.UTF-8
# A statement that fails must not stand in the log with its password.
statements | postgres --single -D "$making" -c exit_on_error=on -c log_min_error_statement=panic postgres > /dev/null
mv --no-target-directory "$making" "$PGDATA"
sync "${PGDATA%/*}"
