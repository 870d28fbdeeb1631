{{/* Name of what the chart makes. */}}
{{- define "oms-operator.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 52 | trimSuffix "-" }}
{{- else }}
{{- $name := default .Chart.Name .Values.nameOverride }}
{{- if contains $name .Release.Name }}
{{- .Release.Name | trunc 52 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name $name | trunc 52 | trimSuffix "-" }}
{{- end }}
{{- end }}
{{- end }}

{{- define "oms-operator.selector" -}}
app.kubernetes.io/name: {{ default .Chart.Name .Values.nameOverride }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "oms-operator.labels" -}}
{{ include "oms-operator.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/part-of: oms-operator
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "oms-operator.serviceAccount" -}}
{{- if .Values.serviceAccount.create }}
{{- default (include "oms-operator.fullname" .) .Values.serviceAccount.name }}
{{- else }}
{{- required "`serviceAccount.name` is wanted where `serviceAccount.create` is false: name an account that exists" .Values.serviceAccount.name }}
{{- end }}
{{- end }}

{{- define "oms-operator.image" -}}
{{- if .Values.image.digest }}
{{- printf "%s@%s" .Values.image.repository .Values.image.digest }}
{{- else }}
{{- printf "%s:%s" .Values.image.repository (default .Chart.AppVersion .Values.image.tag) }}
{{- end }}
{{- end }}

{{/* Where the Secrets of ClusterConnections are. */}}
{{- define "oms-operator.clusterResourceNamespace" -}}
{{- default .Release.Namespace .Values.config.clusterResourceNamespace }}
{{- end }}

{{/* How pods are replaced: `rollingUpdate` means nothing where `type` is another, and the API server refuses it there. */}}
{{- define "oms-operator.strategy" -}}
{{- if eq .Values.strategy.type "RollingUpdate" }}
{{- toYaml .Values.strategy }}
{{- else }}
{{- toYaml (omit .Values.strategy "rollingUpdate") }}
{{- end }}
{{- end }}

{{/* Name of the replicas' lease. Who works for the whole cluster has the one that all such operators look for; in one namespace
there may be several that have lists of namespaces. */}}
{{- define "oms-operator.lease" -}}
{{- if .Values.watchNamespaces }}
{{- include "oms-operator.fullname" . }}-leader
{{- else -}}
oms-operator
{{- end }}
{{- end }}
