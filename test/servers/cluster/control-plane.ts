import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { type Child, untilReady } from '../../../platform/child-process.ts'
import { type Caller, type Credentials, createCredentials, writeKubeconfig } from '../credentials.ts'
import type { Namespaces } from './namespaces.ts'
import { CONTROL_PLANE, SERVICES } from './network.ts'

export const API_PORT = 6443

export interface ControlPlane {
  credentials: Credentials
  /** The administrator's kubeconfig, for processes of the cluster's network. */
  adminKubeconfig: string
  /** Writes a kubeconfig for processes of the cluster's network. */
  kubeconfig(name: string, caller: Caller): Promise<string>
}

interface Home {
  namespaces: Namespaces
  dir: string
  /** The directory of Kubernetes' programs. */
  programs: string
  etcd: string
}

const READY_WITHIN_MS = 120_000
const ETCD = 'http://127.0.0.1:2379'

/** Starts etcd, API server, controller manager and scheduler in the control plane's namespaces. */
export async function startControlPlane(home: Home): Promise<ControlPlane> {
  const { dir, programs } = home
  await mkdir(dir, { recursive: true })
  const credentials = await createCredentials(dir, [CONTROL_PLANE])
  const server = `https://${CONTROL_PLANE}:${API_PORT}`
  const kubeconfig = (name: string, caller: Caller) =>
    writeKubeconfig(join(dir, `${name}.kubeconfig`), { server, ca: credentials.ca, caller })
  const adminKubeconfig = await kubeconfig('admin', { user: 'admin', groups: ['system:masters'] })
  const api = await startApiServer(home, credentials)
  const probe = [join(programs, 'kubectl'), `--kubeconfig=${adminKubeconfig}`, 'get', '--raw', '/readyz']
  await untilReady(
    { name: 'kube-apiserver', child: api },
    async () => (await home.namespaces.run(...probe)) === 'ok',
    { withinMs: READY_WITHIN_MS, everyMs: 100 },
  )
  await startOthers(home, credentials, kubeconfig)
  return { credentials, adminKubeconfig, kubeconfig }
}

async function startApiServer(home: Home, keys: Credentials): Promise<Child> {
  const { namespaces, dir, programs } = home
  const client = join(dir, 'kubelet-client')
  await namespaces.start('etcd', [
    home.etcd,
    `--data-dir=${join(dir, 'etcd')}`,
    `--listen-client-urls=${ETCD}`,
    `--advertise-client-urls=${ETCD}`,
    '--listen-peer-urls=http://127.0.0.1:2380',
    '--initial-advertise-peer-urls=http://127.0.0.1:2380',
    '--initial-cluster=default=http://127.0.0.1:2380',
    // Nothing is kept after the cluster's end.
    '--unsafe-no-fsync',
  ])
  const kubelet = await keys.client(client, { user: 'kube-apiserver', groups: ['system:masters'] })
  return await namespaces.start('kube-apiserver', [
    join(programs, 'kube-apiserver'),
    `--etcd-servers=${ETCD}`,
    `--advertise-address=${CONTROL_PLANE}`,
    `--secure-port=${API_PORT}`,
    `--service-cluster-ip-range=${SERVICES}`,
    `--cert-dir=${dir}`,
    `--tls-cert-file=${keys.serverCertFile}`,
    `--tls-private-key-file=${keys.serverKeyFile}`,
    `--client-ca-file=${keys.caFile}`,
    `--kubelet-client-certificate=${kubelet.certFile}`,
    `--kubelet-client-key=${kubelet.keyFile}`,
    '--kubelet-preferred-address-types=InternalIP',
    '--authorization-mode=Node,RBAC',
    '--enable-admission-plugins=NodeRestriction',
    '--allow-privileged=true',
    '--service-account-issuer=https://kubernetes.default.svc',
    `--service-account-key-file=${keys.tokenPublicFile}`,
    `--service-account-signing-key-file=${keys.tokenKeyFile}`,
    '--profiling=false',
  ])
}

async function startOthers(
  home: Home,
  keys: Credentials,
  kubeconfig: ControlPlane['kubeconfig'],
): Promise<void> {
  const start = async (name: string, flags: string[]) => {
    const file = await kubeconfig(name, { user: `system:${name}`, groups: [] })
    const access = ['kubeconfig', 'authentication-kubeconfig', 'authorization-kubeconfig']
    await home.namespaces.start(name, [
      join(home.programs, name),
      ...access.map(flag => `--${flag}=${file}`),
      '--leader-elect=false',
      `--cert-dir=${home.dir}`,
      ...flags,
    ])
  }
  await start('kube-scheduler', [])
  await start('kube-controller-manager', [
    '--use-service-account-credentials',
    `--root-ca-file=${keys.caFile}`,
    `--service-account-private-key-file=${keys.tokenKeyFile}`,
    `--cluster-signing-cert-file=${keys.caFile}`,
    `--cluster-signing-key-file=${keys.caKeyFile}`,
  ])
}
