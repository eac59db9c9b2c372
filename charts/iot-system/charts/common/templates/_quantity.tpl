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
