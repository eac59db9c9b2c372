{{/*
Components that show a certificate, each with the names and addresses under which others reach it, as JSON:
{component: [host]}. Pods ask themselves under `localhost` and 127.0.0.1.
*/}}
{{- define "iot-system.certificates" -}}
{{- $outside := concat .Values.api.hostNames (compact (list .Values.api.ingress.host .Values.api.httpRoute.host)) -}}
{{- $api := include "iot-system.certificates.services" (list $ "api-service" "mqtt-service") | fromJsonArray -}}
{{- $actors := include "iot-system.certificates.services" (list $ "actor-system-service") | fromJsonArray -}}
{{- $hosts := dict "api" (concat $outside $api) "actor-system" $actors -}}
{{- if include "common.ownNats" . -}}
{{- $services := include "iot-system.certificates.services" (list $ "nats-service") | fromJsonArray -}}
{{- $pods := include "iot-system.certificates.pods" (list $ "nats" "nats-headless" .Values.nats.replicas) | fromJsonArray -}}
{{- $_ := set $hosts "nats" (concat $services $pods) -}}
{{- end -}}
{{- if include "common.ownDatabase" . -}}
{{- $services := include "iot-system.certificates.services" (list $ "database-service") | fromJsonArray -}}
{{- $servers := eq .Values.global.database.mode "replicated" | ternary .Values.postgres.replicas 0 -}}
{{- $pods := include "iot-system.certificates.pods" (list $ "postgres" "database-headless" $servers) | fromJsonArray -}}
{{- $_ := set $hosts "postgres" (concat $services $pods) -}}
{{- end -}}
{{- range $component, $own := $hosts -}}
{{- $_ := set $hosts $component (concat $own (list "localhost" "127.0.0.1") | uniq) -}}
{{- end -}}
{{ $hosts | toJson }}
{{- end -}}

{{/*
The names of Services, as JSON.

  include "iot-system.certificates.services" (list $ "api-service" "mqtt-service")
*/}}
{{- define "iot-system.certificates.services" -}}
{{- $root := index . 0 -}}
{{- $names := list -}}
{{- range rest . -}}
{{- $name := include "common.name" (list $root .) -}}
{{- $in := printf "%s.%s" $name $root.Release.Namespace -}}
{{- $names = concat $names (list $name $in (printf "%s.svc" $in)) -}}
{{- end -}}
{{ $names | toJson }}
{{- end -}}

{{/*
The names that a StatefulSet's pods have below its headless Service, as JSON.

  include "iot-system.certificates.pods" (list $ "nats" "nats-headless" 3)
*/}}
{{- define "iot-system.certificates.pods" -}}
{{- $pod := include "common.name" (list (index . 0) (index . 1)) -}}
{{- $below := include "iot-system.certificates.services" (list (index . 0) (index . 2)) | fromJsonArray -}}
{{- $names := list -}}
{{- range $index := until (int (index . 3)) -}}
{{- range $below -}}
{{- $names = append $names (printf "%s-%d.%s" $pod $index .) -}}
{{- end -}}
{{- end -}}
{{ $names | toJson }}
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
