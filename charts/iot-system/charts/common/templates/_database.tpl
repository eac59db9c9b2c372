{{/*
Whether the database is this chart's own: empty where it is not.
*/}}
{{- define "common.ownDatabase" -}}
{{- if has .Values.global.database.mode (list "single" "replicated") }}yes{{ end -}}
{{- end -}}
