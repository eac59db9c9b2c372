{{/*
A pod that runs one `iot-system` command to its end: migration, streams, secrets, sample, check.

  include "common.commandPod" (dict "root" $ "account" "actor-system" "component" "migrate"
    "args" (list "migrate") "env" $yaml "restartPolicy" "OnFailure")
  with "tls" (list "actor-system") for the certificate of a component, or (list "api" "ca.crt") for a file of it
  with "ca" (list "database") for the file of a server's CA
*/}}
{{- define "common.commandPod" -}}
restartPolicy: {{ .restartPolicy }}
{{ include "common.pod" . }}
containers:
  - name: {{ .component }}
    {{- include "common.image" (list .root "iot-system/actor-system") | nindent 4 }}
    args: {{ .args | toJson }}
    env:
      - name: HOME
        value: /tmp
      - name: IOT_LOG_LEVEL
        value: {{ .root.Values.global.logLevel | quote }}
      {{- .env | nindent 6 }}
    resources:
      requests:
        cpu: 50m
        memory: 96Mi
        ephemeral-storage: 64Mi
      limits:
        cpu: "1"
        memory: 192Mi
        ephemeral-storage: 256Mi
    {{- include "common.containerSecurity" . | nindent 4 }}
    volumeMounts:
      {{- if .tls }}
      {{- with include "common.tlsMount" .root }}{{ . | nindent 6 }}{{ end }}
      {{- end }}
      {{- include "common.scratchMounts" (dict) | nindent 6 }}
      {{- with include "common.caMounts" (prepend (.ca | default list) .root) }}
      {{- . | indent 6 }}
      {{- end }}
volumes:
  {{- with .tls }}
  {{- with include "common.tlsVolume" (prepend . $.root) }}{{ . | nindent 2 }}{{ end }}
  {{- end }}
  {{- include "common.scratchVolumes" (dict "tmp" "64Mi") | nindent 2 }}
  {{- with include "common.caVolumes" (prepend (.ca | default list) .root) }}
  {{- . | indent 2 }}
  {{- end }}
{{- end -}}
