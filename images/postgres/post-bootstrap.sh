#!/bin/bash
# Patroni calls it once, on the first primary, with the address of its database: makes ours.
set -euo pipefail
exec psql --dbname="$1" --set=ON_ERROR_STOP=1 --command='CREATE DATABASE iot'
