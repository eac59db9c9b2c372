{{- define "api.settings" -}}
NATS_URL: {{ include "common.natsUrl" . }}
IOT_HTTP_PORT: "8000"
IOT_MQTT_PORT: "1883"
IOT_PARTITIONS: {{ .Values.global.partitions | quote }}
IOT_DRAIN_TIMEOUT_S: {{ .Values.global.drainTimeoutS | quote }}
IOT_LOG_LEVEL: {{ .Values.global.logLevel | quote }}
{{- end -}}
