{{/*
A claim of a StatefulSet's pod. Selector labels only: claim templates cannot be changed after creation.

  include "common.volumeClaim" (dict "root" $ "component" "nats" "name" "data" "size" "8Gi")
*/}}
{{- define "common.volumeClaim" -}}
- metadata:
    name: {{ .name }}
    labels:
      {{- include "common.selectorLabels" (list .root .component) | nindent 6 }}
  spec:
    {{- include "common.claimSpec" (list .root .size) | nindent 4 }}
{{- end -}}

{{/*
What a claim asks for.

  include "common.claimSpec" (list $ "8Gi")
*/}}
{{- define "common.claimSpec" -}}
accessModes: [ReadWriteOnce]
{{- with (index . 0).Values.global.storageClass }}
storageClassName: {{ . | quote }}
{{- end }}
resources:
  requests:
    storage: {{ index . 1 }}
{{- end -}}
