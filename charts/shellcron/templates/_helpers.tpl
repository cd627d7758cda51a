{{- define "shellcron.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 40 | trimSuffix "-" }}
{{- end }}

{{- define "shellcron.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" }}
{{- else }}
{{- $name := include "shellcron.name" . }}
{{- if contains $name .Release.Name }}{{ .Release.Name | trunc 40 | trimSuffix "-" }}{{ else }}{{ printf "%s-%s" .Release.Name $name | trunc 40 | trimSuffix "-" }}{{ end }}
{{- end }}
{{- end }}

{{/* Labels of a component: (dict "root" $ "component" "operator") */}}
{{- define "shellcron.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
app.kubernetes.io/part-of: shellcron
{{ include "shellcron.selector" . }}
{{- with .root.Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "shellcron.selector" -}}
app.kubernetes.io/name: {{ include "shellcron.name" .root }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end }}

{{/* An image: (dict "root" $ "image" .Values.operator.image) */}}
{{- define "shellcron.image" -}}
{{- $registry := .root.Values.global.imageRegistry | default .image.registry }}
{{- $version := .image.tag | default .root.Chart.AppVersion }}
{{- with $registry }}{{ . }}/{{ end }}{{ .image.repository }}{{ if .image.digest }}@{{ .image.digest }}{{ else }}:{{ $version }}{{ end }}
{{- end }}

{{- define "shellcron.pullSecrets" -}}
{{- with concat (default list .Values.global.imagePullSecrets) .Values.imagePullSecrets }}
imagePullSecrets:
{{- range . }}
  - name: {{ if kindIs "map" . }}{{ .name }}{{ else }}{{ . }}{{ end }}
{{- end }}
{{- end }}
{{- end }}

{{- define "shellcron.operatorAccount" -}}
{{- default (printf "%s-operator" (include "shellcron.fullname" .)) .Values.operator.serviceAccount.name }}
{{- end }}

{{- define "shellcron.agentAccount" -}}
{{ include "shellcron.fullname" . }}-agent
{{- end }}

{{/* The names of etcd's members in the cluster's DNS, one a line. */}}
{{- define "shellcron.etcdMembers" -}}
{{- $service := printf "%s-etcd" (include "shellcron.fullname" .) }}
{{- range $i := until (int .Values.etcd.replicas) }}
{{ printf "%s-%d.%s.%s.svc.%s" $service $i $service $.Release.Namespace $.Values.clusterDomain }}
{{- end }}
{{- end }}

{{/* etcd's client URLs inside the cluster, separated by commas. */}}
{{- define "shellcron.etcdEndpoints" -}}
{{- if .Values.etcd.enabled }}
{{- $urls := list }}
{{- range splitList "\n" (include "shellcron.etcdMembers" . | trim) }}{{ $urls = append $urls (printf "https://%s:2379" .) }}{{ end }}
{{- join "," $urls }}
{{- else }}
{{- join "," .Values.etcd.external.endpoints }}
{{- end }}
{{- end }}

{{/* The names in etcd's certificate, separated by commas. The first is the common name, which members demand of each other. */}}
{{- define "shellcron.etcdNames" -}}
{{- $service := printf "%s-etcd.%s" (include "shellcron.fullname" .) .Release.Namespace }}
{{- $names := list (printf "%s-etcd" (include "shellcron.fullname" .)) $service (printf "%s.svc.%s" $service .Values.clusterDomain) (printf "%s.svc" $service) "localhost" "127.0.0.1" }}
{{- $names = concat $names (splitList "\n" (include "shellcron.etcdMembers" . | trim)) }}
{{- with .Values.external.host }}{{ $names = append $names . }}{{ end }}
{{- join "," (concat $names .Values.external.sans | uniq) }}
{{- end }}

{{- define "shellcron.operatorUrl" -}}
https://{{ include "shellcron.fullname" . }}-operator.{{ .Release.Namespace }}.svc.{{ .Values.clusterDomain }}:{{ .Values.operator.service.port }}
{{- end }}

{{/* Pod Security "restricted". */}}
{{- define "shellcron.podSecurity" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
fsGroupChangePolicy: OnRootMismatch
seccompProfile: { type: RuntimeDefault }
{{- end }}

{{- define "shellcron.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: { drop: [ALL] }
{{- end }}

{{/* Stops with what is wrong with the values, before anything is installed. */}}
{{- define "shellcron.check" -}}
{{- if and (gt (int .Values.operator.replicas) 1) (not .Values.logStore.postgresql.url) }}
{{- fail "operator.replicas: more than one operator needs logStore.postgresql.url; the embedded log store serves one" }}
{{- end }}
{{- if not (has (int .Values.etcd.replicas) (list 1 3)) }}
{{- fail "etcd.replicas: must be 1 or 3" }}
{{- end }}
{{- if and (not .Values.etcd.enabled) .Values.etcd.backup.enabled }}
{{- fail "etcd.backup.enabled: back up an external etcd where it runs" }}
{{- end }}
{{- if and .Values.etcd.backup.enabled (not .Values.etcd.backup.claim) }}
{{- fail "etcd.backup.claim: name an existing PersistentVolumeClaim for the snapshots" }}
{{- end }}
{{- if and (not .Values.etcd.enabled) (not .Values.etcd.external.endpoints) }}
{{- fail "etcd.external.endpoints: required if etcd.enabled is false" }}
{{- end }}
{{- if eq .Values.agentNamespace.name .Release.Namespace }}
{{- if .Values.agentNamespace.create }}{{ fail "agentNamespace.name: is the release's namespace; use another, or set agentNamespace.create to false" }}{{ end }}
{{- end }}
{{- end }}

{{/* The names in the operator's certificate, separated by commas. */}}
{{- define "shellcron.operatorNames" -}}
{{- $service := printf "%s-operator.%s" (include "shellcron.fullname" .) .Release.Namespace }}
{{- $names := list $service (printf "%s.svc" $service) (printf "%s.svc.%s" $service .Values.clusterDomain) }}
{{- with .Values.external.host }}{{ $names = append $names . }}{{ end }}
{{- join "," (concat $names .Values.external.sans | uniq) }}
{{- end }}

{{/* The rest of the pod of a hook or a test: (dict "root" $ "args" (list …)) */}}
{{- define "shellcron.hookPod" -}}
{{- $op := .root.Values.operator }}
restartPolicy: Never
{{- include "shellcron.pullSecrets" .root }}
securityContext: {{- include "shellcron.podSecurity" .root | nindent 2 }}
containers:
  - name: {{ index .args 1 }}
    image: {{ include "shellcron.image" (dict "root" .root "image" $op.image) }}
    imagePullPolicy: {{ $op.image.pullPolicy }}
    args: {{- toYaml .args | nindent 6 }}
    env:
      - { name: POD_NAMESPACE, valueFrom: { fieldRef: { fieldPath: metadata.namespace } } }
    resources: {{- toYaml .root.Values.hookResources | nindent 6 }}
    securityContext: {{- include "shellcron.containerSecurity" .root | nindent 6 }}
{{- with $op.nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $op.tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}
