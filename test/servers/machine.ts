import { readFile, readlink } from 'node:fs/promises'
import { type Child, startChild } from '../../platform/child-process.ts'
import { eventually } from '../fault/eventually.ts'
import { reapControlGroups } from './control-groups.ts'
import { temporaryDirectory } from './directory.ts'

/** A part of this machine with its own processes and mounts, in which a container runtime leaves nothing behind. */
export interface TestMachine {
  dir: string
  /** The pid of its first process. All others die with it. */
  child: Child
  /** The link of that process to its pid namespace, which identifies it. */
  namespace: string
  /** A command prefix that runs the command in the machine. */
  enter: readonly string[]
  /** Control groups below this one are removed with the machine. */
  cgroupParent: string
  /** Kills all its processes and removes its directory. */
  stop(): Promise<void>
}

/** Starts `command` as the first process of a machine. It gets the directory and the parent of its control groups. */
export async function startMachine(
  prefix: string,
  command: (of: { dir: string; cgroupParent: string }) => Promise<string[]>,
): Promise<TestMachine> {
  const directory = await temporaryDirectory(prefix)
  const cgroupParent = `/${directory.path.split('/').at(-1)}`
  const removeGroups = reapControlGroups(cgroupParent.slice(1))
  const child = await startChild({
    name: prefix,
    command: '/usr/bin/unshare',
    // A runtime may write to its working directory, which is removed with the machine.
    cwd: directory.path,
    args: [
      '--pid',
      '--fork',
      '--kill-child',
      '--mount',
      '--mount-proc',
      ...(await command({ dir: directory.path, cgroupParent })),
    ],
  })
  const first = await eventually('the machine has begun', () => childOf(child.pid))
  return {
    dir: directory.path,
    child,
    namespace: await readlink(`/proc/${first}/ns/pid`),
    enter: ['/usr/bin/nsenter', '--target', String(first), '--pid', '--mount', '--'],
    cgroupParent,
    async stop() {
      child.signal('SIGKILL')
      await child.ended
      await removeGroups()
      await directory.remove()
    },
  }
}

/** The first child of a process. */
export async function childOf(pid: number): Promise<number | undefined> {
  const children = await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8').catch(() => '')
  return Number(children.split(' ')[0]) || undefined
}
