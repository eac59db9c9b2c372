{{/*
Where the parts find each other.
*/}}
{{- define "common.natsUrl" -}}
{{- if include "common.ownNats" . -}}
{{ include "common.natsScheme" . }}://{{ include "common.name" (list . "nats-service") }}:4222
{{- else -}}
{{- join "," .Values.global.nats.urls -}}
{{- end -}}
{{- end -}}

{{- define "common.natsScheme" -}}
{{ include "common.tls" . | empty | ternary "nats" "tls" }}
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
The database, as one of its roles uses it: owner, runtime, reader. The secrets job fills in the braces.

  include "common.databaseUrlPattern" (list $ "runtime")
*/}}
{{- define "common.databaseUrlPattern" -}}
postgresql://iot_{{ index . 1 }}:{{ printf "{%s-password}" (index . 1) }}@{{ include "common.name" (list (index . 0) "database-service") }}:5432/iot
{{- end -}}
