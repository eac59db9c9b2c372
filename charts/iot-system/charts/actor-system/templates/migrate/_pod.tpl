{{- define "actor-system.migrate.pod" -}}
{{- $env := include "common.secretEnv" (list $ "DATABASE_URL" "database" "url") -}}
metadata:
  labels:
    {{- include "common.podLabels" (list $ "migrate") | nindent 4 }}
spec:
  {{- include "common.commandPod" (dict "root" $ "account" "actor-system" "component" "migrate" "args" (list "migrate") "env" $env "restartPolicy" "OnFailure") | nindent 2 }}
{{- end -}}
