{{/*
Autoscaler of a Deployment between `replicas` and `autoscaling.maxReplicas`, by CPU. A maximum of 1 means none.

  include "common.autoscaler" (list $ "api")
*/}}
{{- define "common.autoscaler" -}}
{{- $root := index . 0 -}}
{{- with $root.Values.autoscaling }}
{{- if gt (int .maxReplicas) 1 -}}
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
  behavior:
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
{{- end }}
{{- end }}
{{- end -}}
