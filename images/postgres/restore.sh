#!/bin/bash
# Brings the database back from its backups where there is none. Patroni calls it in place of initdb.
#
#   PGDATA             where it goes
#   RESTORE_TARGET     the moment, as `2026-11-26 10:00:00+00`; empty: as far as the archive goes
#   POSTGRES_USER      the superuser, whose password becomes POSTGRES_PASSWORD: the installation's own, not that of the
#   POSTGRES_PASSWORD  backup; without them it stays
#   REPLICATION_USER      the role by which other servers follow, which is made where the backup has none, and
#   REPLICATION_PASSWORD  its password
#
# Nothing is written to the repository: whose database was backed up may still run.
set -euo pipefail

if [[ -e $PGDATA/PG_VERSION ]]; then
  echo "a database is there: nothing is restored"
  exit
fi
# Made aside and renamed when complete, as a new one is.
making="$PGDATA.making"
trap 'rm -rf "$making"' EXIT
rm -rf "$making"
mkdir --mode=0700 "$making"
target=()
if [[ ${RESTORE_TARGET-} ]]; then
  target=(--type=time --target="$RESTORE_TARGET" --target-action=promote)
fi
pgbackrest --pg1-path="$making" "${target[@]}" restore

# Lets nobody in before it has come to the target; ends with an error where the archive does not go so far.
postgres -D "$making" -c config_file=/etc/postgresql/postgresql.conf -c listen_addresses= -c ssl=off \
  -c hot_standby=off -c archive_mode=off &
until pg_isready --quiet --username="$PGBACKREST_PG1_USER"; do
  kill -0 $! 2> /dev/null || wait $!
  sleep 1
done
if [[ ${POSTGRES_USER-} ]]; then
  psql --dbname=postgres --username="$POSTGRES_USER" --no-psqlrc --quiet --set=ON_ERROR_STOP=1 <<'SQL'
\getenv name POSTGRES_USER
\getenv password POSTGRES_PASSWORD
-- The server's log must not have it.
set log_min_duration_statement = -1;
set log_min_error_statement = panic;
alter role :"name" password :'password';
\getenv follower REPLICATION_USER
\if :{?follower}
\getenv password REPLICATION_PASSWORD
select format('create role %I', :'follower') where not exists (select from pg_roles where rolname = :'follower') \gexec
alter role :"follower" login replication password :'password';
\endif
SQL
fi
kill -INT $!
wait $!

# What has led here must not lead a replica that is made of it.
sed --in-place '/^\(restore_command\|recovery_target[a-z_]*\) /d' "$making/postgresql.auto.conf"
# The new timeline's origin was not archived, since nothing was: it is, as soon as something is.
for history in "$making"/pg_wal/*.history; do
  if [[ -e $history ]]; then touch "$making/pg_wal/archive_status/${history##*/}.ready"; fi
done
rmdir "$PGDATA" 2> /dev/null || true
mv --no-target-directory "$making" "$PGDATA"
sync "${PGDATA%/*}"
