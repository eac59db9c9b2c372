{{- define "postgres.config" -}}
postgresql.conf: |
  {{- tpl (.Files.Get "files/postgresql.conf") . | nindent 2 }}
pg_hba.conf: |
  {{- .Files.Get "files/pg_hba.conf" | nindent 2 }}
{{- end -}}
