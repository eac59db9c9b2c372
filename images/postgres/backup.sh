#!/bin/bash
# Has the primary back itself up: `backup full`, or `backup diff` for what has changed since the last full one.
#
#   PGHOST, PGUSER, PGPASSWORD  lead to the primary, as a superuser
#
# pgBackRest reads the data folder, so it runs beside it, as a program of the server; here is only who asks for it.
set -euo pipefail

until pg_isready --quiet; do
  ((SECONDS < 600)) || { echo "$PGHOST does not answer" >&2; exit 1; }
  sleep 1
done
# A backup may be silent for long: without a sign of life the network may forget the connection.
exec psql "dbname=postgres keepalives_idle=60" --no-psqlrc --quiet --no-align --tuples-only \
  --set=ON_ERROR_STOP=1 --set=kind="${1:?full or diff}" <<'SQL'
\set program 'exec 2>&1; pgbackrest stanza-create && pgbackrest backup --type=' :kind '; echo $?'
create temporary table said (number integer generated always as identity, line text);
copy said (line) from program :'program' (format csv, delimiter e'\x1f', quote e'\x1e');
select line from said where number < (select max(number) from said) order by number;
do $$
begin
  if (select line from said order by number desc limit 1) <> '0' then
    raise 'the backup has failed';
  end if;
end $$;
SQL
