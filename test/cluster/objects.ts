/** Of the image with bash. */
export const IMAGE = 'localhost/cluster-test:1'

const selected = (app: string) => ({ matchLabels: { app } })

/** Serves its name and node. It adds its user to a file on its volume at each start. One pod on each node. */
const SERVE = `id=$(/bin/busybox id -u); echo $id >> /data/starts
echo "$HOSTNAME on $NODE" > /tmp/index.html
exec /bin/busybox httpd -f -p 8080 -h /tmp`

/** A Service of type NodePort, and a StatefulSet whose pods are on two nodes and do not run as root. */
export function web(): object[] {
  const name = 'web'
  const metadata = { name }
  const spread = {
    maxSkew: 1,
    topologyKey: 'kubernetes.io/hostname',
    whenUnsatisfiable: 'DoNotSchedule',
    labelSelector: selected(name),
  }
  const pod = {
    securityContext: { runAsUser: 65532, runAsGroup: 65532, fsGroup: 65532 },
    terminationGracePeriodSeconds: 0,
    topologySpreadConstraints: [spread],
    containers: [
      {
        name,
        image: 'localhost/busybox:1',
        imagePullPolicy: 'Never',
        command: ['/bin/sh', '-c', SERVE],
        env: [{ name: 'NODE', valueFrom: { fieldRef: { fieldPath: 'spec.nodeName' } } }],
        readinessProbe: { httpGet: { path: '/', port: 8080 }, periodSeconds: 1 },
        volumeMounts: [{ name: 'data', mountPath: '/data' }],
      },
    ],
  }
  const claim = { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Gi' } } }
  return [
    {
      apiVersion: 'v1',
      kind: 'Service',
      metadata,
      spec: { type: 'NodePort', selector: { app: name }, ports: [{ port: 80, targetPort: 8080 }] },
    },
    {
      apiVersion: 'apps/v1',
      kind: 'StatefulSet',
      metadata,
      spec: {
        serviceName: name,
        replicas: 2,
        podManagementPolicy: 'Parallel',
        selector: selected(name),
        template: { metadata: { labels: { app: name } }, spec: pod },
        volumeClaimTemplates: [{ metadata: { name: 'data' }, spec: claim }],
      },
    },
  ]
}

/** A privileged pod on each node, in its network and process namespaces. */
export function agents(): object[] {
  const name = 'agents'
  const pod = {
    hostPID: true,
    terminationGracePeriodSeconds: 0,
    containers: [
      {
        name,
        image: IMAGE,
        imagePullPolicy: 'Never',
        command: ['/bin/bash', '-c', 'read built < /built; echo $built; exec sleep 2147483647'],
        securityContext: { privileged: true },
      },
    ],
  }
  return [
    {
      apiVersion: 'apps/v1',
      kind: 'DaemonSet',
      metadata: { name },
      spec: { selector: selected(name), template: { metadata: { labels: { app: name } }, spec: pod } },
    },
  ]
}
