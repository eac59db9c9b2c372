{{/*
An environment variable from one part's secret; a fifth argument says that a given secret need not have the key.

  include "common.secretEnv" (list $ "DATABASE_URL" "database" "url")
  include "common.secretEnv" (list $ "DATABASE_OWNER_URL" "database" "owner-url" "optional")
*/}}
{{- define "common.secretEnv" -}}
- name: {{ index . 1 }}
  valueFrom:
    secretKeyRef:
      name: {{ include "common.secretName" (list (index . 0) (index . 2)) | quote }}
      key: {{ index . 3 }}
      {{- if and (gt (len .) 4) (index (index . 0).Values.global (index . 2)).existingSecret }}
      optional: true
      {{- end }}
{{- end -}}

{{/*
An environment variable from a field of the pod.

  include "common.fieldEnv" (list "ACTOR_SYSTEM_ADDRESS" "status.podIP")
*/}}
{{- define "common.fieldEnv" -}}
- name: {{ index . 0 }}
  valueFrom:
    fieldRef:
      fieldPath: {{ index . 1 }}
{{- end -}}
