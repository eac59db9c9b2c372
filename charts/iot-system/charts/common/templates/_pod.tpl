{{/*
What every pod of one component begins with: who it is, what it may, where it goes.
Service links stay off: they would put a variable for each Service of the namespace into every container.

  include "common.pod" (dict "root" $ "account" "api" "component" "api" "replicas" 3 "priority" .Values.priorityClassName)
  with "perRevision" true for a Deployment
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
{{- with .priority }}
priorityClassName: {{ . | quote }}
{{- end }}
{{ include "common.podSecurity" . }}
{{- if .perRevision }}
# Another node takes over from one that is lost half a minute after Kubernetes has noticed, not five. Pods with a volume
# stay: two with one volume would be worse.
tolerations:
  {{- range list "not-ready" "unreachable" }}
  - key: node.kubernetes.io/{{ . }}
    operator: Exists
    effect: NoExecute
    tolerationSeconds: 30
  {{- end }}
{{- end }}
{{- if gt (int .replicas) 1 }}
{{ include "common.spread" . }}
{{- end }}
{{- end -}}

{{/*
Replicas spread over zones, then over nodes. Preferred: a small cluster can still run them. Required: a pod without a
place of its own waits for one; nodes that take no pods do not count.
*/}}
{{- define "common.spread" -}}
{{- $component := .component -}}
{{- $perRevision := .perRevision -}}
{{- $root := .root -}}
topologySpreadConstraints:
  {{- range list (list "topology.kubernetes.io/zone" "zones") (list "kubernetes.io/hostname" "nodes") }}
  - maxSkew: 1
    topologyKey: {{ first . }}
    whenUnsatisfiable: {{ eq (get $root.Values.global.spread (last .)) "required" | ternary "DoNotSchedule" "ScheduleAnyway" }}
    nodeTaintsPolicy: Honor
    {{- if $perRevision }}
    # A rolling update spreads the new pods, whatever the old ones do.
    matchLabelKeys: [pod-template-hash]
    {{- end }}
    labelSelector:
      matchLabels:
        {{- include "common.selectorLabels" (list $root $component) | nindent 8 }}
  {{- end }}
{{- end -}}
