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
Hooks of the secrets job: before everything else, gone after it has succeeded.
*/}}
{{- define "iot-system.secrets.hook" -}}
helm.sh/hook: pre-install,pre-upgrade
helm.sh/hook-weight: {{ . | quote }}
helm.sh/hook-delete-policy: before-hook-creation,hook-succeeded
{{- end -}}

{{- define "iot-system.secrets.env" -}}
{{ include "common.fieldEnv" (list "IOT_SECRETS_NAMESPACE" "metadata.namespace") }}
- name: IOT_SECRETS
  value: {{ include "iot-system.secrets" . | squote }}
{{- end -}}
