{{/*
What every Ray node has in its environment: nobody joins or commands the cluster without the token, nor without a
certificate that it makes for itself with the key of Ray's CA.
*/}}
{{- define "actor-system.rayEnv" -}}
- name: RAY_AUTH_MODE
  value: token
{{ include "common.secretEnv" (list . "RAY_AUTH_TOKEN" "ray" "token") }}
{{- if include "common.tls" . }}
- name: IOT_RAY_TLS_CA
  value: /etc/iot-system/ray-ca/tls.crt
- name: IOT_RAY_TLS_CA_KEY
  value: /etc/iot-system/ray-ca/tls.key
{{- end }}
- name: HOME
  value: /tmp
{{- if eq .Values.ray.mode "kuberay" }}
# KubeRay's operator would name the head by another name, which Ray prefers to the one that it is started with.
- name: RAY_ADDRESS
  value: ""
# It puts a container before ours, which asks by `ray health-check` in bash, without a certificate, until it sees the head.
# This is that command as a function of bash, content at once: our own process waits for the head.
- name: BASH_FUNC_ray%%
  value: "() { :; }"
{{- end }}
{{- end -}}

{{/*
Scratch folders of a Ray node: sessions and logs in /tmp, the object store (80 MB) in /dev/shm.
*/}}
{{- define "actor-system.rayVolumes" -}}
{{- if include "common.tls" . }}
- name: ray-ca
  secret:
    secretName: {{ include "common.tlsSecretName" (list $ "ray") | quote }}
    defaultMode: 0440
{{ end -}}
{{ include "common.scratchVolumes" (dict "tmp" "2Gi" "shm" "128Mi") }}
{{- end -}}

{{- define "actor-system.rayMounts" -}}
{{- if include "common.tls" . }}
- name: ray-ca
  mountPath: /etc/iot-system/ray-ca
  readOnly: true
{{ end -}}
{{ include "common.scratchMounts" (dict "shm" true) }}
{{- end -}}
