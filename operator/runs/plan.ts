import { ownTargets } from '../../core/fires/placement.ts'
import { ANYWHERE } from '../../core/keys.ts'
import type { RunEntry } from '../../core/records/entry.ts'
import type { CellSeen, StoredIn } from '../etcd-mirrors.ts'
import { isShared } from '../jobs/job-cells.ts'

/**
 * One ShellRun: what is to be done so that etcd says what its object says. Pure; one stage at a time.
 *
 *   object ─▶ entry put ─▶ a request per target, put again while nobody has claimed it ─▶ claimed ─▶ ended
 *                └ unclaimed at the deadline, or refused for good ─▶ Missed        (entry and cells stay with the object)
 *                   (in a wave: who lives and waits for its place has until that comes)
 *   deleted ─▶ unclaimed targets Missed ─▶ runs killed ─▶ entry, cells and requests gone
 */
export interface RunWorld {
  now: number
  desired:
    | { kind: 'gone'; kill: boolean }
    /** `final`: blocked, and nothing can mend it. */
    | { kind: 'entry'; entry: RunEntry; final: boolean }
  stored: readonly StoredIn<RunEntry>[]
  cells: readonly CellSeen[]
  hasRequest(target: string): boolean
  /** Does the agent of a target live? */
  lives(target: string): boolean
}

export type RunStep =
  | { do: 'put'; mod: number; entry: RunEntry }
  | { do: 'remove'; stored: StoredIn<RunEntry> }
  /** `mod`: of the target's cell, in which it may wait; 0: it has none. */
  | { do: 'request'; entry: RunEntry; target: string; mod: number }
  | { do: 'miss'; stored: StoredIn<RunEntry> & { value: RunEntry }; open: Open; reason: string }
  | { do: 'forget'; cell: CellSeen }
  | { do: 'kill'; cell: CellSeen; reason: string }

export interface RunPlan {
  steps: RunStep[]
  /**
   * `again`: look anew after the steps. `wait`: for runs to end. `running`: claimed everywhere, not ended. `done`: ended, or gone.
   * `until`: look again then at the latest.
   */
  then: 'again' | 'done' | 'wait' | 'running' | { until: number }
}

type Readable = StoredIn<RunEntry> & { value: RunEntry }

export function planRun(w: RunWorld): RunPlan {
  const { desired } = w
  const other = w.stored.find(stored => desired.kind === 'gone' || isOther(stored, desired.entry))
  if (other) return removal(w, other, desired.kind === 'gone' ? desired.kill : true)
  if (desired.kind === 'gone') return leftovers(w)
  const [stored] = w.stored
  if (!stored?.value)
    return again({ do: 'put', mod: stored?.mod ?? 0, entry: withSince(desired.entry, w.now) })
  const readable = { ...stored, value: stored.value }
  const mended = stored.value.blocked && !desired.entry.blocked
  // While it was blocked nobody could claim it, so the entry of another pool can simply go.
  if (mended && stored.pool !== desired.entry.pool) return again({ do: 'remove', stored })
  if (mended) return again({ do: 'put', mod: stored.mod, entry: desired.entry })
  return standing(w, readable, desired.final)
}

const again = (...steps: RunStep[]): RunPlan => ({ steps, then: 'again' })

function isOther(stored: StoredIn<RunEntry>, want: RunEntry): boolean {
  return stored.value ? stored.value.uid !== want.uid : stored.pool !== want.pool
}

function withSince(entry: RunEntry, now: number): RunEntry {
  return entry.blocked ? { ...entry, blocked: { ...entry.blocked, since: now } } : entry
}

/**
 * The targets of a ShellRun: those it names (in All they are fixed when it is compiled), else one place, or each shard. One that is for
 * nobody has a place too, so that it has an outcome.
 */
export function runTargets(entry: Pick<RunEntry, 'targets' | 'command'>): readonly string[] {
  if (entry.targets.length > 0) return entry.targets
  const own = ownTargets(entry.command.placement)
  return own.length > 0 ? own : [ANYWHERE]
}

/** A target that nobody has claimed, and its cell if it waits there. */
export interface Open {
  target: string
  cell: CellSeen | undefined
}

function unclaimed({ cells }: RunWorld, entry: RunEntry): Open[] {
  const known = new Map(
    cells.filter(({ ref }) => ref.pool === entry.pool).map(cell => [cell.ref.target, cell] as const),
  )
  return runTargets(entry)
    .map(target => ({ target, cell: known.get(target) }))
    .filter(({ cell }) => !cell || cell.value?.waiting !== undefined)
}

function standing(w: RunWorld, stored: Readable, final: boolean): RunPlan {
  const entry = stored.value
  const open = unclaimed(w, entry)
  if (open.length === 0) return { steps: [], then: w.cells.some(isBusy) ? 'running' : 'done' }
  const blocked = entry.blocked
  const isLate = w.now >= entry.deadline
  const given = open.filter(({ target, cell }) => isLate && !(cell && w.lives(target)))
  const over = blocked && final ? open : given
  if (over.length > 0) return again(...missed(stored, over, blocked?.reason ?? 'DeadlineExceeded'))
  const until = isLate ? Number.POSITIVE_INFINITY : entry.deadline
  if (blocked) return { steps: [], then: { until } }
  const requests = open
    .filter(({ target }) => !w.hasRequest(target))
    .map(({ target, cell }) => ({ do: 'request' as const, entry, target, mod: cell?.mod ?? 0 }))
  return { steps: requests, then: { until } }
}

function missed(stored: Readable, targets: readonly Open[], reason: string): RunStep[] {
  return targets.map(open => ({ do: 'miss', stored, open, reason }))
}

function removal(w: RunWorld, stored: StoredIn<RunEntry>, kill: boolean): RunPlan {
  if (stored.value) {
    const open = unclaimed(w, stored.value)
    if (open.length > 0)
      return again(
        ...missed({ ...stored, value: stored.value }, open, stored.value.blocked?.reason ?? 'Deleted'),
      )
  }
  const busy = w.cells.filter(cell => cell.ref.pool === stored.pool && isBusy(cell))
  if (busy.length > 0) return { steps: kill ? kills(busy) : [], then: 'wait' }
  return again({ do: 'remove', stored })
}

function leftovers({ cells }: RunWorld): RunPlan {
  if (cells.length === 0) return { steps: [], then: 'done' }
  const targets = cells.filter(cell => !isShared(cell))
  const idle = targets.length > 0 ? targets.filter(cell => !isBusy(cell)) : cells
  if (idle.length === 0) return { steps: kills(targets), then: 'wait' }
  return again(...idle.map(cell => ({ do: 'forget' as const, cell })))
}

function kills(cells: readonly CellSeen[]): RunStep[] {
  return cells.map(cell => ({ do: 'kill', cell, reason: 'Deleted' }))
}

/** A wave counts what its targets' cells count. */
function isBusy(cell: CellSeen): boolean {
  return !isShared(cell) && (cell.value?.active.length ?? 0) > 0
}
