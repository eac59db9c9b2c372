{{/*
The beginning of one component's NetworkPolicy; the template goes on with `ingress:` and `egress:`, indented by two.

  include "iot-system.network.policy" (list $ "api")
*/}}
{{- define "iot-system.network.policy" -}}
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  name: {{ include "common.name" . }}
  labels:
    {{- include "common.labels" . | nindent 4 }}
  {{- include "common.annotations" (list (index . 0)) }}
{{ include "iot-system.network.pods" . }}
{{- end -}}

{{/*
Whom such a policy is for. Nothing that the policy does not name comes in or goes out.
*/}}
{{- define "iot-system.network.pods" -}}
spec:
  podSelector:
    matchLabels:
      {{- include "common.selectorLabels" . | nindent 6 }}
  policyTypes: [Ingress, Egress]
{{- end -}}

{{/*
Pods of components, as peers of a rule.

  include "iot-system.network.peers" (list $ "sample" "check")
*/}}
{{- define "iot-system.network.peers" -}}
{{- $root := index . 0 -}}
{{- range rest . }}
- podSelector:
    matchLabels:
      {{- include "common.selectorLabels" (list $root .) | nindent 6 }}
{{- end }}
{{- end -}}

{{/*
Ports of MQTT.
*/}}
{{- define "iot-system.network.mqttPorts" -}}
{{- range $name, $port := include "common.mqttPorts" (list $ .Values.api.mqtt.plain) | fromJson }}
- port: {{ $port }}
{{- end }}
{{- end -}}

{{/*
Every port that Ray uses between its nodes, beside the head's own: FIXED_PORTS of the runtime.
*/}}
{{- define "iot-system.network.rayPorts" -}}
- port: 10101
  endPort: 10106
- port: 10110
  endPort: 10149
{{- end -}}

{{/*
An egress rule for who looks up names.
*/}}
{{- define "iot-system.network.dns" -}}
- to:
    {{- toYaml .Values.networkPolicy.dns | nindent 4 }}
  ports:
    - port: 53
      protocol: UDP
    - port: 53
{{- end -}}

{{/*
Ingress rules for who collects metrics, at these ports; nothing where nobody does.

  include "iot-system.network.metrics" (list $ 8000)
*/}}
{{- define "iot-system.network.metrics" -}}
{{- $root := index . 0 -}}
{{- with $root.Values.networkPolicy.metrics }}
# monitoring -->
- from:
    {{- toYaml . | nindent 4 }}
  ports:
    {{- range rest $ }}
    - port: {{ . }}
    {{- end }}
{{- end }}
{{- end -}}

{{/*
The egress rule for who speaks to the Kubernetes API.
*/}}
{{- define "iot-system.network.kubernetesApi" -}}
{{ include "iot-system.network.outside" .Values.networkPolicy.kubernetesApi }}
{{- end -}}

{{/*
The port of an address with http:// or https://.
*/}}
{{- define "iot-system.network.urlPort" -}}
{{- $url := urlParse . -}}
{{- $given := regexFind ":[0-9]+$" $url.host | trimPrefix ":" -}}
{{- $given | default (eq $url.scheme "https" | ternary "443" "80") -}}
{{- end -}}

{{/*
The egress rule for who uses servers outside, as `networkPolicy` names them.

  include "iot-system.network.outside" .Values.networkPolicy.externalNats
*/}}
{{- define "iot-system.network.outside" -}}
- ports:
    {{- range .ports }}
    - port: {{ . }}
    {{- end }}
  {{- with .to }}
  to:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end -}}

{{/*
The egress rule for who uses NATS.
*/}}
{{- define "iot-system.network.nats" -}}
{{- if include "common.ownNats" . -}}
# --> nats
- to:
    {{- include "iot-system.network.peers" (list $ "nats") | nindent 4 }}
  ports:
    - port: 4222
{{- else -}}
# --> the NATS servers outside
{{ include "iot-system.network.outside" .Values.networkPolicy.externalNats }}
{{- end }}
{{- end -}}

{{/*
The egress rule for who uses the database.
*/}}
{{- define "iot-system.network.database" -}}
{{- if include "common.ownDatabase" . -}}
# --> postgres
- to:
    {{- include "iot-system.network.peers" (list $ "postgres") | nindent 4 }}
  ports:
    - port: 5432
{{- else if eq .Values.global.database.mode "external" -}}
# --> the database outside
{{ include "iot-system.network.outside" .Values.networkPolicy.externalDatabase }}
{{- end }}
{{- end -}}
