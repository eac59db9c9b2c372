{{/*
Where the parts find each other.
*/}}
{{- define "common.natsUrl" -}}
nats://{{ include "common.name" (list . "nats-service") }}:4222
{{- end -}}

{{- define "common.rayAddress" -}}
{{ include "common.name" (list . "ray-head") }}:6379
{{- end -}}

{{- define "common.apiUrl" -}}
http://{{ include "common.name" (list . "api-service") }}:8000
{{- end -}}

{{- define "common.mqttAddress" -}}
{{ include "common.name" (list . "api-service") }}:1883
{{- end -}}

{{/*
The database, as one of its roles uses it: owner, runtime, reader. The secrets job fills in the braces.

  include "common.databaseUrlPattern" (list $ "runtime")
*/}}
{{- define "common.databaseUrlPattern" -}}
postgresql://iot_{{ index . 1 }}:{{ printf "{%s-password}" (index . 1) }}@{{ include "common.name" (list (index . 0) "database-service") }}:5432/iot
{{- end -}}
