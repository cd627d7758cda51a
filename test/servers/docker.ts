import { execFile } from 'node:child_process'
import { copyFile, mkdir, readdir, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { readMachine } from '../../cli/up/config.ts'
import { makeOnce } from '../../platform/make-once.ts'
import { type ContainerRuntime, socketIn, startRuntime } from './container-runtime.ts'
import { engineApi, type TestEngineContainer } from './engine-api.ts'

const run = promisify(execFile)

/** A Docker engine with the images of `makeImages`. */
export interface Docker extends ContainerRuntime {
  run(of: TestEngineContainer): Promise<void>
}

/**
 * The path of Debian's dockerd in the cache. Unpacks it first if this machine does not have it. Installing the package would start an engine
 * on machines with an init system.
 */
export async function dockerProgram(): Promise<string> {
  await makeOnce({
    dir: dirname(dockerPath()),
    names: ['dockerd'],
    async make(tmp) {
      await run('apt-get', ['download', 'docker.io'], { cwd: tmp })
      const deb = (await readdir(tmp)).find(name => name.endsWith('.deb'))
      if (!deb) throw new Error('apt-get found no package docker.io')
      await run('dpkg-deb', ['-x', join(tmp, deb), join(tmp, 'root')])
      await copyFile(join(tmp, 'root/usr/sbin/dockerd'), join(tmp, 'dockerd'))
    },
  })
  return dockerPath()
}

/** Where `dockerProgram` puts it. */
export function dockerPath(): string {
  return join(readMachine().cacheDir, 'docker-debian/dockerd')
}

export async function startDocker(): Promise<Docker> {
  const program = await dockerProgram()
  const machine = await startRuntime({
    name: 'dockerd',
    prefix: 'shellcron-doc-',
    async command(dir) {
      await mkdir(join(dir, 'tmp'))
      // Otherwise it reads the machine's.
      await writeFile(join(dir, 'daemon.json'), '{}')
      return ['env', `TMPDIR=${dir}/tmp`, `DOCKER_TMPDIR=${dir}/tmp`, program, ...flagsFor(dir)]
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

/** It changes neither the machine's network nor its firewall. */
function flagsFor(dir: string): string[] {
  return [
    `--host=unix://${socketIn(dir)}`,
    `--data-root=${dir}/root`,
    `--exec-root=${dir}/run`,
    `--pidfile=${dir}/pid`,
    `--config-file=${dir}/daemon.json`,
    '--storage-driver=vfs',
    '--exec-opt=native.cgroupdriver=cgroupfs',
    '--iptables=false',
    '--ip6tables=false',
    '--bridge=none',
    '--log-level=error',
  ]
}
