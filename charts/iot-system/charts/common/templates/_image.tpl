{{/*
Image and pull policy of one container. The tag is the chart's appVersion unless global.image.tag names another; a
digest beside it is what counts.

  include "common.image" (list $ "iot-system/api")
*/}}
{{- define "common.image" -}}
{{- $root := index . 0 -}}
{{- $image := $root.Values.global.image -}}
{{- $registry := empty $image.registry | ternary "" (printf "%s/" $image.registry) -}}
{{- $digest := get $image.digests (base (index . 1)) | default "" -}}
{{- $pinned := empty $digest | ternary "" (printf "@%s" $digest) -}}
image: {{ printf "%s%s:%s%s" $registry (index . 1) ($image.tag | default $root.Chart.AppVersion) $pinned | quote }}
imagePullPolicy: {{ $image.pullPolicy | quote }}
{{- end -}}
