import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type ContainerRuntime, socketIn, startRuntime } from './container-runtime.ts'
import { engineApi, type TestEngineContainer } from './engine-api.ts'

/** A Podman with the images of `makeImages`, as on a plain server, that serves its API. */
export interface Podman extends ContainerRuntime {
  run(of: TestEngineContainer): Promise<void>
}

export async function startPodman(): Promise<Podman> {
  const machine = await startRuntime({
    name: 'podman',
    prefix: 'shellcron-pod-',
    async command(dir) {
      const env = await configurePodman(dir)
      const service = ['podman', 'system', 'service', '--time=0', `unix://${socketIn(dir)}`]
      return ['env', ...Object.entries(env).map(([name, value]) => `${name}=${value}`), ...service]
    },
    isReady: async socket => (await engineApi(socket).ask('GET', '/_ping')) !== '',
    load: (socket, image) => engineApi(socket).load(image),
  })
  const { ask, start } = engineApi(machine.socket)
  return {
    ...machine,
    run: of => start(of, machine.cgroupParent),
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
