{{- define "token-authority.name" -}}
{{- printf "%s" .Release.Name | trunc 52 | trimSuffix "-" -}}
{{- end -}}

{{- define "token-authority.selector" -}}
app.kubernetes.io/name: token-authority
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "token-authority.labels" -}}
{{ include "token-authority.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end -}}
