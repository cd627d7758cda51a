import { ownTargets } from '../../core/fires/placement.ts'
import { settleUpTo } from '../../core/fires/settlement.ts'
import { ANYWHERE, isShellRunId, WAVE } from '../../core/keys.ts'
import type { JobEntry, Placement } from '../../core/records/entry.ts'
import type { Versioned } from '../../store/protocol/versioned.ts'
import type { CellSeen } from '../etcd-mirrors.ts'
import type { JobState, Step } from './job-state.ts'

/** The cells of a job, and the steps for each. */

/** A cell of the whole job, not of a target. Its runs are also counted in the targets' cells. */
export function isShared({ ref }: Pick<CellSeen, 'ref'>): boolean {
  return ref.target === WAVE
}

/** Whether the cell has a run of the job itself. A ShellRun may count here too, and ends on its own. */
export function hasRun(cell: CellSeen): boolean {
  return !isShared(cell) && (cell.value?.active ?? []).some(({ run }) => !isShellRunId(run))
}

export function targetsOf(state: JobState, pool: string, placement: Placement): readonly string[] {
  return placement.mode === 'All' ? state.members(pool, placement) : ownTargets(placement)
}

export function cellsIn(state: JobState, pool: string): CellSeen[] {
  return state.cells.filter(cell => cell.ref.pool === pool)
}

/** Gives every time up to `upTo` an outcome, on every target that the entry had. */
export function settleAll(
  state: JobState,
  entry: Versioned<JobEntry>,
  by: { upTo: number; reason: string },
): Step[] {
  const times = state.timesOf(entry.value)
  return settleable(state, entry.value).flatMap((cell): Step[] => {
    const settle = settleUpTo({ entry: entry.value, times, cell: cell.value }, by.upTo, by.reason)
    return settle.length > 0 ? [{ do: 'settle', entry, cell, settle }] : []
  })
}

/** In mode All the targets are the cells that have not retired. In other modes a target may have no cell yet. */
function settleable(
  state: JobState,
  { pool, namespace, name, command: { placement } }: JobEntry,
): CellSeen[] {
  const cells = cellsIn(state, pool)
  if (placement.mode === 'All') return cells.filter(cell => !isShared(cell) && !cell.value?.retired)
  return targetsOf(state, pool, placement).map(
    target =>
      cells.find(({ ref }) => ref.target === target) ?? {
        key: '',
        mod: 0,
        value: undefined,
        ref: { pool, kind: 'job', namespace, name, target },
      },
  )
}

/** Mode All: creates cells for members that have become targets. They count from `at`. */
export function newTargets(
  state: JobState,
  entry: Pick<JobEntry, 'pool' | 'uid' | 'namespace' | 'name' | 'command'>,
  { at, under }: { at: number; under: { key: string; mod: number } },
): Step[] {
  const { pool, uid, namespace, name } = entry
  if (entry.command.placement.mode !== 'All') return []
  const known = new Map(cellsIn(state, pool).map(cell => [cell.ref.target, cell]))
  return targetsOf(state, pool, entry.command.placement).flatMap((target): Step[] => {
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
 * The cells of former targets. In mode All each is settled up to now, its runs are ended, and it is deleted when no run is active. A cell
 * that a change of the mode left behind has been settled by that edit; its runs may continue.
 */
export function oldTargets(state: JobState, entry: Versioned<JobEntry>): { steps: Step[]; wait: boolean } {
  const { pool, suspended, command } = entry.value
  const targets = new Set(targetsOf(state, pool, command.placement))
  const all = command.placement.mode === 'All'
  const steps: Step[] = []
  let wait = false
  for (const cell of cellsIn(state, pool)) {
    if (targets.has(cell.ref.target) || isShared(cell)) continue
    const { value } = cell
    if (all && value && !value.retired) {
      steps.push(...retire(state, entry, { cell, settle: !suspended }))
    } else if (value && (value.active.length > 0 || value.lastFire > state.now)) {
      wait = true
      if (all && cell.ref.target !== ANYWHERE && hasRun(cell))
        steps.push({ do: 'kill', cell, reason: 'TargetGone' })
    } else steps.push({ do: 'forget', cell })
  }
  return { steps, wait }
}

function retire(
  state: JobState,
  entry: Versioned<JobEntry>,
  { cell, settle }: { cell: CellSeen; settle: boolean },
): Step[] {
  const { value } = cell
  const open = settle
    ? settleUpTo(
        { entry: entry.value, times: state.timesOf(entry.value), cell: value },
        state.now,
        entry.value.blocked?.reason ?? 'TargetGone',
      )
    : []
  if (open.length > 0) return [{ do: 'settle', entry, cell, settle: open }]
  return value ? [{ do: 'cell', under: entry, cell, value: { ...value, retired: true } }] : []
}
