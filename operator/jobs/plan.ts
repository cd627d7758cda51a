import { isDeepStrictEqual } from 'node:util'
import { isNamed } from '../../core/keys.ts'
import { type JobEntry, jobEntrySchema } from '../../core/records/entry.ts'
import type { Versioned } from '../../store/protocol/versioned.ts'
import { guards } from '../model-guards.ts'
import { cellsIn, hasRun, isShared, newTargets, oldTargets, settleAll } from './job-cells.ts'
import type { Desired, DesiredEntry, JobWorld, Plan, Step, StoredEntry } from './job-world.ts'

/**
 * One job: what is to be done so that etcd says what its object says. Pure; each answer is one stage, after which the world is looked
 * at anew. An edit that changes which times or targets exist goes by suspension, and what it needs stands in the suspended entry:
 *
 *   in force ─▶ suspended, editing {at, settle} ─▶ each cell settled up to `at` ─▶ (All: cells of new targets) ─▶ new entry, counts from `at`
 *                                                     └ another pool: runs ended ─▶ new entry, old one and its cells gone, at once
 *                                                     └ deleted:      runs ended ─▶ entry and cells gone
 *   suspended by the user ─▶ in force again, counts from now
 */
export function planJob(w: JobWorld): Plan {
  const plan = planEntry(w)
  const kills = killSteps(w)
  if (kills.length === 0) return plan
  return { steps: [...plan.steps, ...kills], then: plan.then === 'done' ? 'wait' : plan.then }
}

function planEntry(w: JobWorld): Plan {
  const { desired } = w
  const other = w.stored.find(stored => isOther(stored, w))
  if (other) return removal(w, other, true)
  const [stored] = w.stored
  if (desired.kind === 'gone') return stored ? removal(w, stored, desired.kill) : leftovers(w)
  if (!stored || !isReadable(stored)) return creation(w, desired, stored)
  const want = wanted(desired, stored.value, w.now)
  if (stored.value.generation > want.generation) return { steps: [], then: 'stale' }
  return stored.pool === want.pool ? reconciled(w, stored, want) : move(w, stored, want)
}

const again = (...steps: Step[]): Plan => ({ steps, then: 'again' })

function isReadable(stored: StoredEntry): stored is Versioned<JobEntry> & { pool: string } {
  return stored.value !== undefined
}

/** Of an object that was deleted and made again under the same name, or a second one beside the one that counts. */
function isOther(stored: StoredEntry, { desired, stored: all }: JobWorld): boolean {
  if (desired.kind === 'gone') return false
  const uid = desired.kind === 'entry' ? desired.entry.uid : desired.uid
  if (stored.value && stored.value.uid !== uid) return true
  if (!stored.value) return desired.kind !== 'entry' || stored.pool !== desired.entry.pool
  const first = all.find(each => each.value?.uid === uid)
  return first !== stored
}

/** What the entry should be, given the one that stands: a job whose times cannot be known keeps its old ones, suspended. */
function wanted(desired: Exclude<Desired, { kind: 'gone' }>, entry: JobEntry, now: number): DesiredEntry {
  const since = (blocked: { reason: string; message: string }) => ({
    ...blocked,
    since: entry.blocked?.reason === blocked.reason ? (entry.blocked.since ?? now) : now,
  })
  if (desired.kind === 'entry') {
    const { blocked } = desired.entry
    return blocked ? { ...desired.entry, blocked: since(blocked) } : desired.entry
  }
  const { scheduleChangedAt: _, editing: __, ...same } = entry
  return { ...same, suspended: true, blocked: since(desired.blocked) }
}

function creation(
  w: JobWorld,
  desired: Exclude<Desired, { kind: 'gone' }>,
  unreadable: StoredEntry | undefined,
): Plan {
  if (desired.kind === 'timeless') return { steps: [], then: 'done' }
  const { entry } = desired
  const stale = w.cells.filter(cell => cell.ref.pool !== entry.pool || cell.value?.uid !== entry.uid)
  const orphans = unreadable ? [] : stale.filter(cell => (cell.value?.active.length ?? 0) === 0)
  if (orphans.length > 0) return again(...orphans.map(cell => ({ do: 'forget' as const, cell })))
  const blocked = entry.blocked ? { blocked: { ...entry.blocked, since: w.now } } : {}
  // In All the cells come first, so that no time falls between the entry and them.
  const first = !entry.suspended && entry.command.placement.mode === 'All'
  return again({
    do: 'put',
    pool: entry.pool,
    mod: unreadable?.mod ?? 0,
    entry: {
      ...entry,
      ...blocked,
      scheduleChangedAt: w.now,
      ...(first ? { suspended: true, editing: { at: w.now } } : {}),
    },
  })
}

function reconciled(w: JobWorld, stored: Versioned<JobEntry> & { pool: string }, want: DesiredEntry): Plan {
  const entry = stored.value
  const put = (entry: JobEntry) => again({ do: 'put', pool: stored.pool, mod: stored.mod, entry })
  if (entry.editing) return finishEdit(w, stored, want)
  if (!entry.suspended) {
    const reason = whySuspend(entry, want)
    if (reason && guards.editsBySuspension())
      return put({ ...entry, suspended: true, editing: { at: w.now, settle: reason } })
  } else if (!want.suspended) {
    return want.command.placement.mode === 'All'
      ? put({ ...entry, editing: { at: w.now } })
      : put({ ...want, scheduleChangedAt: countsFrom(w, want.pool, w.now) })
  }
  const next = { ...want, scheduleChangedAt: entry.scheduleChangedAt }
  if (!isSame(next, entry)) return put(next)
  return upkeep(w, stored)
}

/** Why this edit has to go by suspension: it changes which times or targets exist. */
function whySuspend(entry: JobEntry, want: DesiredEntry): string | undefined {
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

function finishEdit(w: JobWorld, stored: Versioned<JobEntry> & { pool: string }, want: DesiredEntry): Plan {
  const entry = stored.value
  const open = settleEdit(w, stored)
  if (open.length > 0) return again(...open)
  const at = entry.editing?.at ?? w.now
  if (!want.suspended) {
    const { steps } = oldTargets(w, { ...stored, value: { ...want, suspended: true, scheduleChangedAt: at } })
    const cells = [...steps.filter(step => step.do === 'cell'), ...newTargets(w, want, { at, under: stored })]
    if (cells.length > 0) return again(...cells)
  }
  const scheduleChangedAt = want.suspended ? entry.scheduleChangedAt : countsFrom(w, want.pool, at)
  return again({ do: 'put', pool: stored.pool, mod: stored.mod, entry: { ...want, scheduleChangedAt } })
}

function settleEdit(w: JobWorld, stored: Versioned<JobEntry>): Step[] {
  const { editing, blocked } = stored.value
  if (editing?.settle === undefined) return []
  return settleAll(w, stored, { upTo: editing.at, reason: blocked?.reason ?? editing.settle })
}

/** A time that was claimed ahead of its instant is not counted again. */
function countsFrom(w: JobWorld, pool: string, at: number): number {
  return Math.max(at, ...cellsIn(w, pool).map(({ value }) => value?.lastFire ?? 0))
}

function move(w: JobWorld, stored: Versioned<JobEntry> & { pool: string }, want: DesiredEntry): Plan {
  const entry = stored.value
  if (!entry.editing) return suspend(w, stored, 'PoolChanged')
  const open = settleEdit(w, stored)
  if (open.length > 0) return again(...open)
  const busy = cellsIn(w, stored.pool).filter(hasRun)
  if (busy.length > 0)
    return { steps: busy.map(cell => ({ do: 'kill', cell, reason: 'PoolChanged' })), then: 'wait' }
  const { at } = entry.editing
  const cells = want.suspended ? [] : newTargets(w, want, { at, under: stored })
  if (cells.length > 0) return again(...cells)
  return again({
    do: 'move',
    from: stored,
    entry: { ...want, scheduleChangedAt: countsFrom(w, stored.pool, at) },
  })
}

function suspend(w: JobWorld, stored: Versioned<JobEntry> & { pool: string }, reason: string): Plan {
  const entry = stored.value
  const editing = { at: w.now, ...(entry.suspended ? {} : { settle: reason }) }
  return again({
    do: 'put',
    pool: stored.pool,
    mod: stored.mod,
    entry: { ...entry, suspended: true, editing },
  })
}

function removal(w: JobWorld, stored: StoredEntry, kill: boolean): Plan {
  if (isReadable(stored)) {
    if (!stored.value.suspended) return suspend(w, stored, 'Deleted')
    const open = settleEdit(w, stored)
    if (open.length > 0) return again(...open)
  }
  const busy = cellsIn(w, stored.pool).filter(hasRun)
  if (busy.length > 0) {
    return { steps: kill ? busy.map(cell => ({ do: 'kill', cell, reason: 'Deleted' })) : [], then: 'wait' }
  }
  return again({ do: 'remove', stored })
}

/** Cells without any entry: nothing makes them, but nothing may stay either. */
function leftovers(w: JobWorld): Plan {
  if (w.cells.length === 0) return { steps: [], then: 'done' }
  const targets = w.cells.filter(cell => !isShared(cell))
  // The wave goes with the last of them.
  const idle = targets.length > 0 ? targets.filter(cell => !hasRun(cell)) : w.cells
  if (idle.length === 0)
    return { steps: targets.map(cell => ({ do: 'kill', cell, reason: 'Deleted' })), then: 'wait' }
  return again(...idle.map(cell => ({ do: 'forget' as const, cell })))
}

/** What changes without an edit: members come and go. */
function upkeep(w: JobWorld, stored: Versioned<JobEntry>): Plan {
  const { suspended } = stored.value
  const begin = suspended ? [] : newTargets(w, stored.value, { at: w.now, under: stored })
  const { steps, wait } = oldTargets(w, stored)
  const all = [...begin, ...steps]
  if (all.some(step => step.do !== 'kill')) return again(...all)
  return { steps: all, then: wait ? 'wait' : 'done' }
}

function killSteps(w: JobWorld): Step[] {
  const { kill: run } = w
  if (!run) return []
  return w.cells
    .filter(cell => !isShared(cell) && cell.value?.active.some(active => isNamed(active.run, run)))
    .map(cell => ({ do: 'kill', cell, reason: 'Requested', run }))
}

/** Both as they are read back: an absent field and an undefined one are the same. */
function isSame(next: JobEntry, entry: JobEntry): boolean {
  return isDeepStrictEqual(jobEntrySchema.parse(JSON.parse(JSON.stringify(next))), entry)
}
