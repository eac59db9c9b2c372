{{/*
Bytes of a binary quantity such as 512Mi. The schema admits whole Mi, Gi and Ti only.
*/}}
{{- define "common.bytes" -}}
{{- $unit := trunc -2 . -}}
{{- $size := dict "Mi" 1048576 "Gi" 1073741824 "Ti" 1099511627776 -}}
{{- mul (trimSuffix $unit . | int64) (get $size $unit) -}}
{{- end -}}

{{/*
A whole percentage of a binary quantity, in bytes.

  include "common.percentOf" (list 80 "8Gi")
*/}}
{{- define "common.percentOf" -}}
{{- div (mul (include "common.bytes" (index . 1) | int64) (index . 0)) 100 -}}
{{- end -}}

{{/*
Requests and limits, as text: a custom resource takes no fraction such as 0.5 as a number.

  include "common.resources" .Values.resources
*/}}
{{- define "common.resources" -}}
{{- $resources := dict -}}
{{- range $kind, $amounts := . -}}
{{- $texts := dict -}}
{{- range $name, $amount := $amounts }}{{ $_ := set $texts $name (toString $amount) }}{{ end -}}
{{- $_ := set $resources $kind $texts -}}
{{- end -}}
{{ toYaml $resources }}
{{- end -}}

{{/*
A quantity as a number to compare: bytes of a size such as 512Mi, thousandths of a number of CPUs such as 500m, 2 or 0.5.
*/}}
{{- define "common.amount" -}}
{{- $text := toString . -}}
{{- if hasSuffix "i" $text -}}
{{- include "common.bytes" $text -}}
{{- else if hasSuffix "m" $text -}}
{{- trimSuffix "m" $text -}}
{{- else -}}
{{- round (mulf 1000 (float64 $text)) 0 | int64 -}}
{{- end -}}
{{- end -}}
