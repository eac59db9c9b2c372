{{/*
Whether backups are made. While the database comes from a repository nothing is written to it: whose database it was may
still run.
*/}}
{{- define "postgres.backsUp" -}}
{{- if and .Values.backup.enabled (not .Values.restore.enabled) }}yes{{ end -}}
{{- end -}}

{{/*
What pgBackRest needs beside its file.
*/}}
{{- define "postgres.repositoryEnv" -}}
- name: PGBACKREST_CONFIG
  value: /etc/postgresql/pgbackrest.conf
- name: PGBACKREST_STANZA
  value: main
{{ include "common.secretEnv" (list $ "PGBACKREST_PG1_USER" "database" "username") }}
{{- with .Values.backup.repository }}
{{- if eq .type "s3" }}
{{- $secret := .s3.existingSecret }}
{{- range $name, $key := dict "S3_KEY" "access-key" "S3_KEY_SECRET" "secret-key" "CIPHER_PASS" "passphrase" }}
- name: PGBACKREST_REPO1_{{ $name }}
  valueFrom:
    secretKeyRef:
      name: {{ $secret | quote }}
      key: {{ $key }}
{{- end }}
{{- end }}
{{- end }}
{{- end -}}

{{- define "postgres.repositoryMounts" -}}
{{- with .Values.backup.repository }}
{{- if eq .type "volume" }}
- name: repository
  mountPath: /var/lib/pgbackrest
  readOnly: {{ $.Values.restore.enabled }}
{{- else if .s3.caSecret }}
- name: repository-ca
  mountPath: /etc/pgbackrest/ca
  readOnly: true
{{- end }}
{{- end }}
{{- end -}}

{{- define "postgres.repositoryVolumes" -}}
{{- with .Values.backup.repository }}
{{- if eq .type "volume" }}
- name: repository
  persistentVolumeClaim:
    claimName: {{ .volume.existingClaim | default (include "common.name" (list $ "backup-repository")) | quote }}
{{- else if .s3.caSecret }}
- name: repository-ca
  secret:
    secretName: {{ .s3.caSecret | quote }}
    items:
      - key: ca.crt
        path: ca.crt
{{- end }}
{{- end }}
{{- end -}}

{{/*
A pod that asks the primary for one backup, `full` or `diff`.

  include "postgres.backupPod" (list $ "full")
*/}}
{{- define "postgres.backupPod" -}}
{{- $root := index . 0 -}}
metadata:
  labels:
    {{- include "common.podLabels" (list $root "backup") | nindent 4 }}
spec:
  restartPolicy: Never
  {{- include "common.pod" (dict "root" $root "account" "postgres" "component" "backup") | nindent 2 }}
  containers:
    - name: backup
      {{- include "common.image" (list $root "iot-system/postgres") | nindent 6 }}
      command: [/usr/local/bin/backup, {{ index . 1 }}]
      env:
        - name: PGHOST
          value: {{ include "common.name" (list $root "database-service") }}
        {{- include "common.secretEnv" (list $root "PGUSER" "database" "username") | nindent 8 }}
        {{- include "common.secretEnv" (list $root "PGPASSWORD" "database" "password") | nindent 8 }}
        {{- if include "common.tls" $root }}
        - name: PGSSLMODE
          value: verify-full
        {{- include "postgres.certificateEnv" . | nindent 8 }}
        {{- end }}
      resources:
        requests:
          cpu: 10m
          memory: 16Mi
          ephemeral-storage: 16Mi
        limits:
          cpu: "1"
          memory: 64Mi
          ephemeral-storage: 64Mi
      {{- include "common.containerSecurity" $root | nindent 6 }}
      volumeMounts:
        {{- with include "common.tlsMount" $root }}{{ . | nindent 8 }}{{ end }}
        {{- include "common.scratchMounts" (dict) | nindent 8 }}
  volumes:
    {{- with include "common.tlsVolume" (list $root "postgres") }}{{ . | nindent 4 }}{{ end }}
    {{- include "common.scratchVolumes" (dict "tmp" "16Mi") | nindent 4 }}
{{- end -}}
