{{/*
Writable folders beside the read-only root: /tmp on disk, and /dev/shm in memory (it counts against the memory limit).

  include "common.scratchVolumes" (dict "tmp" "1Gi" "shm" "128Mi")
*/}}
{{- define "common.scratchVolumes" -}}
- name: tmp
  emptyDir:
    sizeLimit: {{ .tmp }}
{{- with .shm }}
- name: shm
  emptyDir:
    medium: Memory
    sizeLimit: {{ . }}
{{- end }}
{{- end -}}

{{- define "common.scratchMounts" -}}
- name: tmp
  mountPath: /tmp
{{- if .shm }}
- name: shm
  mountPath: /dev/shm
{{- end }}
{{- end -}}
