{{/*
Where the parts find each other.
*/}}
{{- define "common.natsUrl" -}}
{{- if include "common.ownNats" . -}}
{{ include "common.tls" . | empty | ternary "nats" "tls" }}://{{ include "common.name" (list . "nats-service") }}:4222
{{- else -}}
{{- join "," .Values.global.nats.urls -}}
{{- end -}}
{{- end -}}

{{- define "common.rayAddress" -}}
{{ include "common.name" (list . "ray-head") }}:6379
{{- end -}}

{{- define "common.apiUrl" -}}
{{ include "common.tls" . | empty | ternary "http" "https" }}://{{ include "common.name" (list . "api-service") }}:8000
{{- end -}}

{{- define "common.mqttAddress" -}}
{{- $host := include "common.name" (list . "api-service") -}}
{{ include "common.tls" . | empty | ternary (printf "%s:1883" $host) (printf "mqtts://%s:8883" $host) }}
{{- end -}}

{{/*
Ports of MQTT by name, as JSON. `plain`: also without TLS, where there is TLS (the value api.mqtt.plain).

  include "common.mqttPorts" (list $ .Values.mqtt.plain) | fromJson
*/}}
{{- define "common.mqttPorts" -}}
{{- $encrypted := include "common.tls" (index . 0) -}}
{{- $ports := dict -}}
{{- if $encrypted }}{{ $_ := set $ports "mqtts" 8883 }}{{ end -}}
{{- if or (not $encrypted) (index . 1) }}{{ $_ := set $ports "mqtt" 1883 }}{{ end -}}
{{ $ports | toJson }}
{{- end -}}

{{/*
The database, as one of its roles uses it: owner, runtime, reader. The secrets job fills in the braces. Of several servers
it names each, so that clients ask them all who is primary: the Service alone still leads to a node that froze, for as long
as Kubernetes waits for it. It comes last, for servers that were added after the secret was made.

  include "common.databaseUrlPattern" (list $ "runtime")
*/}}
{{- define "common.databaseUrlPattern" -}}
{{- $root := index . 0 -}}
{{- $hosts := list (printf "%s:5432" (include "common.name" (list $root "database-service"))) -}}
{{- $options := "" -}}
{{- if eq $root.Values.global.database.mode "replicated" -}}
{{- range $index := until (int $root.Values.postgres.replicas) | reverse -}}
{{- $member := printf "%s-%d.%s:5432" (include "common.name" (list $root "postgres")) $index (include "common.name" (list $root "database-headless")) -}}
{{- $hosts = prepend $hosts $member -}}
{{- end -}}
{{- $options = "?target_session_attrs=read-write" -}}
{{- end -}}
postgresql://iot_{{ index . 1 }}:{{ printf "{%s-password}" (index . 1) }}@{{ join "," $hosts }}/iot{{ $options }}
{{- end -}}
