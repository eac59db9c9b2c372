{{- define "api.settings" -}}
NATS_URL: {{ include "common.natsUrl" . }}
IOT_HTTP_PORT: "8000"
IOT_MQTT_PORT: "1883"
IOT_PARTITIONS: {{ .Values.global.partitions | quote }}
IOT_STREAM_REPLICAS: {{ .Values.global.stream.replicas | quote }}
IOT_DRAIN_TIMEOUT_S: {{ .Values.global.drainTimeoutS | quote }}
IOT_LOG_LEVEL: {{ .Values.global.logLevel | quote }}
{{- with .Values.jwt }}
{{- if .issuer }}
IOT_JWT_ISSUER: {{ .issuer | quote }}
IOT_JWT_AUDIENCE: {{ .audience | quote }}
IOT_JWT_JWKS: {{ if include "api.hasJwksFile" $ }}/etc/iot-system/jwks.json{{ else }}{{ .jwks | quote }}{{ end }}
IOT_JWT_ROLE_CLAIM: {{ .roleClaim | quote }}
IOT_JWT_SCOPE_CLAIM: {{ .scopeClaim | quote }}
{{- end }}
{{- end }}
{{- end -}}

{{/* "true" where the identity provider's keys are given as a document, else nothing. */}}
{{- define "api.hasJwksFile" -}}
{{- if and .Values.jwt.issuer (hasPrefix "{" (trim .Values.jwt.jwks)) }}true{{ end -}}
{{- end -}}
