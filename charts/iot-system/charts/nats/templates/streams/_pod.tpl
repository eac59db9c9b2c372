{{/*
Whether a job makes the streams: not in servers outside whose administrator is not known. Empty where none does.
*/}}
{{- define "nats.makesStreams" -}}
{{- if or (include "common.ownNats" .) .Values.global.nats.existingSecret }}yes{{ end -}}
{{- end -}}

{{/*
The streams, and who makes them: the servers' administrator.
*/}}
{{- define "nats.streams.env" -}}
- name: NATS_URL
  value: {{ include "common.natsUrl" . }}
{{ include "common.secretEnv" (list $ "NATS_USER" "nats" "username") }}
{{ include "common.secretEnv" (list $ "NATS_PASSWORD" "nats" "password") }}
{{- with include "common.natsTlsEnv" . }}
{{ . }}
{{- end }}
- name: IOT_PARTITIONS
  value: {{ .Values.global.partitions | quote }}
- name: IOT_STREAM_REPLICAS
  value: {{ .Values.global.stream.replicas | quote }}
- name: IOT_STREAM_MAX_BYTES
  value: {{ include "common.bytes" .Values.global.stream.maxSize | quote }}
- name: IOT_EVENTS_MAX_BYTES
  value: {{ include "common.bytes" .Values.global.stream.eventsMaxSize | quote }}
{{- end -}}

{{- define "nats.streams.pod" -}}
{{- $env := include "nats.streams.env" . -}}
metadata:
  labels:
    {{- include "common.podLabels" (list $ "streams") | nindent 4 }}
spec:
  {{- include "common.commandPod" (dict "root" $ "account" "actor-system" "component" "streams" "args" (list "streams") "tls" (ternary (list "nats") (list) (eq .Values.global.nats.mode "builtin")) "ca" (list "nats") "env" $env "restartPolicy" "OnFailure") | nindent 2 }}
{{- end -}}
