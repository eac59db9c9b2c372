{{/*
The one list of Kubernetes names. An installation owns its namespace, so names carry no release prefix;
`global.namePrefix` goes before each of them where two releases share a namespace.

  include "common.name" (list $ "api-service")
*/}}
{{- define "common.name" -}}
{{- $root := index . 0 -}}
{{- $name := index . 1 -}}
{{- $names := list
      "api" "api-config" "api-jwks" "api-revoked" "api-service" "mqtt-service" "api-credentials"
      "actor-system" "actor-system-config" "actor-system-behaviours" "actor-system-service"
      "ray-head" "ray-credentials"
      "nats" "nats-config" "nats-service" "nats-headless" "nats-credentials"
      "nats-api-credentials" "nats-actor-system-credentials"
      "postgres" "postgres-config" "database" "database-service" "database-headless" "database-credentials"
      "backup" "backup-full" "backup-diff" "backup-repository"
      "api-tls" "actor-system-tls" "nats-tls" "postgres-tls" "ray-ca" "tls-ca" "tls-self-signed"
      "secrets" "secrets-renewal" "migrate" "streams" "sample" "check" "default-deny" -}}
{{- if not (has $name $names) }}{{ fail (printf "%s is not a name of this chart: add it to common/_names.tpl" $name) }}{{ end -}}
{{- printf "%s%s" $root.Values.global.namePrefix $name -}}
{{- end -}}

{{/*
The secret of one part (database, api, nats, natsApi, natsActorSystem, ray): the one given as global.<part>.existingSecret, or the one that the
secrets job makes.

  include "common.secretName" (list $ "database")
*/}}
{{- define "common.secretName" -}}
{{- $root := index . 0 -}}
{{- $part := index . 1 -}}
{{- $given := (index $root.Values.global $part).existingSecret -}}
{{- $given | default (include "common.name" (list $root (printf "%s-credentials" (kebabcase $part)))) -}}
{{- end -}}
