{{- define "postgres.restoreEnv" -}}
- name: RESTORE_TARGET
  value: {{ .Values.restore.target | quote }}
{{- end -}}

{{/*
Brings the data folder of a single server back before it starts; Patroni does so itself, on one of its servers. Before and
not within the start, whose probe would not wait for so long.
*/}}
{{- define "postgres.restoreContainer" -}}
- name: restore
  {{- include "common.image" (list $ "iot-system/postgres") | nindent 2 }}
  command: [/usr/local/bin/restore]
  env:
    {{- include "postgres.restoreEnv" . | nindent 4 }}
    {{- include "postgres.repositoryEnv" . | nindent 4 }}
    {{- include "common.secretEnv" (list $ "POSTGRES_USER" "database" "username") | nindent 4 }}
    {{- include "common.secretEnv" (list $ "POSTGRES_PASSWORD" "database" "password") | nindent 4 }}
  resources:
    {{- toYaml .Values.resources | nindent 4 }}
  {{- include "common.containerSecurity" . | nindent 2 }}
  volumeMounts:
    - name: config
      mountPath: /etc/postgresql
      readOnly: true
    - name: data
      mountPath: /var/lib/postgresql/data
    - name: run
      mountPath: /var/run/postgresql
    {{- include "postgres.repositoryMounts" . | nindent 4 }}
    {{- include "common.scratchMounts" (dict "shm" true) | nindent 4 }}
{{- end -}}
