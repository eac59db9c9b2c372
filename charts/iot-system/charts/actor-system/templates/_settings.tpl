{{- define "actor-system.settings" -}}
{{- if eq .Values.global.database.mode "memory" -}}
DATABASE_URL: "sqlite:///:memory:"
{{ end -}}
{{- if ne .Values.ray.mode "embedded" -}}
IOT_RAY_ADDRESS: {{ include "common.rayAddress" . }}
{{ end -}}
IOT_PARTITIONS: {{ .Values.global.partitions | quote }}
{{- /* Pods of 0.1.0 make the streams themselves, one that restarts during the upgrade too. */}}
IOT_STREAM_REPLICAS: {{ .Values.global.stream.replicas | quote }}
IOT_STREAM_MAX_BYTES: {{ include "common.bytes" .Values.global.stream.maxSize | quote }}
IOT_EVENTS_MAX_BYTES: {{ include "common.bytes" .Values.global.stream.eventsMaxSize | quote }}
IOT_SHARDS_PER_NODE: {{ .Values.shardsPerNode | quote }}
IOT_PASSIVATE_AFTER_S: {{ .Values.passivateAfterS | quote }}
IOT_HANDLER_TIMEOUT_S: {{ .Values.handlerTimeoutS | quote }}
IOT_HISTORY_RETENTION_DAYS: {{ .Values.historyRetentionDays | quote }}
IOT_DRAIN_TIMEOUT_S: {{ .Values.global.drainTimeoutS | quote }}
IOT_LOG_LEVEL: {{ .Values.global.logLevel | quote }}
{{- end -}}
