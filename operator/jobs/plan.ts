import { isDeepStrictEqual } from 'node:util'
import { isNamed } from '../../core/keys.ts'
import { type JobEntry, jobEntrySchema } from '../../core/records/entry.ts'
import type { Versioned } from '../../store/protocol/versioned.ts'
import { guards } from '../model-guards.ts'
import { beginClockEpoch, inClockEpochOf, setFrontiersBack } from './clock-set-back.ts'
import { cellsIn, hasRun, isShared, newTargets, oldTargets, settleAll } from './job-cells.ts'
import type { Desired, DesiredEntry, JobState, Plan, Step, StoredEntry } from './job-state.ts'

/**
 * Plans how one job's keys in etcd come to match its object. Pure. Each plan is one stage; afterwards the state is observed again. An edit
 * that changes which times or targets exist suspends the job first. The suspended entry holds all that the edit needs to continue:
 *
 *   active ─▶ suspended, editing {at, settle} ─▶ each cell settled up to `at` ─▶ (All: cells of new targets) ─▶ new entry, counts from `at`
 *                                                   └ another pool: runs ended ─▶ new entry put, old one and its cells deleted
 *                                                   └ deleted:      runs ended ─▶ entry and cells deleted
 *   suspended by the user ─▶ active again, counts from now
 *   times used that are ahead of the clock: see clock-set-back.ts
 */
export function planJob(state: JobState): Plan {
  const plan = planEntry(state)
  const kills = killSteps(state)
  if (kills.length === 0) return plan
  return { steps: [...plan.steps, ...kills], then: plan.then === 'done' ? 'wait' : plan.then }
}

function planEntry(state: JobState): Plan {
  const { desired } = state
  const other = state.stored.find(stored => isOther(stored, state))
  if (other) return removal(state, other, true)
  const [stored] = state.stored
  if (desired.kind === 'gone') return stored ? removal(state, stored, desired.kill) : leftovers(state)
  if (!stored || !isReadable(stored)) return creation(state, desired, stored)
  const want = desiredEntry(desired, stored.value, state.now)
  if (stored.value.generation > want.generation) return { steps: [], then: 'stale' }
  const begun = beginClockEpoch(state, stored)
  if (begun) return again({ do: 'put', pool: stored.pool, mod: stored.mod, entry: begun })
  return stored.pool === want.pool ? reconciled(state, stored, want) : move(state, stored, want)
}

const again = (...steps: Step[]): Plan => ({ steps, then: 'again' })

function isReadable(stored: StoredEntry): stored is Versioned<JobEntry> & { pool: string } {
  return stored.value !== undefined
}

/** The entry of a deleted object of the same name, or a second entry of the same object. */
function isOther(stored: StoredEntry, { desired, stored: all }: JobState): boolean {
  if (desired.kind === 'gone') return false
  const uid = desired.kind === 'entry' ? desired.entry.uid : desired.uid
  if (stored.value && stored.value.uid !== uid) return true
  if (!stored.value) return desired.kind !== 'entry' || stored.pool !== desired.entry.pool
  const first = all.find(each => each.value?.uid === uid)
  return first !== stored
}

/** The entry as it should be, in the clock epoch that it has. */
type Wanted = Omit<JobEntry, 'scheduleChangedAt' | 'editing'>

/** A job with an invalid schedule keeps its stored entry, suspended. */
function desiredEntry(desired: Exclude<Desired, { kind: 'gone' }>, entry: JobEntry, now: number): Wanted {
  const since = (blocked: { reason: string; message: string }) => ({
    ...blocked,
    since: entry.blocked?.reason === blocked.reason ? (entry.blocked.since ?? now) : now,
  })
  if (desired.kind === 'entry') {
    const { clockEpoch, clockSetBack } = entry
    const { blocked } = desired.entry
    const same = { ...desired.entry, clockEpoch, ...(clockSetBack ? { clockSetBack } : {}) }
    return blocked ? { ...same, blocked: since(blocked) } : same
  }
  const { scheduleChangedAt: _, editing: __, ...same } = entry
  return { ...same, suspended: true, blocked: since(desired.blocked) }
}

function creation(
  state: JobState,
  desired: Exclude<Desired, { kind: 'gone' }>,
  unreadable: StoredEntry | undefined,
): Plan {
  if (desired.kind === 'timeless') return { steps: [], then: 'done' }
  const { entry } = desired
  const stale = state.cells.filter(cell => cell.ref.pool !== entry.pool || cell.value?.uid !== entry.uid)
  const orphans = unreadable ? [] : stale.filter(cell => (cell.value?.active.length ?? 0) === 0)
  if (orphans.length > 0) return again(...orphans.map(cell => ({ do: 'forget' as const, cell })))
  const blocked = entry.blocked ? { blocked: { ...entry.blocked, since: state.now } } : {}
  // In mode All the cells are written before the entry is active, so that no time is missed in between.
  const first = !entry.suspended && entry.command.placement.mode === 'All'
  return again({
    do: 'put',
    pool: entry.pool,
    mod: unreadable?.mod ?? 0,
    entry: {
      ...entry,
      ...blocked,
      clockEpoch: 0,
      scheduleChangedAt: state.now,
      ...(first ? { suspended: true, editing: { at: state.now } } : {}),
    },
  })
}

function reconciled(state: JobState, stored: Versioned<JobEntry> & { pool: string }, want: Wanted): Plan {
  const entry = stored.value
  const put = (entry: JobEntry) => again({ do: 'put', pool: stored.pool, mod: stored.mod, entry })
  if (entry.editing) return finishEdit(state, stored, want)
  if (!entry.suspended) {
    const reason = whySuspend(entry, want)
    if (reason && guards.editsBySuspension())
      return put({ ...entry, suspended: true, editing: { at: state.now, settle: reason } })
  } else if (!want.suspended) {
    return want.command.placement.mode === 'All'
      ? put({ ...entry, editing: { at: state.now } })
      : put({ ...want, scheduleChangedAt: countsFrom(state, want.pool, state.now) })
  }
  const next = { ...want, scheduleChangedAt: entry.scheduleChangedAt }
  if (!isSame(next, entry)) return put(next)
  return upkeep(state, stored)
}

/** The reason to suspend the job for this edit: it changes which times or targets exist. undefined: no need. */
function whySuspend(entry: JobEntry, want: Wanted): string | undefined {
  const times = ({ schedules, timeZone, daylightSaving }: DesiredEntry) => ({
    schedules,
    timeZone,
    daylightSaving,
  })
  const targets = ({ command: { placement } }: DesiredEntry) => ({ ...placement, maxParallel: undefined })
  if (want.suspended) return want.blocked?.reason ?? 'Suspended'
  if (entry.epoch !== want.epoch) return 'SnapshotRestored'
  if (!isDeepStrictEqual(times(entry), times(want))) return 'Rescheduled'
  if (!isDeepStrictEqual(targets(entry), targets(want))) return 'Retargeted'
  return entry.blocked && !want.blocked ? 'Unblocked' : undefined
}

function finishEdit(state: JobState, stored: Versioned<JobEntry> & { pool: string }, want: Wanted): Plan {
  const entry = stored.value
  const open = settleEdit(state, stored)
  if (open.length > 0) return again(...open)
  const at = entry.editing?.at ?? state.now
  if (!want.suspended) {
    const { steps } = oldTargets(state, {
      ...stored,
      value: { ...want, suspended: true, scheduleChangedAt: at },
    })
    const cells = [
      ...steps.filter(step => step.do === 'cell'),
      ...newTargets(state, want, { at, under: stored }),
    ]
    if (cells.length > 0) return again(...cells)
  }
  const next = inClockEpochOf(entry, want)
  const scheduleChangedAt =
    want.suspended && !entry.editing?.clock ? entry.scheduleChangedAt : countsFrom(state, want.pool, at)
  return again({ do: 'put', pool: stored.pool, mod: stored.mod, entry: { ...next, scheduleChangedAt } })
}

/** What is left to do in the cells before the edit's next entry can be put. */
function settleEdit(state: JobState, stored: Versioned<JobEntry> & { pool: string }): Step[] {
  const { editing, blocked } = stored.value
  const open =
    editing?.settle === undefined
      ? []
      : settleAll(state, stored, { upTo: editing.at, reason: blocked?.reason ?? editing.settle })
  return open.length > 0 ? open : setFrontiersBack(state, stored)
}

/** A time that was claimed before it was due is not counted again. */
function countsFrom(state: JobState, pool: string, at: number): number {
  return Math.max(at, ...cellsIn(state, pool).map(({ value }) => value?.lastFire ?? 0))
}

function move(state: JobState, stored: Versioned<JobEntry> & { pool: string }, want: Wanted): Plan {
  const entry = stored.value
  if (!entry.editing) return suspend(state, stored, 'PoolChanged')
  const open = settleEdit(state, stored)
  if (open.length > 0) return again(...open)
  const busy = cellsIn(state, stored.pool).filter(hasRun)
  if (busy.length > 0)
    return { steps: busy.map(cell => ({ do: 'kill', cell, reason: 'PoolChanged' })), then: 'wait' }
  const { at } = entry.editing
  const cells = want.suspended ? [] : newTargets(state, want, { at, under: stored })
  if (cells.length > 0) return again(...cells)
  return again({
    do: 'move',
    from: stored,
    entry: { ...inClockEpochOf(entry, want), scheduleChangedAt: countsFrom(state, stored.pool, at) },
  })
}

function suspend(state: JobState, stored: Versioned<JobEntry> & { pool: string }, reason: string): Plan {
  const entry = stored.value
  const editing = { at: state.now, ...(entry.suspended ? {} : { settle: reason }) }
  return again({
    do: 'put',
    pool: stored.pool,
    mod: stored.mod,
    entry: { ...entry, suspended: true, editing },
  })
}

function removal(state: JobState, stored: StoredEntry, kill: boolean): Plan {
  if (isReadable(stored)) {
    if (!stored.value.suspended) return suspend(state, stored, 'Deleted')
    const open = settleEdit(state, stored)
    if (open.length > 0) return again(...open)
  }
  const busy = cellsIn(state, stored.pool).filter(hasRun)
  if (busy.length > 0) {
    return { steps: kill ? busy.map(cell => ({ do: 'kill', cell, reason: 'Deleted' })) : [], then: 'wait' }
  }
  return again({ do: 'remove', stored })
}

/** Cells without an entry. None should exist; they are deleted all the same. */
function leftovers(state: JobState): Plan {
  if (state.cells.length === 0) return { steps: [], then: 'done' }
  const targets = state.cells.filter(cell => !isShared(cell))
  // The wave's cell is deleted last.
  const idle = targets.length > 0 ? targets.filter(cell => !hasRun(cell)) : state.cells
  if (idle.length === 0)
    return { steps: targets.map(cell => ({ do: 'kill', cell, reason: 'Deleted' })), then: 'wait' }
  return again(...idle.map(cell => ({ do: 'forget' as const, cell })))
}

/** Changes without an edit: members join and leave. */
function upkeep(state: JobState, stored: Versioned<JobEntry>): Plan {
  const { suspended } = stored.value
  const begin = suspended ? [] : newTargets(state, stored.value, { at: state.now, under: stored })
  const { steps, wait } = oldTargets(state, stored)
  const all = [...begin, ...steps]
  if (all.some(step => step.do !== 'kill')) return again(...all)
  return { steps: all, then: wait ? 'wait' : 'done' }
}

function killSteps(state: JobState): Step[] {
  const { kill: run } = state
  if (!run) return []
  return state.cells
    .filter(cell => !isShared(cell) && cell.value?.active.some(active => isNamed(active.run, run)))
    .map(cell => ({ do: 'kill', cell, reason: 'Requested', run }))
}

/** Compares both as they are read back, so that an absent field equals an undefined one. The number of a write does not count. */
function isSame(next: JobEntry, entry: JobEntry): boolean {
  const numbered = { ...next, written: entry.written }
  return isDeepStrictEqual(jobEntrySchema.parse(JSON.parse(JSON.stringify(numbered))), entry)
}
