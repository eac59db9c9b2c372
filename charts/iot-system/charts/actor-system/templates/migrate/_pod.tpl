{{/*
Who migrates: the owner, and before him, in a database of this chart, the administrator who makes the roles.
*/}}
{{- define "actor-system.migrate.env" -}}
{{- with include "common.databaseTlsEnv" . }}{{ . }}
{{ end -}}
{{ include "common.secretEnv" (list $ "DATABASE_URL" "database" "url") }}
{{ include "common.secretEnv" (list $ "DATABASE_OWNER_URL" "database" "owner-url" "optional") }}
{{ include "common.secretEnv" (list $ "DATABASE_READER_URL" "database" "reader-url" "optional") }}
{{- if include "common.ownDatabase" . }}
{{ include "common.secretEnv" (list $ "DATABASE_ADMIN_USER" "database" "username") }}
{{ include "common.secretEnv" (list $ "DATABASE_ADMIN_PASSWORD" "database" "password") }}
{{- end }}
{{- end -}}

{{- define "actor-system.migrate.pod" -}}
{{- $env := include "actor-system.migrate.env" . -}}
metadata:
  labels:
    {{- include "common.podLabels" (list $ "migrate") | nindent 4 }}
spec:
  {{- include "common.commandPod" (dict "root" $ "account" "actor-system" "component" "migrate" "args" (list "migrate") "tls" (list "actor-system") "ca" (list "database") "env" $env "restartPolicy" "OnFailure") | nindent 2 }}
{{- end -}}
