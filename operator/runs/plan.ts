import { ownTargets } from '../../core/fires/placement.ts'
import { ANYWHERE } from '../../core/keys.ts'
import type { RunEntry } from '../../core/records/entry.ts'
import type { CellSeen, StoredIn } from '../etcd-mirrors.ts'
import { isShared } from '../jobs/job-cells.ts'

/**
 * Plans how one ShellRun's keys in etcd come to match its object. Pure; one stage at a time.
 *
 *   object ─▶ entry put ─▶ a request for each target, put again until it is claimed ─▶ claimed ─▶ ended
 *                └ unclaimed at the deadline, or refused for good ─▶ Missed        (entry and cells stay while the object exists)
 *                   (a living agent that waits for its slot in a wave may take longer)
 *   deleted ─▶ unclaimed targets Missed ─▶ runs killed ─▶ entry, cells and requests deleted
 */
export interface RunState {
  now: number
  desired:
    | { kind: 'gone'; kill: boolean }
    /** `final`: blocked, and no other object can fix it. */
    | { kind: 'entry'; entry: RunEntry; final: boolean }
  stored: readonly StoredIn<RunEntry>[]
  cells: readonly CellSeen[]
  hasRequest(target: string): boolean
  /** Whether the agent of a target lives. */
  lives(target: string): boolean
}

export type RunStep =
  | { do: 'put'; mod: number; entry: RunEntry }
  | { do: 'remove'; stored: StoredIn<RunEntry> }
  /** `mod`: of the target's cell, in which the run may wait. 0: there is no cell. */
  | { do: 'request'; entry: RunEntry; target: string; mod: number }
  | { do: 'miss'; stored: StoredIn<RunEntry> & { value: RunEntry }; open: Unclaimed; reason: string }
  | { do: 'forget'; cell: CellSeen }
  | { do: 'kill'; cell: CellSeen; reason: string }

export interface RunPlan {
  steps: RunStep[]
  /**
   * What follows the steps. `again`: observe and plan again. `wait`: runs have to end. `running`: every target is claimed, some run has
   * not ended. `done`: all runs have ended, or everything is deleted. `until`: plan again at this time at the latest.
   */
  then: 'again' | 'done' | 'wait' | 'running' | { until: number }
}

type Readable = StoredIn<RunEntry> & { value: RunEntry }

export function planRun(state: RunState): RunPlan {
  const { desired } = state
  const other = state.stored.find(stored => desired.kind === 'gone' || isOther(stored, desired.entry))
  if (other) return removal(state, other, desired.kind === 'gone' ? desired.kill : true)
  if (desired.kind === 'gone') return leftovers(state)
  const [stored] = state.stored
  if (!stored?.value)
    return again({ do: 'put', mod: stored?.mod ?? 0, entry: withSince(desired.entry, state.now) })
  const readable = { ...stored, value: stored.value }
  const unblocked = stored.value.blocked && !desired.entry.blocked
  // A blocked entry cannot be claimed, so one in another pool can be deleted at once.
  if (unblocked && stored.pool !== desired.entry.pool) return again({ do: 'remove', stored })
  if (unblocked) return again({ do: 'put', mod: stored.mod, entry: desired.entry })
  return standing(state, readable, desired.final)
}

const again = (...steps: RunStep[]): RunPlan => ({ steps, then: 'again' })

function isOther(stored: StoredIn<RunEntry>, want: RunEntry): boolean {
  return stored.value ? stored.value.uid !== want.uid : stored.pool !== want.pool
}

function withSince(entry: RunEntry, now: number): RunEntry {
  return entry.blocked ? { ...entry, blocked: { ...entry.blocked, since: now } } : entry
}

/**
 * The targets of a ShellRun: those it names (in mode All they are fixed when it is compiled), otherwise one agent, or each shard. There is
 * always at least one, so that every ShellRun has an outcome.
 */
export function runTargets(entry: Pick<RunEntry, 'targets' | 'command'>): readonly string[] {
  if (entry.targets.length > 0) return entry.targets
  const own = ownTargets(entry.command.placement)
  return own.length > 0 ? own : [ANYWHERE]
}

/** A target that no agent has claimed, and its cell if the run waits there. */
export interface Unclaimed {
  target: string
  cell: CellSeen | undefined
}

function unclaimed({ cells }: RunState, entry: RunEntry): Unclaimed[] {
  const known = new Map(
    cells.filter(({ ref }) => ref.pool === entry.pool).map(cell => [cell.ref.target, cell] as const),
  )
  return runTargets(entry)
    .map(target => ({ target, cell: known.get(target) }))
    .filter(({ cell }) => !cell || cell.value?.waiting !== undefined)
}

function standing(state: RunState, stored: Readable, final: boolean): RunPlan {
  const entry = stored.value
  const open = unclaimed(state, entry)
  if (open.length === 0) return { steps: [], then: state.cells.some(isBusy) ? 'running' : 'done' }
  const blocked = entry.blocked
  const isLate = state.now >= entry.deadline
  const expired = open.filter(({ target, cell }) => isLate && !(cell && state.lives(target)))
  const over = blocked && final ? open : expired
  if (over.length > 0) return again(...missed(stored, over, blocked?.reason ?? 'DeadlineExceeded'))
  const until = isLate ? Number.POSITIVE_INFINITY : entry.deadline
  if (blocked) return { steps: [], then: { until } }
  const requests = open
    .filter(({ target }) => !state.hasRequest(target))
    .map(({ target, cell }) => ({ do: 'request' as const, entry, target, mod: cell?.mod ?? 0 }))
  return { steps: requests, then: { until } }
}

function missed(stored: Readable, targets: readonly Unclaimed[], reason: string): RunStep[] {
  return targets.map(open => ({ do: 'miss', stored, open, reason }))
}

function removal(state: RunState, stored: StoredIn<RunEntry>, kill: boolean): RunPlan {
  if (stored.value) {
    const open = unclaimed(state, stored.value)
    if (open.length > 0)
      return again(
        ...missed({ ...stored, value: stored.value }, open, stored.value.blocked?.reason ?? 'Deleted'),
      )
  }
  const busy = state.cells.filter(cell => cell.ref.pool === stored.pool && isBusy(cell))
  if (busy.length > 0) return { steps: kill ? kills(busy) : [], then: 'wait' }
  return again({ do: 'remove', stored })
}

function leftovers({ cells }: RunState): RunPlan {
  if (cells.length === 0) return { steps: [], then: 'done' }
  const targets = cells.filter(cell => !isShared(cell))
  const idle = targets.length > 0 ? targets.filter(cell => !isBusy(cell)) : cells
  if (idle.length === 0) return { steps: kills(targets), then: 'wait' }
  return again(...idle.map(cell => ({ do: 'forget' as const, cell })))
}

function kills(cells: readonly CellSeen[]): RunStep[] {
  return cells.map(cell => ({ do: 'kill', cell, reason: 'Deleted' }))
}

/** A wave's cell is not busy by itself: its runs are also counted in the targets' cells. */
function isBusy(cell: CellSeen): boolean {
  return !isShared(cell) && (cell.value?.active.length ?? 0) > 0
}
