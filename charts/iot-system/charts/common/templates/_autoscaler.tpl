{{/*
Autoscaler of a Deployment between `replicas` and `autoscaling.maxReplicas`, by CPU, and by the backlog where
`autoscaling.backlog` says so. A maximum of 1 means none.

  include "common.autoscaler" (list $ "api")
*/}}
{{- define "common.autoscaler" -}}
{{- $root := index . 0 -}}
{{- with $root.Values.autoscaling }}
{{- if and (gt (int .maxReplicas) 1) (ne (dig "backlog" "source" "" .) "keda") -}}
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata:
  name: {{ include "common.name" $ }}
  labels:
    {{- include "common.labels" $ | nindent 4 }}
  {{- include "common.annotations" (list $root) }}
spec:
  scaleTargetRef:
    apiVersion: apps/v1
    kind: Deployment
    name: {{ include "common.name" $ }}
  minReplicas: {{ $root.Values.replicas }}
  maxReplicas: {{ .maxReplicas }}
  metrics:
    - type: Resource
      resource:
        name: cpu
        target:
          type: Utilization
          averageUtilization: {{ .targetCpuPercent }}
    {{- if eq (dig "backlog" "source" "" .) "metricsApi" }}
    - type: Pods
      pods:
        metric:
          name: iot_shard_lag_frames
        target:
          type: AverageValue
          averageValue: {{ int .backlog.framesPerPod | quote }}
    {{- end }}
  behavior:
    {{- include "common.scaling" . | nindent 4 }}
{{- end }}
{{- end }}
{{- end -}}

{{/*
How fast pods come and go.

  include "common.scaling" .Values.autoscaling
*/}}
{{- define "common.scaling" -}}
# Load that comes is met at once, by up to twice as many pods a minute.
scaleUp:
  stabilizationWindowSeconds: 0
  selectPolicy: Max
  policies:
    - type: Percent
      value: 100
      periodSeconds: 60
    - type: Pods
      value: 2
      periodSeconds: 60
# Load that goes may come back, and each pod that leaves hands over what it has: one at a time.
scaleDown:
  stabilizationWindowSeconds: {{ .scaleDownAfterS }}
  policies:
    - type: Pods
      value: 1
      periodSeconds: 60
{{- end -}}
