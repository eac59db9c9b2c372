{{/*
Labels that select pods. They never change: a Deployment's selector cannot be changed after its creation.

  include "common.selectorLabels" (list $ "api")
*/}}
{{- define "common.selectorLabels" -}}
{{- $root := index . 0 -}}
app.kubernetes.io/name: {{ index . 1 }}
app.kubernetes.io/instance: {{ $root.Release.Name | quote }}
{{- end -}}

{{/*
Labels of pods. Without versions: a new chart version alone restarts nothing.
*/}}
{{- define "common.podLabels" -}}
{{- $root := index . 0 -}}
{{ include "common.selectorLabels" . }}
app.kubernetes.io/part-of: iot-system
{{- with $root.Values.global.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/*
Labels of every other object.
*/}}
{{- define "common.labels" -}}
{{- $root := index . 0 -}}
{{ include "common.podLabels" . }}
app.kubernetes.io/version: {{ $root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ $root.Release.Service }}
helm.sh/chart: {{ printf "iot-system-%s" $root.Chart.Version | replace "+" "_" }}
{{- end -}}
