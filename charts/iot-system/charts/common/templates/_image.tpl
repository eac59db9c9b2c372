{{/*
Image and pull policy of one container. The tag is the chart's appVersion unless global.image.tag names another.

  include "common.image" (list $ "iot-system/api")
*/}}
{{- define "common.image" -}}
{{- $root := index . 0 -}}
{{- $image := $root.Values.global.image -}}
{{- $registry := empty $image.registry | ternary "" (printf "%s/" $image.registry) -}}
image: {{ printf "%s%s:%s" $registry (index . 1) ($image.tag | default $root.Chart.AppVersion) | quote }}
imagePullPolicy: {{ $image.pullPolicy | quote }}
{{- end -}}
