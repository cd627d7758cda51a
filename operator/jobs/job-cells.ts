import { settleUpTo } from '../../core/fires/decide.ts'
import { ownTargets } from '../../core/fires/placement.ts'
import { ANYWHERE, isShellRunId, WAVE } from '../../core/keys.ts'
import type { JobEntry, Placement } from '../../core/records/entry.ts'
import type { Versioned } from '../../store/protocol/versioned.ts'
import type { CellSeen } from '../etcd-mirrors.ts'
import type { JobWorld, Step } from './job-world.ts'

/** Which cells a job has, and what becomes of each. */

/** A cell that belongs to the whole job, not to a target: what it counts its targets' cells count too. */
export function isShared({ ref }: Pick<CellSeen, 'ref'>): boolean {
  return ref.target === WAVE
}

/** Has it a run of the job itself? A ShellRun that counts here too has an end of its own. */
export function hasRun(cell: CellSeen): boolean {
  return !isShared(cell) && (cell.value?.active ?? []).some(({ run }) => !isShellRunId(run))
}

export function targetsOf(w: JobWorld, pool: string, placement: Placement): readonly string[] {
  return placement.mode === 'All' ? w.members(pool, placement) : ownTargets(placement)
}

export function cellsIn(w: JobWorld, pool: string): CellSeen[] {
  return w.cells.filter(cell => cell.ref.pool === pool)
}

/** Every time up to `upTo`, on every target that the entry had, gets its outcome. */
export function settleAll(
  w: JobWorld,
  entry: Versioned<JobEntry>,
  by: { upTo: number; reason: string },
): Step[] {
  const times = w.timesOf(entry.value)
  return settleable(w, entry.value).flatMap((cell): Step[] => {
    const settle = settleUpTo({ entry: entry.value, times, cell: cell.value }, by.upTo, by.reason)
    return settle.length > 0 ? [{ do: 'settle', entry, cell, settle }] : []
  })
}

/** In All a target is what has a cell that has not retired; else a target may have no cell yet. */
function settleable(w: JobWorld, { pool, namespace, name, command: { placement } }: JobEntry): CellSeen[] {
  const cells = cellsIn(w, pool)
  if (placement.mode === 'All') return cells.filter(cell => !isShared(cell) && !cell.value?.retired)
  return targetsOf(w, pool, placement).map(
    target =>
      cells.find(({ ref }) => ref.target === target) ?? {
        key: '',
        mod: 0,
        value: undefined,
        ref: { pool, kind: 'job', namespace, name, target },
      },
  )
}

/** Mode All: cells for members that have become targets, which count from `at`. */
export function newTargets(
  w: JobWorld,
  entry: Pick<JobEntry, 'pool' | 'uid' | 'namespace' | 'name' | 'command'>,
  { at, under }: { at: number; under: { key: string; mod: number } },
): Step[] {
  const { pool, uid, namespace, name } = entry
  if (entry.command.placement.mode !== 'All') return []
  const known = new Map(cellsIn(w, pool).map(cell => [cell.ref.target, cell]))
  return targetsOf(w, pool, entry.command.placement).flatMap((target): Step[] => {
    const before = known.get(target)
    if (before?.value && !before.value.retired) return []
    const active = before?.value?.active ?? []
    const lastFire = Math.max(at, before?.value?.lastFire ?? 0)
    const ref = { pool, kind: 'job' as const, namespace, name, target }
    const cell = before ?? { key: '', mod: 0, value: undefined, ref }
    return [{ do: 'cell', under, cell, value: { uid, lastFire, active } }]
  })
}

/**
 * Cells of what is no target any more: in All settled up to now and its runs ended, then deleted when no run is active. A cell that an
 * edit of the mode left behind has been settled by it; its runs may go on.
 */
export function oldTargets(w: JobWorld, entry: Versioned<JobEntry>): { steps: Step[]; wait: boolean } {
  const { pool, suspended, command } = entry.value
  const targets = new Set(targetsOf(w, pool, command.placement))
  const all = command.placement.mode === 'All'
  const steps: Step[] = []
  let wait = false
  for (const cell of cellsIn(w, pool)) {
    if (targets.has(cell.ref.target) || isShared(cell)) continue
    const { value } = cell
    if (all && value && !value.retired) {
      steps.push(...retire(w, entry, { cell, settle: !suspended }))
    } else if (value && (value.active.length > 0 || value.lastFire > w.now)) {
      wait = true
      if (all && cell.ref.target !== ANYWHERE && hasRun(cell))
        steps.push({ do: 'kill', cell, reason: 'TargetGone' })
    } else steps.push({ do: 'forget', cell })
  }
  return { steps, wait }
}

function retire(
  w: JobWorld,
  entry: Versioned<JobEntry>,
  { cell, settle }: { cell: CellSeen; settle: boolean },
): Step[] {
  const { value } = cell
  const open = settle
    ? settleUpTo(
        { entry: entry.value, times: w.timesOf(entry.value), cell: value },
        w.now,
        entry.value.blocked?.reason ?? 'TargetGone',
      )
    : []
  if (open.length > 0) return [{ do: 'settle', entry, cell, settle: open }]
  return value ? [{ do: 'cell', under: entry, cell, value: { ...value, retired: true } }] : []
}
