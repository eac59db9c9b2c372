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
    accessModes: [ReadWriteOnce]
    {{- with .root.Values.global.storageClass }}
    storageClassName: {{ . | quote }}
    {{- end }}
    resources:
      requests:
        storage: {{ .size }}
{{- end -}}
