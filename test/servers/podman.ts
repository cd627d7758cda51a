import { createReadStream } from 'node:fs'
import { mkdir, writeFile } from 'node:fs/promises'
import { request } from 'node:http'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { type ContainerRuntime, socketIn, startRuntime } from './container-runtime.ts'

/** A Podman with the images of `makeImages`, as on a plain server, that serves its API. */
export interface Podman extends ContainerRuntime {
  run(of: TestPodmanContainer): Promise<void>
}

export interface TestPodmanContainer {
  name: string
  labels?: Record<string, string>
  /** Default: busybox that sleeps. */
  image?: string
  argv?: string[]
  /** In bytes. */
  memory?: number
}

/** The path of Docker's API, at the helper's version. */
const API = 'http://podman/v1.40'

export async function startPodman(): Promise<Podman> {
  const asks = (socket: string) => (method: string, path: string, body?: string | Body) =>
    call(socket, { method, path, body })
  const machine = await startRuntime({
    name: 'podman',
    prefix: 'shellcron-pod-',
    async command(dir) {
      const env = await configurePodman(dir)
      const service = ['podman', 'system', 'service', '--time=0', `unix://${socketIn(dir)}`]
      return ['env', ...Object.entries(env).map(([name, value]) => `${name}=${value}`), ...service]
    },
    isReady: async socket => (await asks(socket)('GET', '/_ping')) !== '',
    load: (socket, image) => asks(socket)('POST', '/images/load', { file: image }),
  })
  const { cgroupParent } = machine
  const ask = asks(machine.socket)
  return {
    ...machine,
    async run({ name, labels = {}, image = 'localhost/busybox:1', argv, memory = 0 }) {
      const order = {
        Image: image,
        Labels: labels,
        Cmd: argv ?? ['/bin/sleep', '2147483647'],
        HostConfig: { NetworkMode: 'host', CgroupParent: cgroupParent, Memory: memory },
      }
      await ask('POST', `/containers/create?name=${name}`, JSON.stringify(order))
      await ask('POST', `/containers/${name}/start`)
    },
    stopContainer: async name => void (await ask('POST', `/containers/${name}/stop?t=0`)),
    removeContainer: async name => void (await ask('DELETE', `/containers/${name}?force=true`)),
  }
}

/** The environment of a Podman whose data is all in `dir`. runc is the runtime that supports cgroups v1 beside a v2 tree. */
export async function configurePodman(dir: string): Promise<Record<string, string>> {
  const files = {
    'containers.conf': `[containers]
netns = "host"
log_driver = "k8s-file"
default_sysctls = []
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
runtime = "runc"
tmp_dir = "${dir}/tmp"
`,
    'storage.conf': `[storage]
driver = "vfs"
runroot = "${dir}/run"
graphroot = "${dir}/root"
`,
    'registries.conf': '',
  }
  for (const [name, text] of Object.entries(files)) await writeFile(join(dir, name), text)
  await mkdir(join(dir, 'home/.config/containers'), { recursive: true })
  await writeFile(
    join(dir, 'home/.config/containers/policy.json'),
    '{"default":[{"type":"insecureAcceptAnything"}]}',
  )
  return {
    CONTAINERS_CONF: join(dir, 'containers.conf'),
    CONTAINERS_STORAGE_CONF: join(dir, 'storage.conf'),
    CONTAINERS_REGISTRIES_CONF: join(dir, 'registries.conf'),
    HOME: join(dir, 'home'),
    TMPDIR: dir,
  }
}

interface Body {
  file: string
}

async function call(
  socketPath: string,
  { method, path, body }: { method: string; path: string; body: string | Body | undefined },
): Promise<string> {
  const type = typeof body === 'object' ? 'application/x-tar' : 'application/json'
  const asked = request(`${API}${path}`, { socketPath, method, headers: { 'Content-Type': type } })
  const answered = new Promise<{ status: number; text: string }>((resolve, reject) => {
    asked.once('error', reject)
    asked.once('response', response => {
      let text = ''
      response.setEncoding('utf8')
      response.on('data', piece => void (text += piece))
      response.once('end', () => resolve({ status: response.statusCode ?? 0, text }))
    })
  })
  if (typeof body === 'object') await pipeline(createReadStream(body.file), asked)
  else asked.end(body)
  const { status, text } = await answered
  if (status >= 400) throw new Error(`${method} ${path}: ${text}`)
  return text
}
