#!/bin/bash
# Makes the database in PGDATA where there is none (see `initialise`), then becomes Postgres with the given arguments.
#
# A database that is there is used as it is, whatever the variables say.
set -euo pipefail

if [[ ! -e $PGDATA/PG_VERSION ]]; then
  if [[ -d $PGDATA ]] && ! rmdir "$PGDATA" 2>/dev/null; then
    echo "$PGDATA holds something that is no Postgres database: empty it, or set PGDATA to another folder" >&2
    exit 1
  fi
  /usr/local/bin/initialise
fi
exec postgres -D "$PGDATA" "$@"
