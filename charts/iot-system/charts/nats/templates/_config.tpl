{{- define "nats.config" -}}
{{ tpl (.Files.Get "files/nats.conf") . }}
{{- end -}}

{{/*
Of clients and of the other servers alike: who shows no certificate of our CA is refused.
*/}}
{{- define "nats.tls" -}}
{{- if include "common.tls" . -}}
tls {
  cert_file: "/etc/iot-system/tls/tls.crt"
  key_file: "/etc/iot-system/tls/tls.key"
  ca_file: "/etc/iot-system/tls/ca.crt"
  verify: true
  # Seconds; on a busy machine a handshake takes more than the two that are the server's default.
  timeout: 10
}
{{- end -}}
{{- end -}}

{{/*
Made from the runtime's list; a test compares the two.
*/}}
{{- define "nats.permissions" -}}
{{ .Files.Get "files/permissions.conf" }}
{{- end -}}

{{/*
Four fifths of the volume, in bytes: the rest is for indexes and for what waits to be compacted.
*/}}
{{- define "nats.maxFileStore" -}}
{{ include "common.percentOf" (list 80 .Values.storage) }}
{{- end -}}

{{/*
All servers' routes, as a NATS array. Kubernetes fills in user and password.
*/}}
{{- define "nats.routes" -}}
{{- $hosts := include "common.name" (list $ "nats-headless") -}}
{{- $server := include "common.name" (list $ "nats") -}}
{{- $routes := list -}}
{{- range until (int .Values.replicas) -}}
{{- $routes = append $routes (printf "%s://$(NATS_USER):$(NATS_PASSWORD)@%s-%d.%s:6222" (include "common.natsScheme" $) $server . $hosts) -}}
{{- end -}}
{{ $routes | toJson }}
{{- end -}}
