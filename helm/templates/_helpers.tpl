{{/* What the project is called, and the generated template. */}}
{{- define "worldcover.name" -}}
worldcover-embeddings
{{- end }}

{{/* What every object is called: after the release, so that two releases fit into one namespace. */}}
{{- define "worldcover.fullname" -}}
{{- $name := .Values.fullnameOverride | default (printf "%s-embeddings" .Release.Name) }}
{{- if gt (len $name) 51 }}{{/* a workflow's name is this, its year and six letters: Argo takes 63 characters */}}
  {{- fail (printf "the name %s is longer than 51 characters: --set fullnameOverride=NAME" $name) }}
{{- end }}
{{- $name }}
{{- end }}

{{/* The pods' account. */}}
{{- define "worldcover.serviceAccount" -}}
{{- if .Values.serviceAccount.create }}
{{- .Values.serviceAccount.name | default (include "worldcover.fullname" .) }}
{{- else }}
{{- required "an account is needed where serviceAccount.create is false: --set serviceAccount.name=NAME" .Values.serviceAccount.name }}
{{- end }}
{{- end }}

{{/* The submitter's account; empty where there is none. */}}
{{- define "worldcover.submitter" -}}
{{- if .Values.submitter.create }}
{{- .Values.submitter.name | default (printf "%s-submitter" (include "worldcover.fullname" .)) }}
{{- else }}
{{- .Values.submitter.name }}
{{- end }}
{{- end }}

{{/* What tells this release's pods from all others. Its workflows go without: Argo CD would prune them for an application's own. */}}
{{- define "worldcover.selector" -}}
app.kubernetes.io/name: {{ include "worldcover.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "worldcover.labels" -}}
{{ include "worldcover.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end }}

{{/* The labels by which an Argo controller or server with an instance id knows its own. */}}
{{- define "worldcover.instance" -}}
{{- with .Values.instanceId }}
workflows.argoproj.io/controller-instanceid: {{ . | quote }}
{{- end }}
{{- end }}

{{/* The labels of the pods. */}}
{{- define "worldcover.podLabels" -}}
{{- $labels := deepCopy .Values.podLabels }}
{{- with .Values.queueName }}
  {{- $_ := set $labels "kueue.x-k8s.io/queue-name" . }}
{{- end }}
{{- toYaml (mergeOverwrite $labels (include "worldcover.selector" . | fromYaml)) }}
{{- end }}

{{- define "worldcover.image" -}}
{{ required "an image is needed: --set image=REPO:TAG, built from image/Dockerfile" .Values.image }}
{{- end }}

{{/* A container's environment: its own (`own`), the cluster's way to S3, and extraEnv, which wins, as no name may stand there twice. */}}
{{- define "worldcover.env" -}}
{{- $all := .own }}
{{- with .root.Values.aws.region }}
  {{- $all = append $all (dict "name" "AWS_REGION" "value" .) }}
{{- end }}
{{- with .root.Values.aws.endpointUrl }}
  {{- $all = append $all (dict "name" "AWS_ENDPOINT_URL_S3" "value" .) }}
{{- end }}
{{- $extra := dict }}
{{- range .root.Values.extraEnv }}
  {{- $_ := set $extra .name . }}
{{- end }}
{{- $env := list }}
{{- range $all }}
  {{- if not (hasKey $extra .name) }}
    {{- $env = append $env . }}
  {{- end }}
{{- end }}
{{- toYaml (concat $env .root.Values.extraEnv) }}
{{- end }}

{{/* Hera's WorkflowTemplate with the values put in. Its {{...}} are Argo's: the file is data here, never a Helm template. */}}
{{- define "worldcover.workflowTemplate" -}}
{{- $template := .Files.Get "files/workflowtemplate.yaml" | fromYaml }}
{{- $name := include "worldcover.fullname" . }}
{{- $instance := include "worldcover.instance" . | fromYaml }}
{{- $_ := set $template.metadata "name" $name }}
{{- $_ := mergeOverwrite $template.metadata.labels (include "worldcover.labels" . | fromYaml) $instance }}
{{- if ne $name (include "worldcover.name" .) }}
  {{- $title := "workflows.argoproj.io/title" }}{{/* which the UI shows in the name's place */}}
  {{- $_ := set $template.metadata.annotations $title (printf "%s: %s" (get $template.metadata.annotations $title) $name) }}
{{- end }}
{{- $spec := $template.spec }}
{{- $_ := set $spec "parallelism" .Values.parallelism }}
{{- $_ := set $spec "serviceAccountName" (include "worldcover.serviceAccount" .) }}
{{- with $instance }}
  {{- $_ := set $spec "workflowMetadata" (dict "labels" .) }}
{{- end }}
{{- $_ := set $spec.podMetadata "labels" (include "worldcover.podLabels" . | fromYaml) }}
{{- $_ := mergeOverwrite $spec.podMetadata.annotations .Values.podAnnotations }}
{{- $_ := set $spec "ttlStrategy" .Values.ttl }}
{{- if .Values.archiveLogs }}
  {{- $_ := set $spec "archiveLogs" true }}
{{- end }}
{{- with .Values.imagePullSecrets }}
  {{- $_ := set $spec "imagePullSecrets" . }}
{{- end }}
{{- range $mutex := $spec.synchronization.mutexes }}
  {{- $_ := set $mutex "name" (trimPrefix (include "worldcover.name" $) $mutex.name | printf "%s%s" $name) }}
{{- end }}
{{- $output := required "an output is needed: --set output=s3://bucket/prefix" .Values.output }}
{{- $defaults := dict "output" $output "source" .Values.source "weights" .Values.weights "columns-per-pod" (.Values.columnsPerPod | int | toString) }}
{{- range $parameter := $spec.arguments.parameters }}
  {{- if hasKey $defaults $parameter.name }}
    {{- $_ := set $parameter "value" (get $defaults $parameter.name) }}
  {{- end }}
{{- end }}
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
    {{- with $values.device | default (ternary "cuda" "" (gt (int $values.gpu) 0)) }}{{/* a GPU's pod computes on it, or not at all */}}
      {{- $_ := set $container "env" (append $container.env (dict "name" "DEVICE" "value" .)) }}
    {{- end }}
    {{- $_ := set $container "env" (include "worldcover.env" (dict "own" $container.env "root" $) | fromYamlArray) }}
    {{- with $.Values.aws.credentialsSecret }}
      {{- $_ := set $container "envFrom" (list (dict "secretRef" (dict "name" .))) }}
    {{- end }}
    {{- $_ := set $container "volumeMounts" (concat $container.volumeMounts $.Values.extraVolumeMounts) }}
    {{- $_ := set $step "volumes" (concat $step.volumes $.Values.extraVolumes) }}
    {{- range $key := list "nodeSelector" "tolerations" "affinity" "priorityClassName" }}
      {{- with get $values $key | default (get $.Values $key) }}
        {{- $_ := set $step $key . }}
      {{- end }}
    {{- end }}
    {{- $patch := dict }}{{/* what Argo's templates have no field for */}}
    {{- range $key := list "topologySpreadConstraints" "runtimeClassName" }}
      {{- with get $values $key | default (get $.Values $key) }}
        {{- $_ := set $patch $key . }}
      {{- end }}
    {{- end }}
    {{- with $.Values.executor.resources }}
      {{- $_ := set $patch "initContainers" (list (dict "name" "init" "resources" .)) }}
      {{- $_ := set $patch "containers" (list (dict "name" "wait" "resources" .)) }}
    {{- end }}
    {{- with $patch }}
      {{- $_ := set $step "podSpecPatch" (toJson .) }}
    {{- end }}
  {{- end }}
{{- end }}
{{- toYaml $template }}
{{- end }}

{{/* The ports of the addresses that the values name, and of the proxies in extraEnv. */}}
{{- define "worldcover.ports" -}}
{{- $urls := list .Values.aws.endpointUrl .Values.source .Values.weights }}
{{- range .Values.extraEnv }}
  {{- if and .value (has (upper .name) (list "HTTP_PROXY" "HTTPS_PROXY" "ALL_PROXY")) }}
    {{- $urls = append $urls (contains "://" .value | ternary .value (printf "http://%s" .value)) }}
  {{- end }}
{{- end }}
{{- range $urls }}
  {{- if regexMatch "^(http|socks)" . }}
    {{- $url := urlParse . }}
    {{- $standard := hasPrefix "socks" $url.scheme | ternary "1080" (eq $url.scheme "http" | ternary "80" "443") }}
- {port: {{ regexFind ":[0-9]+$" $url.host | trimPrefix ":" | default $standard }}, protocol: TCP}
  {{- end }}
{{- end }}
{{- end }}
