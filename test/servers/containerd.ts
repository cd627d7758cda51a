import { execFile } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { criProgram } from './binaries.ts'
import { type ContainerRuntime, socketIn, startRuntime } from './container-runtime.ts'

const run = promisify(execFile)

/** A containerd with the CRI plugin and the images of `makeImages`, as on a node, but without a kubelet. */
export interface Containerd extends ContainerRuntime {
  /** Starts a pod with these containers. Resolves to their ids by name. */
  pod(of: TestPod): Promise<StartedPod>
}

export interface TestPod {
  name: string
  namespace?: string
  labels?: Record<string, string>
  annotations?: Record<string, string>
  /** Containers by name. Default: one, `app`, of busybox that sleeps. */
  containers?: Record<string, { image?: string; argv?: string[]; memory?: number; user?: number }>
}

export interface StartedPod {
  containers: Record<string, string>
  remove(): Promise<void>
}

export async function startContainerd(): Promise<Containerd> {
  const cri = await criProgram()
  const asks = (socket: string) => async (verb: string, argument: string) =>
    (await run(cri, [socket, verb, argument], { timeout: 60_000 })).stdout.trim()
  const machine = await startRuntime({
    name: 'containerd',
    prefix: 'shellcron-cri-',
    async command(dir) {
      await writeFile(join(dir, 'config.toml'), configOf(dir))
      return ['containerd', '--config', join(dir, 'config.toml')]
    },
    isReady: async socket => (await asks(socket)('version', '-'), true),
    async load(socket, image) {
      const into = ['--address', socket, '--namespace', 'k8s.io', 'images', 'import']
      await run('ctr', [...into, '--snapshotter', 'native', image], { timeout: 60_000 })
    },
  })
  const { cgroupParent } = machine
  const ask = asks(machine.socket)
  return {
    ...machine,
    async pod({ name, namespace = 'test', labels = {}, annotations = {}, containers = { app: {} } }) {
      const of = { name, namespace, labels, annotations, cgroupParent }
      const id = await ask('run', JSON.stringify(of))
      const ids: Record<string, string> = {}
      for (const [container, { image = 'localhost/busybox:1', argv = SLEEP, memory, user }] of Object.entries(
        containers,
      )) {
        const order = { pod: id, of, name: container, image, argv, memory, user }
        ids[container] = await ask('create', JSON.stringify(order))
      }
      return { containers: ids, remove: async () => void (await ask('remove-pod', id)) }
    },
    stopContainer: async id => void (await ask('stop', id)),
    removeContainer: async id => void (await ask('remove', id)),
  }
}

const SLEEP = ['/bin/sleep', '2147483647']

function configOf(dir: string): string {
  return `version = 2
root = "${dir}/root"
state = "${dir}/state"
disabled_plugins = ["io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.zfs", "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.aufs"]
[grpc]
  address = "${socketIn(dir)}"
[plugins."io.containerd.internal.v1.opt"]
  path = "${dir}/opt"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "localhost/pause:1"
  restrict_oom_score_adj = true
  disable_apparmor = true
  stream_server_address = "127.0.0.1"
  stream_server_port = "0"
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "native"
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "${dir}/cni"
    conf_dir = "${dir}/cni"
`
}
