{{/* What the operator does to objects of a namespace, and nothing else; a test compares it with what it really does. */}}
{{- define "oms-operator.namespacedRules" -}}
- apiGroups: [oms-operator.io]
  resources: [migrationtasks, taskgroups, synctasks, syncevents, connections]
  verbs: [list, watch]
- apiGroups: [oms-operator.io]
  resources: [migrationtasks, taskgroups, synctasks, connections]   # finalizers
  verbs: [patch]
- apiGroups: [oms-operator.io]
  resources: [syncevents]                                           # ttlAfterFinished
  verbs: [delete]
- apiGroups: [oms-operator.io]
  resources: [migrationtasks/status, taskgroups/status, synctasks/status, syncevents/status, connections/status]
  verbs: [update]
- apiGroups: [""]
  resources: [secrets, configmaps]                                  # one at a time, by name
  verbs: [get]
- apiGroups: [events.k8s.io]
  resources: [events]
  verbs: [create, patch]
{{- end }}

{{/* What it does to objects of the cluster. */}}
{{- define "oms-operator.clusterRules" -}}
- apiGroups: [oms-operator.io]
  resources: [clusterconnections]
  verbs: [list, watch, patch]
- apiGroups: [oms-operator.io]
  resources: [clusterconnections/status]
  verbs: [update]
- apiGroups: [""]
  resources: [namespaces]                                           # labels: allowedNamespaces, pauses
  verbs: [get, list, watch]
{{- if .Values.leaderElection.enabled }}
- apiGroups: [coordination.k8s.io]
  resources: [leases]                                               # whether another operator works in this cluster
  resourceNames: [oms-operator, oms-operator-watch]
  verbs: [list]
{{- end }}
{{- end }}
