{{/*
Where the parts find each other.
*/}}
{{- define "common.natsUrl" -}}
{{- if include "common.ownNats" . -}}
nats://{{ include "common.name" (list . "nats-service") }}:4222
{{- else -}}
{{- join "," .Values.global.nats.urls -}}
{{- end -}}
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
The secrets job fills in the braces.
*/}}
{{- define "common.databaseUrlPattern" -}}
postgresql://{username}:{password}@{{ include "common.name" (list . "database-service") }}:5432/iot
{{- end -}}
