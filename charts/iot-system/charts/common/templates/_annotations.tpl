{{/*
Annotations of an object: those of `global.commonAnnotations`, and its own, as YAML, which are closer and win. Stands right
below `metadata:`'s labels, and is nothing where there are none.

  include "common.annotations" (list $ "helm.sh/hook: test")
*/}}
{{- define "common.annotations" -}}
{{- $all := deepCopy (index . 0).Values.global.commonAnnotations -}}
{{- range rest . -}}
{{- $all = mergeOverwrite $all (fromYaml .) -}}
{{- end -}}
{{- with $all }}
  annotations:
    {{- toYaml . | nindent 4 }}
{{- end -}}
{{- end -}}
