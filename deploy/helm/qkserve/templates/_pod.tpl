{{- /* The template of a pod. Arguments: the root context and the component, writer or reader. */}}
{{- define "qkserve.pod" -}}
{{- $root := index . 0 }}
{{- $component := index . 1 }}
{{- $isReader := eq $component "reader" }}
{{- $values := $root.Values }}
metadata:
  labels:
    {{- include "qkserve.selector" $root | nindent 4 }}
    app.kubernetes.io/component: {{ $component }}
  {{- if not $values.podMonitor.enabled }}
  annotations:
    prometheus.io/scrape: "true"
    prometheus.io/port: "8080"
    {{- if $values.tls.secretName }}
    prometheus.io/scheme: https
    {{- end }}
  {{- end }}
spec:
  serviceAccountName: {{ include "qkserve.name" $root }}
  automountServiceAccountToken: false
  enableServiceLinks: false
  # The sum of preStop, --drain_grace and --drain_timeout, and some seconds more.
  terminationGracePeriodSeconds: 45
  {{- with $values.image.pullSecrets }}
  imagePullSecrets:
    {{- range . }}
    - name: {{ . }}
    {{- end }}
  {{- end }}
  securityContext:
    runAsNonRoot: true
    runAsUser: 65532
    runAsGroup: 65532
    {{- if not $isReader }}
    fsGroup: 65532
    fsGroupChangePolicy: OnRootMismatch
    {{- end }}
    seccompProfile:
      type: RuntimeDefault
  {{- if $isReader }}
  topologySpreadConstraints:
    - maxSkew: 1
      topologyKey: kubernetes.io/hostname
      whenUnsatisfiable: ScheduleAnyway
      labelSelector:
        matchLabels:
          {{- include "qkserve.selector" $root | nindent 10 }}
          app.kubernetes.io/component: reader
  {{- end }}
  containers:
    - name: qkserve
      image: {{ printf "%s:%s" $values.image.repository ($values.image.tag | default $root.Chart.AppVersion) | quote }}
      {{- if ne $values.image.pullPolicy "IfNotPresent" }}
      imagePullPolicy: {{ $values.image.pullPolicy }}
      {{- end }}
      args:
        {{- if not $values.tls.secretName }}
        # Pods reach each other in plain text. The NetworkPolicy lets in only pods with a
        # label.
        - --allow_plaintext
        {{- end }}
        - --http_address=0.0.0.0:8080
        - --log_format=json
        {{- if $values.persistence.enabled }}
        - --key_set_dir=/var/lib/qkserve
        {{- end }}
        {{- if $isReader }}
        - --key_set_dir_read_only
        {{- end }}
        {{- if $values.tls.secretName }}
        - --tls_cert_file=/etc/qkserve/tls/tls.crt
        - --tls_key_file=/etc/qkserve/tls/tls.key
        {{- if $values.tls.clientCertificates }}
        - --tls_client_ca_file=/etc/qkserve/tls/ca.crt
        {{- end }}
        {{- end }}
        {{- if $values.access.tokenSecret }}
        - --token_file=/etc/qkserve/tokens/tokens
        {{- end }}
        {{- if $values.access.accessConfigMap }}
        - --access_file=/etc/qkserve/access/access
        {{- end }}
        {{- range $name, $value := $values.flags }}
        - {{ printf "--%s=%s" $name (include "qkserve.flagValue" $value) | quote }}
        {{- end }}
      {{- with $values.env }}
      env:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      ports:
        - name: grpc
          containerPort: 50051
        - name: http
          containerPort: 8080
      resources:
        {{- $own := ternary $values.readers.resources (dict) $isReader }}
        {{- $own | default $values.resources | toYaml | nindent 8 }}
      # The same probes as in deploy/kubernetes/base, which gives the reasons.
      startupProbe:
        httpGet:
          path: /healthz
          port: http
          {{- if $values.tls.secretName }}
          scheme: HTTPS
          {{- end }}
        periodSeconds: 2
        failureThreshold: 30
      readinessProbe:
        httpGet:
          path: /readyz
          port: http
          {{- if $values.tls.secretName }}
          scheme: HTTPS
          {{- end }}
        periodSeconds: 5
        timeoutSeconds: 2
        failureThreshold: 2
      livenessProbe:
        httpGet:
          path: /healthz
          port: http
          {{- if $values.tls.secretName }}
          scheme: HTTPS
          {{- end }}
        periodSeconds: 10
        timeoutSeconds: 5
        failureThreshold: 6
      lifecycle:
        preStop:
          # Callers and proxies learn that the pod ends while it still answers.
          sleep:
            seconds: 5
      securityContext:
        allowPrivilegeEscalation: false
        readOnlyRootFilesystem: true
        capabilities:
          drop: [ALL]
      {{- if or $values.persistence.enabled $values.tls.secretName $values.access.tokenSecret $values.access.accessConfigMap }}
      volumeMounts:
        {{- if $values.persistence.enabled }}
        - name: key-sets
          mountPath: /var/lib/qkserve
          {{- if $isReader }}
          readOnly: true
          {{- end }}
        {{- end }}
        {{- if $values.tls.secretName }}
        - name: tls
          mountPath: /etc/qkserve/tls
          readOnly: true
        {{- end }}
        {{- if $values.access.tokenSecret }}
        - name: tokens
          mountPath: /etc/qkserve/tokens
          readOnly: true
        {{- end }}
        {{- if $values.access.accessConfigMap }}
        - name: access
          mountPath: /etc/qkserve/access
          readOnly: true
        {{- end }}
      {{- end }}
  {{- if or $values.persistence.enabled $values.tls.secretName $values.access.tokenSecret $values.access.accessConfigMap }}
  volumes:
    {{- if $values.persistence.enabled }}
    - name: key-sets
      persistentVolumeClaim:
        claimName: {{ include "qkserve.claim" $root }}
    {{- end }}
    {{- with $values.tls.secretName }}
    - name: tls
      secret:
        secretName: {{ . }}
    {{- end }}
    {{- with $values.access.tokenSecret }}
    - name: tokens
      secret:
        secretName: {{ . }}
    {{- end }}
    {{- with $values.access.accessConfigMap }}
    - name: access
      configMap:
        name: {{ . }}
    {{- end }}
  {{- end }}
  {{- with $values.nodeSelector }}
  nodeSelector:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $values.tolerations }}
  tolerations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $values.affinity }}
  affinity:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end }}

{{- /* The headless Service of a component, under the name that the third argument gives. */}}
{{- define "qkserve.service" -}}
{{- $root := index . 0 }}
apiVersion: v1
kind: Service
metadata:
  name: {{ index . 2 }}
  labels:
    {{- include "qkserve.labels" $root | nindent 4 }}
spec:
  clusterIP: None
  selector:
    {{- include "qkserve.selector" $root | nindent 4 }}
    app.kubernetes.io/component: {{ index . 1 }}
  ports:
    - name: grpc
      port: 50051
      targetPort: grpc
      appProtocol: grpc
    - name: http
      port: 8080
      targetPort: http
{{- end }}

{{- /* The budget of a component: lets a node be drained. Arguments as above. */}}
{{- define "qkserve.disruptionBudget" -}}
{{- $root := index . 0 }}
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  name: {{ index . 2 }}
  labels:
    {{- include "qkserve.labels" $root | nindent 4 }}
spec:
  maxUnavailable: 1
  selector:
    matchLabels:
      {{- include "qkserve.selector" $root | nindent 6 }}
      app.kubernetes.io/component: {{ index . 1 }}
{{- end }}
