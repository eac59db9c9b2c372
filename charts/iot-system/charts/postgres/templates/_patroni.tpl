{{- define "postgres.patroniEnv" -}}
# What the first server makes. Patroni hands on nothing whose name begins with its own.
{{ include "postgres.databaseEnv" . }}
- name: REPLICATION_USER
  value: replication
{{ include "common.secretEnv" (list $ "REPLICATION_PASSWORD" "database" "replication-password") }}
{{ include "common.fieldEnv" (list "PATRONI_NAME" "metadata.name") }}
{{ include "common.fieldEnv" (list "PATRONI_KUBERNETES_NAMESPACE" "metadata.namespace") }}
{{ include "common.fieldEnv" (list "PATRONI_KUBERNETES_POD_IP" "status.podIP") }}
- name: PATRONI_POSTGRESQL_CONNECT_ADDRESS
  value: $(PATRONI_KUBERNETES_POD_IP):5432
- name: PATRONI_RESTAPI_CONNECT_ADDRESS
  value: $(PATRONI_KUBERNETES_POD_IP):8008
{{ include "common.secretEnv" (list $ "PATRONI_SUPERUSER_USERNAME" "database" "username") }}
{{ include "common.secretEnv" (list $ "PATRONI_SUPERUSER_PASSWORD" "database" "password") }}
- name: PATRONI_REPLICATION_USERNAME
  value: replication
{{ include "common.secretEnv" (list $ "PATRONI_REPLICATION_PASSWORD" "database" "replication-password") }}
{{- if include "common.tls" . }}
{{- range $user := list "SUPERUSER" "REPLICATION" }}
{{- range $key, $value := dict "SSLMODE" "verify-ca" "SSLROOTCERT" "ca.crt" "SSLCERT" "tls.crt" "SSLKEY" "tls.key" }}
- name: PATRONI_{{ $user }}_{{ $key }}
  value: {{ eq $key "SSLMODE" | ternary $value (printf "/etc/iot-system/tls/%s" $value) }}
{{- end }}
{{- end }}
{{- end }}
# What changes something by Patroni's REST interface needs the same password; health is open.
- name: PATRONI_RESTAPI_USERNAME
  value: replication
{{ include "common.secretEnv" (list $ "PATRONI_RESTAPI_PASSWORD" "database" "replication-password") }}
{{- end -}}

{{/*
Liveness is that Patroni's loop runs; readiness that the server is primary, or follows one.
*/}}
{{- define "postgres.patroniProbes" -}}
startupProbe:
  httpGet:
    path: /liveness
    port: patroni
    scheme: {{ include "common.tls" . | empty | ternary "HTTP" "HTTPS" }}
  periodSeconds: 2
  timeoutSeconds: 5
  failureThreshold: 90
livenessProbe:
  httpGet:
    path: /liveness
    port: patroni
    scheme: {{ include "common.tls" . | empty | ternary "HTTP" "HTTPS" }}
  periodSeconds: 10
  timeoutSeconds: 5
  failureThreshold: 3
readinessProbe:
  httpGet:
    path: /readiness
    port: patroni
    scheme: {{ include "common.tls" . | empty | ternary "HTTP" "HTTPS" }}
  periodSeconds: 5
  timeoutSeconds: 5
  failureThreshold: 2
{{- end -}}
