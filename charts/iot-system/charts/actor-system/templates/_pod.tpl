{{/*
Metadata and spec of an actor-system pod, whoever keeps it: a Deployment, or KubeRay's operator.
*/}}
{{- define "actor-system.pod" -}}
metadata:
  labels:
    {{- include "common.podLabels" (list $ "actor-system") | nindent 4 }}
  annotations:
    checksum/config: {{ include "actor-system.settings" . | sha256sum }}
    {{- with .Values.behaviours }}
    # A module is loaded once: pods restart with new behaviours, one after the other.
    checksum/behaviours: {{ toJson . | sha256sum }}
    {{- end }}
spec:
  {{- include "common.pod" (dict "root" $ "account" "actor-system" "component" "actor-system" "replicas" .Values.replicas "priority" .Values.priorityClassName "perRevision" (ne .Values.ray.mode "kuberay")) | nindent 2 }}
  # Partitions are handed over within the drain time-out; the rest is for Ray's own processes to leave.
  terminationGracePeriodSeconds: {{ add .Values.global.drainTimeoutS 25 }}
  containers:
    - name: actor-system
      {{- include "common.image" (list $ "iot-system/actor-system") | nindent 6 }}
      args: [actor-system]
      ports:
        - name: http
          containerPort: 8000
      envFrom:
        - configMapRef:
            name: {{ include "common.name" (list $ "actor-system-config") }}
      env:
        {{- include "common.fieldEnv" (list "ACTOR_SYSTEM_ADDRESS" "status.podIP") | nindent 8 }}
        {{- include "common.fieldEnv" (list "IOT_MACHINE" "spec.nodeName") | nindent 8 }}
        - name: ACTOR_SYSTEM_PORT
          value: "8000"
        - name: ACTOR_SYSTEM_CLUSTER_NAME
          value: {{ .Values.clusterName | quote }}
        - name: NATS_URL
          value: {{ include "common.natsUrl" . }}
        {{- include "common.natsUser" "actor-system" | nindent 8 }}
        {{- with include "common.natsTlsEnv" . }}{{ . | nindent 8 }}{{ end }}
        {{- with include "common.databaseTlsEnv" . }}{{ . | nindent 8 }}{{ end }}
        {{- if ne .Values.global.database.mode "memory" }}
        {{- include "common.secretEnv" (list $ "DATABASE_URL" "database" "url") | nindent 8 }}
        {{- end }}
        {{- if .Values.behaviours }}
        # And where the documentation lets images put theirs.
        - name: PYTHONPATH
          value: /etc/iot-system/behaviours:/behaviours
        {{- end }}
        {{- include "actor-system.rayEnv" . | nindent 8 }}
      resources:
        {{- include "common.resources" .Values.resources | nindent 8 }}
      {{- include "common.probes" "HTTP" | nindent 6 }}
      {{- include "common.containerSecurity" . | nindent 6 }}
      volumeMounts:
        {{- include "common.secretFilesMount" . | nindent 8 }}
        {{- with include "common.tlsMount" . }}{{ . | nindent 8 }}{{ end }}
        {{- include "actor-system.rayMounts" . | nindent 8 }}
        {{- with include "common.caMounts" (list $ "nats" "database") }}
        {{- . | indent 8 }}
        {{- end }}
        {{- if .Values.behaviours }}
        - name: behaviours
          mountPath: /etc/iot-system/behaviours
          readOnly: true
        {{- end }}
  volumes:
    {{- include "common.secretFilesVolume" (list $ (list "natsActorSystem" "password" "NATS_PASSWORD")) | nindent 4 }}
    {{- with include "common.tlsVolume" (list $ "actor-system") }}{{ . | nindent 4 }}{{ end }}
    {{- include "actor-system.rayVolumes" . | nindent 4 }}
    {{- with include "common.caVolumes" (list $ "nats" "database") }}
    {{- . | indent 4 }}
    {{- end }}
    {{- if .Values.behaviours }}
    - name: behaviours
      configMap:
        name: {{ include "common.name" (list $ "actor-system-behaviours") }}
    {{- end }}
{{- end -}}
