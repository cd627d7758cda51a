import { basename, join } from 'node:path'
import { agentGroupOf } from './cluster/agent-group.ts'
import { attachCluster, type ClusterAccess } from './cluster/attach.ts'
import { serveControl } from './cluster/control.ts'
import { type Namespaces, startNamespaces } from './cluster/namespaces.ts'
import { whyNoCluster } from './cluster/requirements.ts'
import { restartNode, startIn } from './cluster/start.ts'
import { makeControlGroups, reapControlGroups, removeControlGroups } from './control-groups.ts'
import { temporaryDirectory } from './directory.ts'

/** A cluster and its end, which is its owner's: the process that started it. */
export interface Cluster extends ClusterAccess {
  /** Kills everything, and removes what it left on this machine. */
  stop(): Promise<void>
}

export interface ClusterOptions {
  /** Default: 2. */
  nodes?: number
  /** Called with each step of the start. */
  onStep?: (step: string) => void
}

/**
 * Starts a real Kubernetes: a control plane (etcd, API server, controller manager, scheduler), nodes (containerd, kubelet, kube-proxy),
 * CoreDNS, and a default StorageClass. Each machine of it has namespaces of its own. Resolves once all nodes are Ready and CoreDNS serves.
 * It needs root and Debian's packages (scripts/tools.ts), and ends with this process at the latest, even by SIGKILL.
 */
export async function startCluster(options: ClusterOptions = {}): Promise<Cluster> {
  const why = whyNoCluster()
  if (why) throw new Error(why)
  const { path: dir, remove } = await temporaryDirectory('shellcron-k8s-')
  // Short, because a pod's groups add much to the path.
  const group = `sc-${basename(dir).split('-').at(-1)}`
  const removals = [reapControlGroups(group)]
  const machines = new Map<string, Namespaces>()
  const ends: (() => void)[] = []
  const boot = async (name: string) => {
    const machine = await startNamespaces(name, join(dir, name))
    machines.set(name, machine)
    removals.push(reapControlGroups(await agentGroupOf(machine.pid)))
    return machine
  }
  const stop = async () => {
    for (const end of ends.splice(0)) end()
    await Promise.all([...machines.values()].map(machine => machine.kill()))
    await Promise.all(removals.map(remove => remove()))
    await remove()
  }
  try {
    await makeControlGroups(group)
    const { nodes = 2, onStep = () => {} } = options
    const running = await startIn({ dir, group, boot, nodes, onStep })
    ends.push(running.close)
    const restart = async (name: string) => {
      await machines.get(name)?.kill()
      // The kernel of a real machine would have lost them. A kubelet spends seconds on each dead one.
      await removeControlGroups(`${group}/${name}`)
      await restartNode(running, name)
    }
    ends.push((await serveControl(dir, restart)).close)
    return { ...(await attachCluster(dir)), stop }
  } catch (error) {
    await stop()
    throw error
  }
}
