{{- define "actor-system.migrate.pod" -}}
{{- $env := include "common.databaseEnv" . -}}
metadata:
  labels:
    {{- include "common.podLabels" (list $ "migrate") | nindent 4 }}
spec:
  {{- include "common.commandPod" (dict "root" $ "account" "actor-system" "component" "migrate" "args" (list "migrate") "env" $env "ca" (list "database") "restartPolicy" "OnFailure") | nindent 2 }}
{{- end -}}
