#!/bin/bash
# Makes the database where there is none, then becomes Postgres with the given arguments.
#
#   PGDATA             its folder, below the volume: the volume's own root may hold other things
#   POSTGRES_USER      the superuser that is made
#   POSTGRES_PASSWORD  and its password
#   POSTGRES_DB        the database that is made
#
# A database that is there is used as it is, whatever these variables say.
set -euo pipefail

initialise() {
  : "${POSTGRES_USER:?is not set: the database needs its superuser}"
  : "${POSTGRES_PASSWORD:?is not set: the superuser needs a password}"
  : "${POSTGRES_DB:?is not set: the database needs a name}"
  # Made aside and renamed when complete: what an interrupted start has left is no database.
  local making="$PGDATA.making"
  rm -rf "$making"
  printf '%s\n' "$POSTGRES_PASSWORD" | initdb --pgdata="$making" --username="$POSTGRES_USER" --pwfile=/dev/stdin \
    --auth=scram-sha-256 --data-checksums --encoding=UTF8 --locale=C.UTF-8 \
    --locale-provider=builtin --builtin-locale=C.UTF-8
  if [[ $POSTGRES_DB != postgres ]]; then
    printf 'CREATE DATABASE "%s"\n' "${POSTGRES_DB//\"/\"\"}" | postgres --single -D "$making" postgres > /dev/null
  fi
  mv --no-target-directory "$making" "$PGDATA"
  sync "${PGDATA%/*}"
}

if [[ ! -e $PGDATA/PG_VERSION ]]; then
  if [[ -d $PGDATA ]] && ! rmdir "$PGDATA" 2>/dev/null; then
    echo "$PGDATA holds something that is no Postgres database: empty it, or set PGDATA to another folder" >&2
    exit 1
  fi
  initialise
fi
exec postgres -D "$PGDATA" "$@"
