{{/*
Probes of the Python services: /health says that the process is alive, /ready that it can serve.
The start-up probe gives a slow start three minutes, so that liveness needs no patience afterwards.

  include "common.probes" "HTTP"
*/}}
{{- define "common.probes" -}}
startupProbe:
  httpGet:
    path: /health
    port: http
    scheme: {{ . }}
  periodSeconds: 2
  timeoutSeconds: 5
  failureThreshold: 90
livenessProbe:
  httpGet:
    path: /health
    port: http
    scheme: {{ . }}
  initialDelaySeconds: 30
  periodSeconds: 10
  timeoutSeconds: 5
  failureThreshold: 3
readinessProbe:
  httpGet:
    path: /ready
    port: http
    scheme: {{ . }}
  initialDelaySeconds: 5
  periodSeconds: 5
  timeoutSeconds: 3
  failureThreshold: 2
{{- end -}}
