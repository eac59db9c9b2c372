{{/*
What every pod of one component begins with: who it is, what it may, where it goes.
Service links stay off: they would put a variable for each Service of the namespace into every container.

  include "common.pod" (dict "root" $ "account" "api" "component" "api" "replicas" 3)
  with "kubernetesApi" true for the one pod that needs its service account's token
*/}}
{{- define "common.pod" -}}
serviceAccountName: {{ include "common.name" (list .root .account) }}
automountServiceAccountToken: {{ .kubernetesApi | default false }}
enableServiceLinks: false
{{- with .root.Values.global.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . | quote }}
  {{- end }}
{{- end }}
{{ include "common.podSecurity" . }}
{{- if gt (int .replicas) 1 }}
{{ include "common.spread" . }}
{{- end }}
{{- end -}}

{{/*
Replicas spread over zones, then over nodes. A preference, so that a small cluster can still run them.
*/}}
{{- define "common.spread" -}}
{{- $component := .component -}}
{{- $root := .root -}}
topologySpreadConstraints:
  {{- range list "topology.kubernetes.io/zone" "kubernetes.io/hostname" }}
  - maxSkew: 1
    topologyKey: {{ . }}
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels:
        {{- include "common.selectorLabels" (list $root $component) | nindent 8 }}
  {{- end }}
{{- end -}}
