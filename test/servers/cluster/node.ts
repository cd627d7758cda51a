import { spawn } from 'node:child_process'
import { createReadStream } from 'node:fs'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { untilReady } from '../../../platform/child-process.ts'
import { makeControlGroups } from '../control-groups.ts'
import type { ControlPlane } from './control-plane.ts'
import { enterOf, environment, type Namespaces } from './namespaces.ts'
import { nodeAddress, PODS } from './network.ts'
import { CONTAINERD_SOCKET, configIn, writeNodeConfig } from './node-config.ts'

/** What a node needs, of which nothing changes when it restarts. */
export interface NodeHome {
  name: string
  /** Counts from 1. */
  index: number
  dir: string
  /** Its pods' control groups are below this one. */
  cgroup: string
  programs: string
  caFile: string
}

/** Starts containerd, and loads images. Needs no API server. */
export async function startContainerd(node: Namespaces, home: NodeHome, archives: string[]): Promise<void> {
  await makeControlGroups(home.cgroup)
  await writeNodeConfig(home.dir, home)
  const child = await node.start('containerd', ['containerd', '--config', configIn(home.dir).containerd])
  const version = ['ctr', '--address', CONTAINERD_SOCKET, 'version']
  await untilReady({ name: 'containerd', child }, async () => (await node.run(...version)) !== '')
  for (const archive of archives) await loadImage(node.pid, archive)
}

/** Imports an image archive on the node with this first process. */
export async function loadImage(pid: number, archive: string): Promise<void> {
  const importing = ['--namespace', 'k8s.io', 'images', 'import', '-']
  const [command = '', ...args] = [...enterOf(pid), 'ctr', '--address', CONTAINERD_SOCKET, ...importing]
  const child = spawn(command, args, { stdio: ['pipe', 'ignore', 'pipe'], env: environment(), cwd: '/' })
  let errors = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => void (errors += text))
  const code = new Promise((resolve, reject) => child.once('error', reject).once('close', resolve))
  await pipeline(createReadStream(archive), child.stdin).catch(() => {})
  if ((await code) !== 0) throw new Error(`${archive} cannot be imported: ${errors}`)
}

/** Starts kubelet and kube-proxy. */
export async function joinNode(node: Namespaces, home: NodeHome, plane: ControlPlane): Promise<void> {
  const { name, index, dir, programs } = home
  const kubelet = await plane.kubeconfig(name, { user: `system:node:${name}`, groups: ['system:nodes'] })
  const proxy = await plane.kubeconfig(`${name}-proxy`, { user: 'system:kube-proxy', groups: [] })
  await node.start('kubelet', [
    join(programs, 'kubelet'),
    `--config=${configIn(dir).kubelet}`,
    `--kubeconfig=${kubelet}`,
    `--node-ip=${nodeAddress(index)}`,
    `--hostname-override=${name}`,
  ])
  await node.start('kube-proxy', [
    join(programs, 'kube-proxy'),
    `--kubeconfig=${proxy}`,
    '--proxy-mode=iptables',
    `--cluster-cidr=${PODS}`,
    `--hostname-override=${name}`,
    // These settings belong to the whole machine.
    ...['max-per-core', 'min', 'tcp-timeout-established', 'tcp-timeout-close-wait'].map(
      setting => `--conntrack-${setting}=0`,
    ),
  ])
}
