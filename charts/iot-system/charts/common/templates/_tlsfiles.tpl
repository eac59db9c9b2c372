{{/*
A component's certificate, key and CA as files in /etc/iot-system/tls, which the kubelet replaces when the secret
changes; nothing without TLS.

  {{- with include "common.tlsVolume" (list $ "nats") }}{{ . | nindent 8 }}{{ end }}
  (list $ "api" "ca.crt"): this file of them alone
*/}}
{{- define "common.tlsVolume" -}}
{{- if include "common.tls" (index . 0) }}{{ include "common.tlsVolumeInAnyCase" . }}{{ end -}}
{{- end -}}

{{- define "common.tlsMount" -}}
{{- if include "common.tls" . }}{{ include "common.tlsMountInAnyCase" . }}{{ end -}}
{{- end -}}

{{/*
The same for servers that are told to encrypt while they run: without TLS the folder is empty, or holds what will be used.
*/}}
{{- define "common.tlsVolumeInAnyCase" -}}
- name: tls
  secret:
    secretName: {{ include "common.tlsSecretName" . | quote }}
    {{- if not (include "common.tls" (index . 0)) }}
    optional: true
    {{- end }}
    # Postgres takes no key that others could read.
    defaultMode: 0440
    {{- with slice . 2 }}
    items:
      {{- range . }}
      - key: {{ . }}
        path: {{ . }}
      {{- end }}
    {{- end }}
{{- end -}}

{{- define "common.tlsMountInAnyCase" -}}
- name: tls
  mountPath: /etc/iot-system/tls
  readOnly: true
{{- end -}}

{{/*
Variables by which a client of NATS or DATABASE finds them.

  include "common.tlsEnv" (list $ "NATS")
*/}}
{{- define "common.tlsEnv" -}}
{{- if include "common.tls" (index . 0) -}}
- name: {{ index . 1 }}_TLS_CA
  value: /etc/iot-system/tls/ca.crt
- name: {{ index . 1 }}_TLS_CERTIFICATE
  value: /etc/iot-system/tls/tls.crt
- name: {{ index . 1 }}_TLS_KEY
  value: /etc/iot-system/tls/tls.key
{{- end -}}
{{- end -}}

{{/*
The same for both: certificates of this installation where the servers are its own, else whose certificates to trust.
*/}}
{{- define "common.natsTlsEnv" -}}
{{- if include "common.ownNats" . }}{{ include "common.tlsEnv" (list . "NATS") }}
{{- else if .Values.global.nats.caSecret -}}
- name: NATS_TLS_CA
  value: /etc/iot-system/nats-ca/ca.crt
{{- end -}}
{{- end -}}

{{- define "common.databaseTlsEnv" -}}
{{- if include "common.ownDatabase" . }}{{ include "common.tlsEnv" (list . "DATABASE") }}
{{- else if .Values.global.database.caSecret -}}
- name: DATABASE_TLS_CA
  value: /etc/iot-system/database-ca/ca.crt
{{- end -}}
{{- end -}}

{{/*
For the programs that use REST and MQTT: whose certificates they trust.
*/}}
{{- define "common.trustEnv" -}}
{{- if include "common.tls" . -}}
- name: SSL_CERT_FILE
  value: /etc/iot-system/tls/ca.crt
{{- end -}}
{{- end -}}

{{/*
The beginning of the command of a server that reads its files again on SIGHUP: the shell becomes the server, which gets the
signal once they have changed. Read in the moment of their change they differ a second time 5 s later. `prepare` is what is
done with them first, each time.

  {{- include "common.reloadingCommand" (dict "files" (list "/etc/iot-system/tls/*")) | nindent 10 }}
  args: [nats-server, --config, /etc/nats/nats.conf]
*/}}
{{- define "common.reloadingCommand" -}}
command:
  - sh
  - -c
  - |
    contents() { cat {{ join " " .files }} 2>/dev/null; }
    prepare() {
      {{- .prepare | default ":" | nindent 6 }}
    }
    seen=$(contents)
    prepare
    while sleep 5; do
      now=$(contents)
      [ "$now" = "$seen" ] || { seen=$now; prepare; kill -HUP 1; }
    done &
    exec "$@"
  - sh
{{- end -}}
