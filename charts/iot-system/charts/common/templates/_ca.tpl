{{/*
Files with the certificates that sign those of servers outside, for the parts (database, nats) that have a caSecret: mounts
and volumes; nothing where none has.

  include "common.caMounts" (list $ "nats" "database")
  include "common.caVolumes" (list $ "nats" "database")
*/}}
{{- define "common.caMounts" -}}
{{- $root := index . 0 -}}
{{- range $part := rest . -}}
{{- if (get $root.Values.global $part).caSecret }}
- name: {{ $part }}-ca
  mountPath: /etc/iot-system/{{ $part }}-ca
  readOnly: true
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "common.caVolumes" -}}
{{- $root := index . 0 -}}
{{- range $part := rest . -}}
{{- with (get $root.Values.global $part).caSecret }}
- name: {{ $part }}-ca
  secret:
    secretName: {{ . | quote }}
    items:
      - key: ca.crt
        path: ca.crt
{{- end -}}
{{- end -}}
{{- end -}}
