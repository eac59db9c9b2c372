{{/*
A component's own identity, without a token: only the secrets job talks to the Kubernetes API.

  include "common.serviceAccount" (list $ "api")
*/}}
{{- define "common.serviceAccount" -}}
apiVersion: v1
kind: ServiceAccount
metadata:
  name: {{ include "common.name" . }}
  labels:
    {{- include "common.labels" . | nindent 4 }}
  {{- include "common.annotations" (list (index . 0)) }}
automountServiceAccountToken: false
{{- end -}}
