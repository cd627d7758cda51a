import { mkdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { nodePrograms } from '../binaries.ts'
import { writeKubeconfig } from '../credentials.ts'
import { helm3Program, helmProgram } from '../helm.ts'
import { KubectlFailed, type KubectlOptions, type KubectlResult, runKubectl } from '../kubectl.ts'
import { askRestart } from './control.ts'
import { readDescription } from './description.ts'
import { type Forward, forwardInto } from './forward.ts'
import { type LanServer, startLanServer } from './lan-server.ts'
import { runIn } from './namespaces.ts'
import { loadImage } from './node.ts'

/** A Kubernetes with nodes, as tests use it. Several processes may use one cluster. */
export interface ClusterAccess {
  /** Its directory, with a log of each program. */
  dir: string
  /** Path of a kubeconfig that may do everything. It works on this machine, outside the cluster's network. */
  kubeconfig: string
  /** The nodes' names: node-1, node-2. */
  nodes: string[]
  /** Path of a kubeconfig of a user with a client certificate. Without groups the user is in system:authenticated only. */
  kubeconfigFor(user: string, groups?: string[]): Promise<string>
  /** Runs kubectl as the administrator, or with another kubeconfig. Resolves to stdout. Rejects with KubectlFailed. */
  kubectl(args: string[], options?: KubectlOptions): Promise<string>
  /** The same, but resolves if kubectl fails. */
  tryKubectl(args: string[], options?: KubectlOptions): Promise<KubectlResult>
  /** Runs Helm 4, or Helm 3. Resolves to stdout. Rejects with KubectlFailed. */
  helm(args: string[], options?: HelmOptions): Promise<string>
  /** The same, but resolves if Helm fails. */
  tryHelm(args: string[], options?: HelmOptions): Promise<KubectlResult>
  /** Loads an image archive on all nodes. Pods use it by name, with `imagePullPolicy: Never` or IfNotPresent. */
  loadImage(archive: string): Promise<void>
  /** Runs a command on a node, in the namespaces of its first process, as root. Resolves to stdout. */
  nodeExec(node: string, command: string[], stdin?: string): Promise<string>
  /** The address of a node, at which its NodePorts are. */
  nodeAddress(node: string): Promise<string>
  /** The pid of the node's first process, outside the cluster. */
  nodePid(node: string): Promise<number>
  /** Kills everything of a node at once, as a power cut does, and boots it again. Resolves once it is Ready. */
  restartNode(node: string): Promise<void>
  /** Forwards a free port of 127.0.0.1 to an address in the cluster's network: of a pod, a Service or a node. */
  forward(host: string, port: number): Promise<Forward>
  /** Starts a plain server in the cluster's network. It reaches the API server at 192.168.77.1:6443, and the nodes' NodePorts. */
  startServer(name: string): Promise<LanServer>
}

export interface HelmOptions extends KubectlOptions {
  version?: 3 | 4
}

/** Uses a cluster that another process started in `dir`. */
export async function attachCluster(dir: string): Promise<ClusterAccess> {
  const { kubeconfig, nodes } = await readDescription(dir)
  const nodeOf = async (name: string) => {
    const node = (await readDescription(dir)).nodes[name]
    if (!node) throw new Error(`the cluster has no node ${name}`)
    return node
  }
  let callers = 0
  return {
    dir,
    kubeconfig,
    nodes: Object.keys(nodes),
    async kubeconfigFor(user, groups = []) {
      const path = join(dir, `caller-${process.pid}-${callers++}.kubeconfig`)
      const [cert, key] = await Promise.all(
        ['ca.crt', 'ca.key'].map(name => readFile(join(dir, 'control-plane', name), 'utf8')),
      )
      const server = /server: (\S+)/.exec(await readFile(kubeconfig, 'utf8'))?.[1] ?? ''
      return writeKubeconfig(path, {
        server,
        ca: { cert: cert ?? '', key: key ?? '' },
        caller: { user, groups },
      })
    },
    ...commands(dir, kubeconfig),
    async loadImage(archive) {
      const all = Object.values((await readDescription(dir)).nodes)
      await Promise.all(all.map(({ pid }) => loadImage(pid, archive)))
    },
    nodeExec: async (node, command, stdin) => runIn((await nodeOf(node)).pid, command, stdin),
    nodeAddress: async node => (await nodeOf(node)).address,
    nodePid: async node => (await nodeOf(node)).pid,
    restartNode: node => askRestart(dir, node),
    forward: async (host, port) => forwardInto((await readDescription(dir)).controlPlane, { host, port }),
    startServer: async name => startLanServer((await readDescription(dir)).controlPlane, name),
  }
}

type Commands = Pick<ClusterAccess, 'kubectl' | 'tryKubectl' | 'helm' | 'tryHelm'>

function commands(dir: string, kubeconfig: string): Commands {
  const tryKubectl = async (args: string[], options: KubectlOptions = {}) =>
    runKubectl(join(await nodePrograms(), 'kubectl'), args, { kubeconfig, ...options })
  const tryHelm = async (args: string[], { version = 4, ...options }: HelmOptions = {}) => {
    const program = await (version === 3 ? helm3Program() : helmProgram())
    const home = join(dir, `helm-${version}`)
    await mkdir(home, { recursive: true })
    const homes = { HELM_CACHE_HOME: home, HELM_CONFIG_HOME: home, HELM_DATA_HOME: home }
    const env = { ...process.env, ...options.env, ...homes }
    return runKubectl(program, args, { kubeconfig, ...options, env })
  }
  return {
    tryKubectl,
    tryHelm,
    async kubectl(args, options) {
      const result = await tryKubectl(args, options)
      if (result.code !== 0) throw new KubectlFailed(args, result)
      return result.stdout
    },
    async helm(args, options) {
      const result = await tryHelm(args, options)
      if (result.code !== 0) throw new KubectlFailed(args, result, 'helm')
      return result.stdout
    },
  }
}
