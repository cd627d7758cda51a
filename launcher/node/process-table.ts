import { readdirSync, readFileSync } from 'node:fs'
import type { Notes } from './notes.ts'

/** A process as /proc shows it. `ticks`: its start, in kernel ticks since boot; with it a pid names one process only. */
export interface Process {
  pid: number
  parent: number
  group: number
  session: number
  ticks: number
}

/** The root of a run's process tree: the command itself, leader of a session and group of its own. */
export interface Root {
  pid: number
  ticks: number | null
  mark: string | undefined
  /** False: too long unobserved to know that the numbers of its group and session are still its own. */
  isGroupKnown: boolean
  /** Members that were seen outside the session, pid to ticks: they are remembered when their parent has gone. */
  strays: Map<number, number>
  /** What the run has noted, if it may leave notes. */
  notes?: Notes | undefined
  /** Monotonic ms: until then the command itself is not killed with what it runs elsewhere. */
  sparedUntil?: number | undefined
}

/** Undefined if it is gone, cannot be looked at, or there is no /proc. */
export function readProcess(pid: number): Process | undefined {
  try {
    return lookAt(pid)
  } catch {
    return undefined
  }
}

/** Whether the process that began so is no more. One that cannot be looked at, for want of descriptors, is not gone. */
export function hasGone(pid: number, ticks: number): boolean {
  try {
    return lookAt(pid)?.ticks !== ticks
  } catch (error) {
    return ['ENOENT', 'ESRCH'].includes((error as NodeJS.ErrnoException).code ?? '')
  }
}

function lookAt(pid: number): Process | undefined {
  const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  const [parent, group, session, ticks] = [fields[1], fields[2], fields[3], fields[19]].map(Number)
  if (fields[0] === 'Z' || fields[0] === 'X') return undefined
  return { pid, parent: parent ?? 0, group: group ?? 0, session: session ?? 0, ticks: ticks ?? 0 }
}

/** Every living process; none where there is no /proc. */
export function processTable(): Process[] {
  try {
    return readdirSync('/proc')
      .filter(name => /^\d+$/.test(name))
      .map(name => readProcess(Number(name)))
      .filter(process => process !== undefined)
  } catch {
    return []
  }
}

/**
 * Which processes belong to which root: by group, session, ancestry, by having been seen before, or by the root's mark in
 * their environment. Never this process or its ancestors, nor by their mark those in the session of an `other` root, which may
 * be the next attempt of the same run.
 */
export function membersOf(
  roots: readonly Root[],
  table: readonly Process[],
  others: ReadonlySet<Root>,
): Map<Root, Process[]> {
  const children = Map.groupBy(table, process => process.parent)
  const spared = lineage(table)
  const byPid = new Map(table.map(process => [process.pid, process]))
  const sessions = new Set([...others].filter(other => !roots.includes(other)).map(other => other.pid))
  const oldest = Math.min(...roots.map(root => root.ticks ?? Infinity))
  const marked = roots.some(root => root.mark)
    ? Map.groupBy(
        table.filter(({ ticks, session }) => ticks >= oldest && !sessions.has(session)),
        process => markOf(process.pid, roots),
      )
    : new Map<Root | undefined, Process[]>()
  return new Map(
    roots.map(root => {
      const isReused = root.ticks !== null && (byPid.get(root.pid)?.ticks ?? root.ticks) !== root.ticks
      const byGroup = root.isGroupKnown && !isReused
      const first = table.filter(process => isOwn(root, process, byGroup))
      const found = new Map<number, Process>()
      const visit = (process: Process) => {
        if (found.has(process.pid) || spared.has(process.pid)) return
        found.set(process.pid, process)
        for (const child of children.get(process.pid) ?? []) visit(child)
      }
      const inGroups = (root.notes?.pids() ?? []).flatMap(pid => byPid.get(pid) ?? [])
      for (const process of [...first, ...inGroups, ...(marked.get(root) ?? [])]) visit(process)
      return [root, [...found.values()]]
    }),
  )
}

function isOwn(root: Root, process: Process, byGroup: boolean): boolean {
  if (process.pid === root.pid) return root.ticks === null || process.ticks === root.ticks
  if (root.strays.get(process.pid) === process.ticks) return true
  return byGroup && (process.group === root.pid || process.session === root.pid)
}

function markOf(pid: number, roots: readonly Root[]): Root | undefined {
  try {
    const env = new Set(readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0'))
    return roots.find(root => root.mark !== undefined && env.has(root.mark))
  } catch {
    return undefined
  }
}

function lineage(table: readonly Process[]): Set<number> {
  const parents = new Map(table.map(process => [process.pid, process.parent]))
  const pids = new Set([1])
  for (let pid: number | undefined = process.pid; pid && !pids.has(pid); pid = parents.get(pid)) pids.add(pid)
  return pids
}
