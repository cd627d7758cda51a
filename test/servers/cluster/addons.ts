import { DNS_SERVICE } from './network.ts'

/** As many claims may be bound on each node. A released volume is not used again. */
const VOLUMES = 16

const metadata = (name: string) => ({ name, namespace: 'kube-system' })
const rbac = 'rbac.authorization.k8s.io'

/** The objects of CoreDNS: one on each node, so that names still resolve while a node restarts. */
export function coredns(image: string): object[] {
  const labels = { 'k8s-app': 'kube-dns' }
  const corefile = `.:53 {
  errors
  ready
  kubernetes cluster.local in-addr.arpa {
    pods insecure
  }
  cache 5
}
`
  const container = {
    name: 'coredns',
    image,
    imagePullPolicy: 'Never',
    args: ['-conf', '/etc/coredns/Corefile'],
    readinessProbe: { httpGet: { path: '/ready', port: 8181 }, periodSeconds: 1 },
    volumeMounts: [{ name: 'config', mountPath: '/etc/coredns' }],
  }
  return [
    { apiVersion: 'v1', kind: 'ServiceAccount', metadata: metadata('coredns') },
    {
      apiVersion: `${rbac}/v1`,
      kind: 'ClusterRole',
      metadata: { name: 'coredns' },
      rules: [
        { apiGroups: [''], resources: ['services', 'pods', 'namespaces'], verbs: ['list', 'watch'] },
        { apiGroups: ['discovery.k8s.io'], resources: ['endpointslices'], verbs: ['list', 'watch'] },
      ],
    },
    binding('coredns', [{ kind: 'ServiceAccount', ...metadata('coredns') }]),
    { apiVersion: 'v1', kind: 'ConfigMap', metadata: metadata('coredns'), data: { Corefile: corefile } },
    {
      apiVersion: 'apps/v1',
      kind: 'DaemonSet',
      metadata: metadata('coredns'),
      spec: {
        selector: { matchLabels: labels },
        template: {
          metadata: { labels },
          spec: {
            serviceAccountName: 'coredns',
            priorityClassName: 'system-cluster-critical',
            dnsPolicy: 'Default',
            tolerations: [{ operator: 'Exists' }],
            containers: [container],
            volumes: [{ name: 'config', configMap: { name: 'coredns' } }],
          },
        },
      },
    },
    {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: metadata('kube-dns'),
      spec: {
        clusterIP: DNS_SERVICE,
        selector: labels,
        ports: [
          { name: 'dns', port: 53, protocol: 'UDP' },
          { name: 'dns-tcp', port: 53, protocol: 'TCP' },
        ],
      },
    },
  ]
}

/** The default class, and volumes on each node. `local`, because `hostPath` ignores fsGroup. */
export function storage(nodes: string[]): object[] {
  const volumes = nodes.flatMap(node =>
    volumeNames(node).map(name => ({
      apiVersion: 'v1',
      kind: 'PersistentVolume',
      metadata: { name },
      spec: {
        capacity: { storage: '20Gi' },
        accessModes: ['ReadWriteOnce'],
        storageClassName: 'standard',
        local: { path: `/var/lib/volumes/${name}` },
        nodeAffinity: { required: { nodeSelectorTerms: [{ matchExpressions: [isOn(node)] }] } },
      },
    })),
  )
  const standard = {
    apiVersion: 'storage.k8s.io/v1',
    kind: 'StorageClass',
    metadata: { name: 'standard', annotations: { 'storageclass.kubernetes.io/is-default-class': 'true' } },
    provisioner: 'kubernetes.io/no-provisioner',
    volumeBindingMode: 'WaitForFirstConsumer',
  }
  return [standard, ...volumes]
}

export function volumeNames(node: string): string[] {
  return Array.from({ length: VOLUMES }, (_, index) => `${node}-volume-${index + 1}`)
}

function isOn(node: string): object {
  return { key: 'kubernetes.io/hostname', operator: 'In', values: [node] }
}

function binding(name: string, subjects: object[]): object {
  return {
    apiVersion: `${rbac}/v1`,
    kind: 'ClusterRoleBinding',
    metadata: { name },
    roleRef: { apiGroup: rbac, kind: 'ClusterRole', name },
    subjects,
  }
}
