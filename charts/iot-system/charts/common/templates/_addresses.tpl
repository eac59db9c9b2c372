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
The secrets job fills in the braces. Of several servers it names each, so that clients ask them all who is primary: the
Service alone still leads to a node that froze, for as long as Kubernetes waits for it. It comes last, for servers that
were added after the secret was made.
*/}}
{{- define "common.databaseUrlPattern" -}}
{{- $hosts := list (printf "%s:5432" (include "common.name" (list . "database-service"))) -}}
{{- $options := "" -}}
{{- if eq .Values.global.database.mode "replicated" -}}
{{- range $index := until (int .Values.postgres.replicas) | reverse -}}
{{- $member := printf "%s-%d.%s:5432" (include "common.name" (list $ "postgres")) $index (include "common.name" (list $ "database-headless")) -}}
{{- $hosts = prepend $hosts $member -}}
{{- end -}}
{{- $options = "?target_session_attrs=read-write" -}}
{{- end -}}
postgresql://{username}:{password}@{{ join "," $hosts }}/iot{{ $options }}
{{- end -}}
