{{/*
`global.tls.mode`. YAML reads an unquoted `off` as false.
*/}}
{{- define "common.tlsMode" -}}
{{- .Values.global.tls.mode | toString | replace "false" "off" -}}
{{- end -}}

{{/*
Whether connections are encrypted: empty where they are not.
*/}}
{{- define "common.tls" -}}
{{- if ne (include "common.tlsMode" .) "off" }}yes{{ end -}}
{{- end -}}

{{/*
The secret with the certificate of one component (api, actor-system, nats, postgres): tls.crt, tls.key, and ca.crt, which
verifies all others. That of `ray` is a CA of Ray's own: tls.crt and tls.key.

  include "common.tlsSecretName" (list $ "nats")
*/}}
{{- define "common.tlsSecretName" -}}
{{- $root := index . 0 -}}
{{- $component := index . 1 -}}
{{- $made := include "common.name" (list $root (eq $component "ray" | ternary "ray-ca" (printf "%s-tls" $component))) -}}
{{- get $root.Values.global.tls.existing $component | default $made -}}
{{- end -}}
