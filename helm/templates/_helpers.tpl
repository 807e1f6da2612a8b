{{/* The WorkflowTemplate's name, which the accounts share: one install a namespace. */}}
{{- define "worldcover.name" -}}
worldcover-embeddings
{{- end }}

{{- define "worldcover.labels" -}}
app.kubernetes.io/name: {{ include "worldcover.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end }}

{{- define "worldcover.image" -}}
{{ required "an image is needed: --set image=REPO:TAG, built from image/Dockerfile" .Values.image }}
{{- end }}

{{/* The cluster's way to S3, as a container's env and envFrom. */}}
{{- define "worldcover.aws" -}}
{{- with .Values.aws }}
env:
  {{- with .region }}
  - {name: AWS_REGION, value: {{ . | quote }}}
  {{- end }}
  {{- with .endpointUrl }}
  - {name: AWS_ENDPOINT_URL_S3, value: {{ . | quote }}}
  {{- end }}
  {{- if not (or .region .endpointUrl) }}
  []
  {{- end }}
{{- with .credentialsSecret }}
envFrom:
  - secretRef: {name: {{ . }}}
{{- end }}
{{- end }}
{{- end }}

{{/* Hera's WorkflowTemplate with the values put in. Its {{...}} are Argo's: the file is data here, never a Helm template. */}}
{{- define "worldcover.workflowTemplate" -}}
{{- $template := .Files.Get "files/workflowtemplate.yaml" | fromYaml }}
{{- $_ := mergeOverwrite $template.metadata.labels (include "worldcover.labels" . | fromYaml) }}
{{- $spec := $template.spec }}
{{- $_ := set $spec "parallelism" .Values.parallelism }}
{{- $output := required "an output is needed: --set output=s3://bucket/prefix" .Values.output }}
{{- $defaults := dict "output" $output "source" .Values.source "weights" .Values.weights "columns-per-pod" (.Values.columnsPerPod | int | toString) }}
{{- range $parameter := $spec.arguments.parameters }}
  {{- if hasKey $defaults $parameter.name }}
    {{- $_ := set $parameter "value" (get $defaults $parameter.name) }}
  {{- end }}
{{- end }}
{{- $aws := include "worldcover.aws" . | fromYaml }}
{{- range $step := $spec.templates }}
  {{- if hasKey $step "dag" }}
    {{- $_ := set $step "parallelism" $.Values.parallelism }}
  {{- else }}
    {{- $values := index $.Values $step.name }}
    {{- $resources := deepCopy $values.resources }}
    {{- with $values.gpu }}
      {{- $_ := set $resources "requests" (merge (dict "nvidia.com/gpu" .) ($resources.requests | default dict)) }}
      {{- $_ := set $resources "limits" (merge (dict "nvidia.com/gpu" .) ($resources.limits | default dict)) }}
    {{- end }}
    {{- $container := $step.container }}
    {{- $_ := set $container "image" (include "worldcover.image" $) }}
    {{- $_ := set $container "resources" $resources }}
    {{- $_ := set $container "env" (concat $container.env $aws.env) }}
    {{- with $values.device | default (ternary "cuda" "" (gt (int $values.gpu) 0)) }}{{/* a GPU's pod computes on it, or not at all */}}
      {{- $_ := set $container "env" (append $container.env (dict "name" "DEVICE" "value" .)) }}
    {{- end }}
    {{- with $aws.envFrom }}
      {{- $_ := set $container "envFrom" . }}
    {{- end }}
    {{- range $key := list "nodeSelector" "tolerations" }}
      {{- with get $values $key }}
        {{- $_ := set $step $key . }}
      {{- end }}
    {{- end }}
  {{- end }}
{{- end }}
{{- toYaml $template }}
{{- end }}

{{/* The ports of the addresses that the values name, where they are no standard ones. */}}
{{- define "worldcover.ports" -}}
{{- range list .Values.aws.endpointUrl .Values.source .Values.weights }}
  {{- if hasPrefix "http" . }}
    {{- $url := urlParse . }}
    {{- $port := regexFind ":[0-9]+$" $url.host | trimPrefix ":" | default (eq $url.scheme "http" | ternary "80" "443") }}
- {port: {{ $port }}, protocol: TCP}
  {{- end }}
{{- end }}
{{- end }}
