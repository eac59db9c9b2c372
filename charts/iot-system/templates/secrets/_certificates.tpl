{{/*
Components that show a certificate, each with the names and addresses under which others reach it, as JSON:
{component: [host]}. Pods ask themselves under `localhost` and 127.0.0.1.
*/}}
{{- define "iot-system.certificates" -}}
{{- $api := concat .Values.api.hostNames (compact (list .Values.api.ingress.host .Values.api.httpRoute.host)) -}}
{{- range list "api-service" "mqtt-service" -}}
{{- $api = concat $api (include "iot-system.certificates.names" (list $ .) | fromJsonArray) -}}
{{- end -}}
{{- $nats := include "iot-system.certificates.names" (list $ "nats-service") | fromJsonArray -}}
{{- range $server := until (int .Values.nats.replicas) -}}
{{- range include "iot-system.certificates.names" (list $ "nats-headless") | fromJsonArray -}}
{{- $nats = append $nats (printf "%s-%d.%s" (include "common.name" (list $ "nats")) $server .) -}}
{{- end -}}
{{- end -}}
{{- $actors := include "iot-system.certificates.names" (list $ "actor-system-service") | fromJsonArray -}}
{{- $hosts := dict "api" $api "nats" $nats "actor-system" $actors -}}
{{- if include "common.ownDatabase" . -}}
{{- $postgres := include "iot-system.certificates.names" (list $ "database-service") | fromJsonArray -}}
{{- if eq .Values.global.database.mode "replicated" -}}
{{- range $server := until (int .Values.postgres.replicas) -}}
{{- range include "iot-system.certificates.names" (list $ "database-headless") | fromJsonArray -}}
{{- $postgres = append $postgres (printf "%s-%d.%s" (include "common.name" (list $ "postgres")) $server .) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- $_ := set $hosts "postgres" $postgres -}}
{{- end -}}
{{- range $component, $own := $hosts -}}
{{- $_ := set $hosts $component (concat $own (list "localhost" "127.0.0.1") | uniq) -}}
{{- end -}}
{{ $hosts | toJson }}
{{- end -}}

{{/*
The names of a Service, shortest first, as JSON.

  include "iot-system.certificates.names" (list $ "nats-service")
*/}}
{{- define "iot-system.certificates.names" -}}
{{- $name := include "common.name" . -}}
{{- $namespace := (index . 0).Release.Namespace -}}
{{ list $name (printf "%s.%s" $name $namespace) (printf "%s.%s.svc" $name $namespace) | toJson }}
{{- end -}}

{{/*
What the secrets job makes of it, as JSON; nothing where others make certificates, or nobody.
*/}}
{{- define "iot-system.certificates.generated" -}}
{{- if eq (include "common.tlsMode" .) "generated" -}}
{{- $signed := dict -}}
{{- range $component, $hosts := include "iot-system.certificates" . | fromJson -}}
{{- $_ := set $signed (include "common.tlsSecretName" (list $ $component)) (dict "name" $component "hosts" $hosts) -}}
{{- end -}}
{{ dict "authority" (include "common.name" (list $ "tls-ca")) "signed" $signed "separate" (list (include "common.tlsSecretName" (list $ "ray"))) | toJson }}
{{- end -}}
{{- end -}}
