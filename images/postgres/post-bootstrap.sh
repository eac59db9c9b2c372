#!/bin/bash
# Patroni calls it once, on the first primary, with the address of its database: makes ours, which a restored one has.
set -euo pipefail
exec psql --dbname="$1" --no-psqlrc --quiet --set=ON_ERROR_STOP=1 <<'SQL'
select 'CREATE DATABASE iot' where not exists (select from pg_database where datname = 'iot') \gexec
SQL
