{{/*
A Job beside the rest, no hook. It cannot be changed, so its name follows from its content: what would run differently is
another Job, and Helm removes the old one. Its selector is its own, not what Kubernetes would add to it: where an upgrade
is taken back while the old Job is still there, Helm takes that up again, and strips it of all that the chart does not
say; Kubernetes refuses a Job without its selector, and so the way back would be barred. "own selector" in the name keeps it
apart from that of a Job with the same content, but without a selector, as the release before made it.

  include "common.contentJob" (dict "root" $ "component" "migrate" "pod" $pod "keptS" 600 "retries" 20)
  "content" $content: what else the name follows from, where the pod alone does not say it
*/}}
{{- define "common.contentJob" -}}
{{- $hash := list (.content | default .pod) "own selector" | toJson | sha256sum | trunc 8 -}}
{{- $name := printf "%s-%s" (include "common.name" (list .root .component)) $hash -}}
{{- $selector := dict "batch.kubernetes.io/job-name" $name -}}
apiVersion: batch/v1
kind: Job
metadata:
  name: {{ $name }}
  labels:
    {{- include "common.labels" (list .root .component) | nindent 4 }}
  {{- include "common.annotations" (list .root) }}
spec:
  ttlSecondsAfterFinished: {{ .keptS }}
  backoffLimit: {{ .retries }}
  manualSelector: true
  selector:
    matchLabels:
      {{- toYaml $selector | nindent 6 }}
  template:
    {{- merge (dict "metadata" (dict "labels" (deepCopy $selector))) (fromYaml .pod) | toYaml | nindent 4 }}
{{- end -}}
