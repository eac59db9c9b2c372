#!/bin/bash
# Patroni calls it when a server has become something: a primary gives all servers the settings that the chart has for them.
# Patroni itself reads them only when the first database is made.
#
#   share-settings ACTION ROLE SCOPE
set -euo pipefail

[[ $2 == primary ]] || exit 0
config=/etc/postgresql/patroni.yml
read_shared='import json, sys, yaml; json.dump(yaml.safe_load(sys.stdin)["bootstrap"]["dcs"], sys.stdout)'
# Patroni hands on nothing of its own environment.
PATRONI_KUBERNETES_NAMESPACE=$(< /var/run/secrets/kubernetes.io/serviceaccount/namespace)
export PATRONI_KUBERNETES_NAMESPACE
shared=$(python3 -c "$read_shared" < "$config")
until patronictl --config-file "$config" edit-config --force --apply - <<< "$shared"; do
  # Somebody else has changed them at the same moment, or Kubernetes does not answer.
  ((SECONDS < 600)) || exit 1
  sleep 1
done
