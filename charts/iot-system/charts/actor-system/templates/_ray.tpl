{{/*
What every Ray node has in its environment: nobody joins or commands the cluster without the token.
*/}}
{{- define "actor-system.rayEnv" -}}
- name: RAY_AUTH_MODE
  value: token
{{ include "common.secretEnv" (list . "RAY_AUTH_TOKEN" "ray" "token") }}
- name: HOME
  value: /tmp
{{- end -}}

{{/*
Scratch folders of a Ray node: sessions and logs in /tmp, the object store (80 MB) in /dev/shm.
*/}}
{{- define "actor-system.rayVolumes" -}}
{{ include "common.scratchVolumes" (dict "tmp" "2Gi" "shm" "128Mi") }}
{{- end -}}

{{- define "actor-system.rayMounts" -}}
{{ include "common.scratchMounts" (dict "shm" true) }}
{{- end -}}
