import { execFile } from 'node:child_process'
import { createWriteStream } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { type Child, ChildFailed, startChild } from '../../../platform/child-process.ts'
import { exists } from '../../../platform/make-once.ts'
import { eventually } from '../../fault/eventually.ts'
import { childOf } from '../machine.ts'

const run = promisify(execFile)

/** Processes, network, mounts and hostname of one machine of the cluster. They all end with its first process. */
export interface Namespaces {
  name: string
  /** The pid of the first process, as this process sees it. */
  pid: number
  /** Runs a command in it. Resolves to its stdout. */
  run(...command: string[]): Promise<string>
  /** Starts a program in it. Its output goes to a file with its name. */
  start(name: string, command: string[]): Promise<Child>
  /** Throws if one of these programs has ended. */
  check(): void
  /** Kills everything in it, as a power cut does. */
  kill(): Promise<void>
}

/** Directories of the machine's own. They survive a restart. Both nodes would otherwise share those of this machine. */
const OWN = ['/var/lib', '/var/log', '/opt']
/** A program of this machine must not be found by its path in the caller's environment only. */
const PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'

/**
 * The first process. `/run` is lost with the machine, and changes of `/etc` are its own. `/` is shared, as on a machine with systemd:
 * containers may ask for mount propagation. The shell's `wait` also reaps the orphans.
 */
const BOOT = `set -e
dir=$1; shift
hostname "$0"
mount -t tmpfs -o mode=755 tmpfs /run
mkdir -p /run/netns /run/lock "$dir/etc" "$dir/etc.work"
mount -t overlay overlay -o "lowerdir=/etc,upperdir=$dir/etc,workdir=$dir/etc.work" /etc
for path; do mkdir -p "$dir$path"; mount --bind "$dir$path" "$path"; done
mount --make-rshared /
echo "$0" > /etc/hostname
printf '127.0.0.1 localhost %s\\n' "$0" > /etc/hosts
echo 'nameserver 127.0.0.1' > /etc/resolv.conf
touch /run/booted
while :; do sleep 2147483647 & wait; done`

/** Starts them. `dir` keeps what survives a restart. */
export async function startNamespaces(name: string, dir: string): Promise<Namespaces> {
  await mkdir(dir, { recursive: true })
  const unshare = ['--net', '--pid', '--mount', '--uts', '--ipc', '--fork', '--kill-child', '--mount-proc']
  const outer = await startChild({
    name,
    command: '/usr/bin/unshare',
    cwd: '/',
    args: [...unshare, '/bin/sh', '-c', BOOT, name, dir, ...OWN],
  })
  const booted = async () => {
    if (outer.ending()) throw new Error(`${name} does not boot: ${outer.tail()}`)
    const first = await childOf(outer.pid)
    if (!first) return undefined
    return (await exists(`/proc/${first}/root/run/booted`)) && first
  }
  const pid = await eventually(`${name} has booted`, booted)
  const programs = new Map<string, Child>()
  return {
    name,
    pid,
    run: (...command) => runIn(pid, command),
    async start(program, command) {
      const child = await startIn({ name: program, command: [...enterOf(pid), ...command], dir })
      programs.set(program, child)
      return child
    },
    check() {
      for (const [program, child] of programs) {
        if (child.ending()) throw new ChildFailed({ name: `${program} on ${name}`, child }, 'ended')
      }
    },
    async kill() {
      outer.signal('SIGKILL')
      await outer.ended
      await eventually(`${name} is dead`, () => isGone(pid))
    },
  }
}

/** Runs a command in the namespaces of a process. Resolves to its stdout. */
export async function runIn(pid: number, command: string[], stdin?: string): Promise<string> {
  const [nsenter = '', ...args] = [...enterOf(pid), ...command]
  const started = run(nsenter, args, { env: environment(), maxBuffer: 64 * 1024 ** 2, cwd: '/' })
  started.child.stdin?.on('error', () => {})
  started.child.stdin?.end(stdin ?? '')
  return (await started).stdout
}

export function enterOf(pid: number): string[] {
  const which = ['--net', '--pid', '--mount', '--uts', '--ipc']
  return ['/usr/bin/nsenter', '--target', String(pid), ...which, '--']
}

export function environment(): NodeJS.ProcessEnv {
  return { PATH, HOME: '/root', LANG: 'C.UTF-8' }
}

async function startIn(of: { name: string; command: string[]; dir: string }): Promise<Child> {
  const log = createWriteStream(join(of.dir, `${of.name}.log`), { flags: 'a' })
  // The directory may be removed while the program writes its last lines.
  log.on('error', () => {})
  const [command = '', ...args] = of.command
  const child = await startChild({
    name: of.name,
    command,
    args,
    cwd: '/',
    env: environment(),
    onLine: line => void log.write(`${line}\n`),
  })
  void child.ended.then(() => log.end())
  return child
}

async function isGone(pid: number): Promise<boolean> {
  try {
    process.kill(pid, 0)
    return false
  } catch {
    return true
  }
}
