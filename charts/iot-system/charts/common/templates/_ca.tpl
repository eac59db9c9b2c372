{{/*
Files with the certificates that sign those of servers outside, for the parts (database, nats) that have a caSecret: the
variable that names the file, mounts and volumes; nothing where none has.

  include "common.caEnv" (list $ "nats")
  include "common.caMounts" (list $ "nats" "database")
  include "common.caVolumes" (list $ "nats" "database")
*/}}
{{- define "common.caEnv" -}}
{{- if (get (index . 0).Values.global (index . 1)).caSecret -}}
- name: {{ index . 1 | upper }}_TLS_CA
  value: /etc/iot-system/{{ index . 1 }}-ca/ca.crt
{{- end -}}
{{- end -}}

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
