{{/*
Metadata and spec of the pod of Ray's head. Its volume `storage` is a claim of the StatefulSet, or that of the chart.
*/}}
{{- define "actor-system.rayHead.pod" -}}
metadata:
  labels:
    {{- include "common.podLabels" (list $ "ray-head") | nindent 4 }}
spec:
  {{- include "common.pod" (dict "root" $ "account" "ray-head" "component" "ray-head" "replicas" 1 "priority" .Values.priorityClassName) | nindent 2 }}
  terminationGracePeriodSeconds: 30
  containers:
    - name: ray-head
      {{- include "common.image" (list $ "iot-system/actor-system") | nindent 6 }}
      args: [ray-head]
      ports:
        - name: gcs
          containerPort: 6379
        - name: http
          containerPort: 8000
      env:
        {{- include "common.fieldEnv" (list "ACTOR_SYSTEM_ADDRESS" "status.podIP") | nindent 8 }}
        {{- include "common.fieldEnv" (list "IOT_MACHINE" "spec.nodeName") | nindent 8 }}
        - name: IOT_HTTP_PORT
          value: "8000"
        - name: IOT_RAY_ADDRESS
          value: {{ include "common.rayAddress" . }}
        - name: IOT_RAY_STORAGE
          value: /var/lib/ray
        - name: IOT_LOG_LEVEL
          value: {{ .Values.global.logLevel | quote }}
        {{- include "actor-system.rayEnv" . | nindent 8 }}
      resources:
        {{- include "common.resources" .Values.ray.head.resources | nindent 8 }}
      {{- include "common.probes" "HTTP" | nindent 6 }}
      {{- include "common.containerSecurity" . | nindent 6 }}
      volumeMounts:
        - name: storage
          mountPath: /var/lib/ray
        {{- include "actor-system.rayMounts" . | nindent 8 }}
  volumes:
    {{- include "actor-system.rayVolumes" . | nindent 4 }}
  {{- if eq .Values.ray.mode "kuberay" }}
    - name: storage
      persistentVolumeClaim:
        claimName: {{ include "common.name" (list $ "ray-head") }}
  {{- end }}
{{- end -}}
