{{- /* The name of every object, or its beginning. */}}
{{- define "qkserve.name" -}}
{{- if contains "qkserve" .Release.Name -}}
{{- .Release.Name | trunc 52 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-qkserve" .Release.Name | trunc 52 | trimSuffix "-" -}}
{{- end -}}
{{- end }}

{{- /* Labels that select the pods of this release. */}}
{{- define "qkserve.selector" -}}
app.kubernetes.io/name: qkserve
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end }}

{{- define "qkserve.labels" -}}
{{ include "qkserve.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end }}

{{- define "qkserve.claim" -}}
{{- .Values.persistence.existingClaim | default (printf "%s-key-sets" (include "qkserve.name" .)) -}}
{{- end }}

{{- /* A flag's value. Numbers of YAML are floating point here: 1073741824 would be 1.073741824e+09. */}}
{{- define "qkserve.flagValue" -}}
{{- if and (kindIs "float64" .) (eq (float64 (int64 .)) .) -}}
{{- int64 . -}}
{{- else -}}
{{- . -}}
{{- end -}}
{{- end }}
