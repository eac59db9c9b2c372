{{- define "api.settings" -}}
NATS_URL: {{ include "common.natsUrl" . }}
IOT_HTTP_PORT: "8000"
IOT_MQTT_PORT: "1883"
{{- if include "common.tls" . }}
IOT_MQTT_TLS_PORT: "8883"
IOT_MQTT_PLAIN: {{ .Values.mqtt.plain | ternary "on" "off" | quote }}
{{- range $door := list "HTTP" "MQTT" }}
IOT_{{ $door }}_TLS_CERTIFICATE: /etc/iot-system/tls/tls.crt
IOT_{{ $door }}_TLS_KEY: /etc/iot-system/tls/tls.key
IOT_{{ $door }}_TLS_CLIENT_CERTIFICATES: {{ include "api.clientCertificates" $ | quote }}
{{- end }}
{{- if ne (include "api.clientCertificates" .) "off" }}
IOT_DEVICE_CA: /etc/iot-system/device-ca/ca.crt
IOT_DEVICE_CERTIFICATES_REVOKED: /etc/iot-system/revoked/serials
{{- end }}
{{- end }}
IOT_PARTITIONS: {{ .Values.global.partitions | quote }}
{{- /* Pods of 0.1.0 make their streams themselves, one that restarts during the upgrade too. */}}
IOT_STREAM_REPLICAS: {{ .Values.global.stream.replicas | quote }}
IOT_DRAIN_TIMEOUT_S: {{ .Values.global.drainTimeoutS | quote }}
IOT_LOG_LEVEL: {{ .Values.global.logLevel | quote }}
{{- with .Values.jwt }}
{{- if .issuer }}
IOT_JWT_ISSUER: {{ .issuer | quote }}
IOT_JWT_AUDIENCE: {{ .audience | quote }}
IOT_JWT_JWKS: {{ if include "api.hasJwksFile" $ }}/etc/iot-system/jwks/jwks.json{{ else }}{{ .jwks | quote }}{{ end }}
IOT_JWT_ROLE_CLAIM: {{ .roleClaim | quote }}
IOT_JWT_SCOPE_CLAIM: {{ .scopeClaim | quote }}
{{- end }}
{{- end }}
{{- end -}}

{{/* What becomes of the certificates that clients show; YAML reads an unquoted `off` as false. */}}
{{- define "api.clientCertificates" -}}
{{ .Values.clientCertificates.mode | toString | replace "false" "off" }}
{{- end -}}

{{/* "true" where the identity provider's keys are given as a document, else nothing. */}}
{{- define "api.hasJwksFile" -}}
{{- if and .Values.jwt.issuer (hasPrefix "{" (trim .Values.jwt.jwks)) }}true{{ end -}}
{{- end -}}
