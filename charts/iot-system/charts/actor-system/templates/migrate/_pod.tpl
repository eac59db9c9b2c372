{{- define "actor-system.migrate.pod" -}}
{{- $env := printf "%s\n%s" (include "common.secretEnv" (list $ "DATABASE_URL" "database" "url")) (include "common.databaseTlsEnv" .) -}}
metadata:
  labels:
    {{- include "common.podLabels" (list $ "migrate") | nindent 4 }}
spec:
  {{- include "common.commandPod" (dict "root" $ "account" "actor-system" "component" "migrate" "args" (list "migrate") "tls" (list "actor-system") "env" $env "restartPolicy" "OnFailure") | nindent 2 }}
{{- end -}}
