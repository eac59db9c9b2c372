{{/*
Whether the NATS servers are this chart's own: empty where they are not.
*/}}
{{- define "common.ownNats" -}}
{{- if eq .Values.global.nats.mode "builtin" }}yes{{ end -}}
{{- end -}}
