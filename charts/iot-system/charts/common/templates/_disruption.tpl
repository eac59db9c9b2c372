{{/*
Voluntary disruptions take one pod at a time. Not for a single pod, which would block every node drain.

  include "common.disruptionBudget" (list $ "nats")
*/}}
{{- define "common.disruptionBudget" -}}
{{- $root := index . 0 -}}
{{- if gt (int $root.Values.replicas) 1 -}}
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  name: {{ include "common.name" . }}
  labels:
    {{- include "common.labels" . | nindent 4 }}
  {{- include "common.annotations" (list $root) }}
spec:
  maxUnavailable: 1
  selector:
    matchLabels:
      {{- include "common.selectorLabels" . | nindent 6 }}
{{- end }}
{{- end -}}
