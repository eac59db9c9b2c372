{{- define "postgres.isReplicated" -}}
{{- if eq .Values.global.database.mode "replicated" }}yes{{ end -}}
{{- end -}}

{{- define "postgres.replicas" -}}
{{ include "postgres.isReplicated" . | empty | ternary 1 .Values.replicas }}
{{- end -}}

{{/*
What programs of Postgres show to the server, and whom they trust.
*/}}
{{- define "postgres.certificateEnv" -}}
{{- range $key, $file := dict "PGSSLROOTCERT" "ca.crt" "PGSSLCERT" "tls.crt" "PGSSLKEY" "tls.key" -}}
- name: {{ $key }}
  value: /etc/iot-system/tls/{{ $file }}
{{ end }}
{{- end -}}

{{/*
The database that is made where there is none.
*/}}
{{- define "postgres.databaseEnv" -}}
{{ include "common.secretEnv" (list $ "POSTGRES_USER" "database" "username") }}
{{ include "common.secretEnv" (list $ "POSTGRES_PASSWORD" "database" "password") }}
- name: POSTGRES_DB
  value: iot
{{- end -}}

{{- define "postgres.config" -}}
postgresql.conf: |
  {{- tpl (.Files.Get "files/postgresql.conf") . | nindent 2 }}
pg_hba.conf: |
  {{- tpl (.Files.Get "files/pg_hba.conf") . | nindent 2 }}
{{- if include "postgres.isReplicated" . }}
patroni.yml: |
  {{- tpl (.Files.Get "files/patroni.yml") . | nindent 2 }}
{{- end }}
{{- end -}}
