import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type Child, startChild, untilReady } from '../../platform/child-process.ts'
import { onFreePorts } from '../../platform/free-ports.ts'
import { kubernetesPrograms } from './binaries.ts'
import { type Caller, type Credentials, createCredentials, writeKubeconfig } from './credentials.ts'
import { temporaryDirectory } from './directory.ts'
import { type EtcdCluster, startEtcd } from './etcd.ts'
import { KubectlFailed, type KubectlOptions, type KubectlResult, runKubectl } from './kubectl.ts'

/** A real control plane: etcd, kube-apiserver and kube-controller-manager. No scheduler, no nodes. */
export interface Kubernetes {
  /** Such as `https://127.0.0.1:20123`. */
  server: string
  /** PEM of the authority that signed the server's certificate. */
  ca: string
  /** Path of a kubeconfig that may do everything (group system:masters). */
  adminKubeconfig: string
  /** Path of a kubeconfig of a user with a client certificate. Without groups the user is in system:authenticated only. */
  kubeconfigFor(user: string, groups?: string[]): Promise<string>
  /** Path of a kubeconfig with this token, for example of a service account (`kubectl create token`). */
  kubeconfigWithToken(token: string): Promise<string>
  /** Runs kubectl as the administrator, or with another kubeconfig. Resolves to stdout. Rejects with KubectlFailed. */
  kubectl(args: string[], options?: KubectlOptions): Promise<string>
  /** The same, but resolves if kubectl fails. */
  tryKubectl(args: string[], options?: KubectlOptions): Promise<KubectlResult>
  /** Restarts the API server on its port, by SIGTERM and soon SIGKILL, or SIGKILL at once. Waits until it is ready. */
  restartApiServer(how?: 'SIGTERM' | 'SIGKILL'): Promise<void>
  /** Path of the API server's audit log: a JSON object on each line, at level Metadata. */
  auditLog: string
  /** The cluster's etcd. It is never ShellCron's. */
  etcd: EtcdCluster
  stop(): Promise<void>
}

export interface KubernetesOptions {
  /** Further flags of kube-apiserver. */
  apiServerFlags?: string[]
}

const POLICY = {
  apiVersion: 'audit.k8s.io/v1',
  kind: 'Policy',
  omitStages: ['RequestReceived'],
  rules: [{ level: 'Metadata' }],
}
const READY_WITHIN_MS = 120_000
/** It waits up to a minute for its watchers otherwise. */
const FAREWELL_MS = 2_000
const MASTERS: Caller = { user: 'admin', groups: ['system:masters'] }

/** Starts all parts in their own directory, and waits until they serve. They end with this process at the latest. */
export async function startKubernetes(options: KubernetesOptions = {}): Promise<Kubernetes> {
  const [programs, etcd] = await Promise.all([kubernetesPrograms(), startEtcd()])
  const directory = await temporaryDirectory('shellcron-kubernetes-')
  const dir = directory.path
  const remove = async () => {
    await etcd.stop()
    await directory.remove()
  }
  try {
    const credentials = await createCredentials(dir)
    await writeFile(join(dir, 'audit-policy.yaml'), JSON.stringify(POLICY))
    const home = { programs, dir, credentials, etcd, flags: options.apiServerFlags ?? [] }
    return await onFreePorts(1, ([port = 0]) => startOn(port, home, remove))
  } catch (error) {
    await remove()
    throw error
  }
}

interface Home {
  programs: string
  dir: string
  credentials: Credentials
  etcd: EtcdCluster
  flags: string[]
}

async function startOn(port: number, home: Home, remove: () => Promise<void>): Promise<Kubernetes> {
  const server = `https://127.0.0.1:${port}`
  const { dir, credentials, programs } = home
  const { ca } = credentials
  const kubeconfig = (name: string, caller: Caller) =>
    writeKubeconfig(join(dir, `${name}.yaml`), { server, ca, caller })
  const adminKubeconfig = await kubeconfig('admin', MASTERS)
  const kubectl = (args: string[], given: KubectlOptions = {}) =>
    runKubectl(join(programs, 'kubectl'), args, { kubeconfig: adminKubeconfig, ...given })

  let api = await startApiServer(port, home, kubectl)
  let controllers: Child
  try {
    controllers = await startControllers(home, adminKubeconfig, kubectl)
  } catch (error) {
    await api.stop(1000)
    throw error
  }
  let callers = 0
  return {
    server,
    ca: ca.cert,
    adminKubeconfig,
    kubeconfigFor: (user, groups = []) => kubeconfig(`caller-${callers++}`, { user, groups }),
    kubeconfigWithToken: token => kubeconfig(`caller-${callers++}`, { token }),
    async kubectl(args, given) {
      const result = await kubectl(args, given)
      if (result.code !== 0) throw new KubectlFailed(args, result)
      return result.stdout
    },
    tryKubectl: kubectl,
    async restartApiServer(how = 'SIGTERM') {
      await api.stop(how === 'SIGKILL' ? 0 : FAREWELL_MS)
      api = await startApiServer(port, home, kubectl)
    },
    auditLog: join(dir, 'audit.log'),
    etcd: home.etcd,
    async stop() {
      // None of its data is kept, so it need not stop gracefully.
      await Promise.all([controllers.stop(0), api.stop(0)])
      await remove()
    },
  }
}

type Kubectl = (args: string[]) => Promise<KubectlResult>

async function startApiServer(port: number, home: Home, kubectl: Kubectl): Promise<Child> {
  const { dir, credentials: keys, etcd, programs, flags } = home
  const child = await startChild({
    command: join(programs, 'kube-apiserver'),
    args: [
      `--etcd-servers=${etcd.endpoints.join(',')}`,
      `--etcd-cafile=${etcd.files.ca}`,
      `--etcd-certfile=${etcd.files.cert}`,
      `--etcd-keyfile=${etcd.files.key}`,
      '--bind-address=127.0.0.1',
      '--advertise-address=127.0.0.1',
      `--secure-port=${port}`,
      '--endpoint-reconciler-type=none',
      '--service-cluster-ip-range=10.0.0.0/24',
      `--cert-dir=${dir}`,
      `--tls-cert-file=${keys.serverCertFile}`,
      `--tls-private-key-file=${keys.serverKeyFile}`,
      `--client-ca-file=${keys.caFile}`,
      '--authorization-mode=Node,RBAC',
      '--enable-admission-plugins=NodeRestriction',
      '--allow-privileged=true',
      '--service-account-issuer=https://kubernetes.default.svc',
      `--service-account-key-file=${keys.tokenPublicFile}`,
      `--service-account-signing-key-file=${keys.tokenKeyFile}`,
      `--audit-policy-file=${join(dir, 'audit-policy.yaml')}`,
      `--audit-log-path=${join(dir, 'audit.log')}`,
      '--profiling=false',
      '--shutdown-watch-termination-grace-period=0s',
      '--v=0',
      ...flags,
    ],
  })
  await ready('kube-apiserver', child, async () => (await kubectl(['get', '--raw', '/readyz'])).code === 0)
  return child
}

async function startControllers(home: Home, kubeconfig: string, kubectl: Kubectl): Promise<Child> {
  const { credentials: keys, programs } = home
  const child = await startChild({
    command: join(programs, 'kube-controller-manager'),
    args: [
      `--kubeconfig=${kubeconfig}`,
      `--authentication-kubeconfig=${kubeconfig}`,
      `--authorization-kubeconfig=${kubeconfig}`,
      '--secure-port=0',
      '--leader-elect=false',
      '--use-service-account-credentials',
      `--root-ca-file=${keys.caFile}`,
      `--service-account-private-key-file=${keys.tokenKeyFile}`,
      `--cluster-signing-cert-file=${keys.caFile}`,
      `--cluster-signing-key-file=${keys.caKeyFile}`,
      '--v=0',
    ],
  })
  // A new namespace needs this last before pods and tokens can be created in it.
  const account = ['get', 'serviceaccount', 'default', '-n', 'default']
  await ready('kube-controller-manager', child, async () => (await kubectl(account)).code === 0)
  return child
}

async function ready(name: string, child: Child, probe: () => Promise<boolean>): Promise<void> {
  try {
    await untilReady({ name, child }, probe, { withinMs: READY_WITHIN_MS, everyMs: 100 })
  } catch (error) {
    await child.stop(0)
    throw error
  }
}
