{{/*
Voluntary disruptions take one pod at a time. Not for a single pod, which would block every node drain.

  include "common.disruptionBudget" (list $ "nats")
  with "custom" for pods of a custom resource: how many there should be, Kubernetes knows of its own workloads alone, and
  would let none go
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
  {{- if has "custom" . }}
  minAvailable: {{ sub $root.Values.replicas 1 }}
  {{- else }}
  maxUnavailable: 1
  {{- end }}
  selector:
    matchLabels:
      {{- include "common.selectorLabels" . | nindent 6 }}
{{- end }}
{{- end -}}
