import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { corednsProgram, etcdPrograms, nodePrograms } from '../binaries.ts'
import { writeKubeconfig } from '../credentials.ts'
import { makeImages, makeProgramImage } from '../images.ts'
import { KubectlFailed, runKubectl } from '../kubectl.ts'
import { coredns, storage, volumeNames } from './addons.ts'
import { API_PORT, type ControlPlane, startControlPlane } from './control-plane.ts'
import { type Description, writeDescription } from './description.ts'
import { type Forward, forwardInto } from './forward.ts'
import type { Namespaces } from './namespaces.ts'
import { CONTROL_PLANE, connectNode, makeBridge, nodeAddress } from './network.ts'
import { joinNode, type NodeHome, startContainerd } from './node.ts'
import { untilNodeReady } from './ready.ts'

export interface StartOptions {
  /** The cluster's directory. */
  dir: string
  /** The nodes' control groups are below this one. */
  group: string
  /** How many nodes. */
  nodes: number
  boot(name: string): Promise<Namespaces>
  onStep(step: string): void
}

/** What the owner of a running cluster holds. */
export interface Running {
  boot(name: string): Promise<Namespaces>
  dir: string
  controlPlane: Namespaces
  plane: ControlPlane
  homes: NodeHome[]
  description: Description
  kubectl: Kubectl
  /** Ends the access to the API server. */
  close(): void
}

type Kubectl = (args: string[], stdin?: string) => Promise<string>

const COREDNS = 'localhost/coredns:1'

export async function startIn(options: StartOptions): Promise<Running> {
  const { dir, boot, onStep } = options
  const [programs, etcd, dns] = await Promise.all([nodePrograms(), etcdPrograms(), corednsProgram()])
  onStep('starting the control plane and containerd')
  const homes = Array.from({ length: options.nodes }, (_, i) => homeOf(options, i + 1, programs))
  const [controlPlane, archives] = await Promise.all([boot('control-plane'), imagesIn(dir, dns)])
  await makeBridge(controlPlane)
  const planeHome = { namespaces: controlPlane, dir: join(dir, 'control-plane'), programs }
  const [plane, ...machines] = await Promise.all([
    startControlPlane({ ...planeHome, etcd: join(etcd, 'etcd') }),
    ...homes.map(home => bootNode({ boot, controlPlane, homes }, home, archives)),
  ])
  onStep('starting the nodes')
  const { kubeconfig, close } = await openApi(dir, controlPlane, plane)
  const description: Description = { kubeconfig, controlPlane: controlPlane.pid, nodes: {} }
  const kubectl = kubectlOf(join(programs, 'kubectl'), kubeconfig)
  const running = { boot, dir, controlPlane, plane, homes, close, description, kubectl }
  try {
    await Promise.all([
      createObjects(running),
      ...machines.map((machine, i) => bringUp(running, homes[i] as NodeHome, machine)),
    ])
    onStep('starting CoreDNS')
    const rollout = ['rollout', 'status', '--namespace=kube-system', '--timeout=120s']
    await kubectl([...rollout, 'daemonset/coredns'])
    for (const machine of [controlPlane, ...machines]) machine.check()
    return running
  } catch (error) {
    close()
    throw error
  }
}

/** Creates what a cluster has before its users come. */
async function createObjects({ homes, kubectl }: Running): Promise<void> {
  const items = [...storage(homes.map(({ name }) => name)), ...coredns(COREDNS)]
  const list = JSON.stringify({ apiVersion: 'v1', kind: 'List', items })
  await kubectl(['apply', '--server-side', '-f', '-'], list)
}

/** Boots a node again that was killed. Its disk, and so its images, are those of before. */
export async function restartNode(running: Running, name: string): Promise<void> {
  const home = running.homes.find(node => node.name === name)
  if (!home) throw new Error(`the cluster has no node ${name}`)
  await bringUp(running, home, await bootNode(running, home, []))
}

function homeOf({ dir, group }: StartOptions, index: number, programs: string): NodeHome {
  const name = `node-${index}`
  const caFile = join(dir, 'control-plane/ca.crt')
  return { name, index, dir: join(dir, name), cgroup: `${group}/${name}`, programs, caFile }
}

/** Up to containerd, which needs no API server. */
async function bootNode(
  of: Pick<Running, 'boot' | 'controlPlane' | 'homes'>,
  home: NodeHome,
  archives: string[],
): Promise<Namespaces> {
  for (const volume of volumeNames(home.name)) {
    await mkdir(join(home.dir, 'var/lib/volumes', volume), { recursive: true })
  }
  const node = await of.boot(home.name)
  await connectNode(of.controlPlane, node, { index: home.index, nodes: of.homes.length })
  await startContainerd(node, home, archives)
  return node
}

async function bringUp(running: Running, home: NodeHome, node: Namespaces): Promise<void> {
  const { name, index, dir } = home
  const since = Date.now()
  await joinNode(node, home, running.plane)
  running.description.nodes[name] = { pid: node.pid, address: nodeAddress(index), dir }
  writeDescription(running.dir, running.description)
  await untilNodeReady(running.kubectl, node, since)
}

/** Makes the API server reachable at a port of 127.0.0.1. */
async function openApi(
  dir: string,
  controlPlane: Namespaces,
  plane: ControlPlane,
): Promise<Forward & { kubeconfig: string }> {
  const forward = await forwardInto(controlPlane.pid, { host: CONTROL_PLANE, port: API_PORT })
  const kubeconfig = await writeKubeconfig(join(dir, 'kubeconfig'), {
    server: `https://127.0.0.1:${forward.port}`,
    ca: plane.credentials.ca,
    caller: { user: 'admin', groups: ['system:masters'] },
  })
  return { ...forward, kubeconfig }
}

async function imagesIn(dir: string, dns: string): Promise<string[]> {
  const images = join(dir, 'images')
  await mkdir(images)
  const program = { name: COREDNS, program: dns, path: '/coredns' }
  const [all, one] = await Promise.all([
    makeImages(images),
    makeProgramImage(join(images, 'coredns.tar'), program),
  ])
  return [...all, one]
}

function kubectlOf(program: string, kubeconfig: string): Kubectl {
  return async (args, stdin) => {
    const result = await runKubectl(program, args, { kubeconfig, ...(stdin ? { stdin } : {}) })
    if (result.code !== 0) throw new KubectlFailed(args, result)
    return result.stdout
  }
}
