{{/*
What the secrets job makes, as JSON: {secret: {key: value}}, where {"generate": 32} is a new random text of that length
and {braces} in a value refer to another key of the same secret. Secrets given by `existingSecret` are left out.
*/}}
{{- define "iot-system.secrets" -}}
{{- $generated := dict "generate" 32 -}}
{{- $secrets := dict -}}
{{- with .Values.global -}}
{{- if not .api.existingSecret -}}
{{- $_ := set $secrets (include "common.secretName" (list $ "api")) (dict "admin-token" $generated) -}}
{{- end -}}
{{- if and (include "common.ownNats" $) (not .nats.existingSecret) -}}
{{- $_ := set $secrets (include "common.secretName" (list $ "nats")) (dict "username" "iot" "password" $generated) -}}
{{- end -}}
{{- range $part := list "natsApi" "natsActorSystem" -}}
{{- if not (index $.Values.global $part).existingSecret -}}
{{- $_ := set $secrets (include "common.secretName" (list $ $part)) (dict "password" $generated) -}}
{{- end -}}
{{- end -}}
{{- if not .ray.existingSecret -}}
{{- $_ := set $secrets (include "common.secretName" (list $ "ray")) (dict "token" $generated) -}}
{{- end -}}
{{- if and (include "common.ownDatabase" $) (not .database.existingSecret) -}}
{{- $keys := dict "username" "iot" "password" $generated -}}
{{- range $role, $key := dict "runtime" "url" "owner" "owner-url" "reader" "reader-url" -}}
{{- $_ := set $keys (printf "%s-password" $role) $generated -}}
{{- $_ := set $keys $key (include "common.databaseUrlPattern" (list $ $role)) -}}
{{- end -}}
{{- if eq .database.mode "replicated" }}{{ $_ := set $keys "replication-password" $generated }}{{ end -}}
{{- $_ := set $secrets (include "common.secretName" (list $ "database")) $keys -}}
{{- end -}}
{{- end -}}
{{ $secrets | toJson }}
{{- end -}}

{{/*
The names of all secrets that the job makes, those of certificates included, as JSON.
*/}}
{{- define "iot-system.secrets.names" -}}
{{- $names := include "iot-system.secrets" . | fromJson | keys -}}
{{- with include "iot-system.certificates.generated" . -}}
{{- $certificates := fromJson . -}}
{{- $names = concat $names (keys $certificates.signed) $certificates.separate (list $certificates.authority) -}}
{{- end -}}
{{ $names | sortAlpha | toJson }}
{{- end -}}

{{/*
Everything that the secrets job needs is there twice: as hooks, which come before everything else and go after they have
succeeded, and as parts of the release, for the CronJob. Annotations of one of them.

  include "iot-system.secrets.annotations" (list "secrets" "-10")
*/}}
{{- define "iot-system.secrets.annotations" -}}
{{- if eq (index . 0) "secrets" -}}
helm.sh/hook: pre-install,pre-upgrade
helm.sh/hook-weight: {{ index . 1 | quote }}
helm.sh/hook-delete-policy: before-hook-creation,hook-succeeded
{{- end -}}
{{- end -}}

{{- define "iot-system.secrets.env" -}}
{{ include "common.fieldEnv" (list "IOT_SECRETS_NAMESPACE" "metadata.namespace") }}
- name: IOT_SECRETS
  value: {{ include "iot-system.secrets" . | squote }}
{{- with include "iot-system.certificates.generated" . }}
- name: IOT_CERTIFICATES
  value: {{ . | squote }}
{{- end }}
{{- end -}}

{{/*
The job itself, for one of the two.

  include "iot-system.secrets.job" (list $ "secrets")
*/}}
{{- define "iot-system.secrets.job" -}}
{{- $root := index . 0 -}}
# Time to read what it has to say, where Helm has not deleted it before.
ttlSecondsAfterFinished: 86400
backoffLimit: 4
template:
  metadata:
    labels:
      {{- include "common.podLabels" (list $root "secrets") | nindent 6 }}
  spec:
    {{- include "common.commandPod" (dict "root" $root "account" (index . 1) "component" "secrets" "args" (list "secrets") "env" (include "iot-system.secrets.env" $root) "restartPolicy" "Never" "kubernetesApi" true) | nindent 4 }}
{{- end -}}
