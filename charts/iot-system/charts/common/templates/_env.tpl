{{/*
An environment variable from one part's secret.

  include "common.secretEnv" (list $ "DATABASE_URL" "database" "url")
*/}}
{{- define "common.secretEnv" -}}
- name: {{ index . 1 }}
  valueFrom:
    secretKeyRef:
      name: {{ include "common.secretName" (list (index . 0) (index . 2)) | quote }}
      key: {{ index . 3 }}
{{- end -}}

{{/*
An environment variable from a field of the pod.

  include "common.fieldEnv" (list "ACTOR_SYSTEM_ADDRESS" "status.podIP")
*/}}
{{- define "common.fieldEnv" -}}
- name: {{ index . 0 }}
  valueFrom:
    fieldRef:
      fieldPath: {{ index . 1 }}
{{- end -}}

{{/*
A service's own name and password for NATS, and who signs the servers' certificates. What it may do there stands in the chart
nats, files/permissions.conf.

  include "common.natsUser" (list $ "actor-system" "natsActorSystem")
*/}}
{{- define "common.natsUser" -}}
- name: NATS_USER
  value: {{ index . 1 }}
{{ include "common.secretEnv" (list (index . 0) "NATS_PASSWORD" (index . 2) "password") }}
{{- if (index . 0).Values.global.nats.caSecret }}
- name: NATS_TLS_CA
  value: /etc/iot-system/nats-ca/ca.crt
{{- end }}
{{- end -}}

{{/*
Where the database is, and who signs its certificate.
*/}}
{{- define "common.databaseEnv" -}}
{{ include "common.secretEnv" (list . "DATABASE_URL" "database" "url") }}
{{- if .Values.global.database.caSecret }}
- name: DATABASE_TLS_CA
  value: /etc/iot-system/database-ca/ca.crt
{{- end }}
{{- end -}}
