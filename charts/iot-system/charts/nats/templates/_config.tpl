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
Writes what the configuration includes from the files of the secrets: in quotes, since a password of digits would be a
number. Servers log in to each other, so their routes carry the password.
*/}}
{{- define "nats.writeSecrets" -}}
{
  for file in /etc/iot-system/secrets/*; do
    printf '%s: "%s"\n' "${file##*/}" "$(cat "$file")"
  done
  {{- if gt (int .Values.replicas) 1 }}
  login=$(cat /etc/iot-system/secrets/NATS_USER):$(cat /etc/iot-system/secrets/NATS_PASSWORD)
  printf 'NATS_ROUTES: [\n'
  for server in {{ include "nats.servers" . }}; do
    printf '  "nats-route://%s@%s:6222"\n' "$login" "$server"
  done
  printf ']\n'
  {{- end }}
} > /run/nats/secrets.conf
{{- end -}}

{{/*
Where the servers find each other, with spaces between.
*/}}
{{- define "nats.servers" -}}
{{- $names := list -}}
{{- range until (int .Values.replicas) -}}
{{- $names = append $names (printf "%s-%d.%s" (include "common.name" (list $ "nats")) . (include "common.name" (list $ "nats-headless"))) -}}
{{- end -}}
{{ join " " $names }}
{{- end -}}
