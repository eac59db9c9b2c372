{{/*
Keys of secrets as files in one folder, which the kubelet replaces when a secret changes: a pod need not restart to know a
new password. Files are named as variables of the pod would be.

  {{- include "common.secretFilesVolume" (list $ (list "natsApi" "password" "NATS_PASSWORD") …) | nindent 8 }}
*/}}
{{- define "common.secretFilesVolume" -}}
{{- $root := first . -}}
- name: secrets
  projected:
    defaultMode: 0440
    sources:
      {{- range rest . }}
      - secret:
          name: {{ include "common.secretName" (list $root (index . 0)) | quote }}
          items:
            - key: {{ index . 1 }}
              path: {{ index . 2 }}
      {{- end }}
{{- end -}}

{{- define "common.secretFilesMount" -}}
- name: secrets
  mountPath: /etc/iot-system/secrets
  readOnly: true
{{- end -}}

{{/*
A service's own name for NATS, and the file with its password: what it may do there stands in the chart nats,
files/permissions.conf.

  include "common.natsUser" "actor-system"
*/}}
{{- define "common.natsUser" -}}
- name: NATS_USER
  value: {{ . }}
- name: NATS_PASSWORD_FILE
  value: /etc/iot-system/secrets/NATS_PASSWORD
{{- end -}}
