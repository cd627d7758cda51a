import { type Decision, decide } from '../core/due.ts'
import { ANYWHERE, type CellRef, scheduledRunId } from '../core/keys.ts'
import type { JobEntry } from '../core/records/entry.ts'
import type { Cell } from '../core/records/state.ts'
import { activeSchema } from '../core/records/state.ts'
import { createTimetable, jitterMs, type Timetable } from '../core/timetable/timetable.ts'
import { Alarms } from '../runtime/alarms.ts'
import { messageOf, Unavailable } from '../runtime/errors.ts'
import { claim } from '../store/protocol/claim.ts'
import { type Held, held, type Maybe } from '../store/protocol/held.ts'
import { markKill } from '../store/protocol/retry.ts'
import { settle } from '../store/protocol/settle.ts'
import { ask } from './ask.ts'
import type { Context } from './context.ts'
import type { Runs } from './live.ts'
import { rules } from './rules.ts'

/**
 * The agent's timetable: one alarm per job, at the next moment when there is something to decide about it.
 *
 *   rank 0 (and each target of All)   T + jitter - lead   claims ahead from what it knows of the cell
 *   ranks 1 and 2                     T + jitter + 1, 2 s  read the cell, take what is still open
 *   other ranks                       never; the operator offers what is open after 3 s
 */
export interface Claims {
  /** Decide about this job now: it, its cell or who is eligible has changed. */
  wake(jobKey: string): void
  /** Decide about every job, some in each turn of the event loop: who is eligible has changed. */
  wakeAll(): void
  /** The operator offers an open time to anybody with room. */
  offered(jobKey: string): void
  readonly size: number
  close(): void
}

const LEAD_MS = 500
const RANK_DELAY_MS = 1_000
const LOOKING_RANKS = 3
const DECLINED_RETRY_MS = 1_000
const POLL_MS = 1_000
const IN_ONE_TURN = 200

interface Planned {
  entry: Held<JobEntry>
  times: Timetable
  offset: number
}

interface Place {
  ref: CellRef
  rank: number
}

export function createClaims(context: Context, runs: Runs, mayClaim: () => boolean): Claims {
  const { keys, world, cells, clock, log, agent, pool } = context
  const plans = new Map<string, Planned>()
  const deciding = new Set<string>()
  /** Woken while it is decided about them; true: by an offer. */
  const again = new Map<string, boolean>()
  const alarms = new Alarms(clock, ring => {
    for (const key of ring) void visit(key)
  })

  const planOf = (key: string): Planned | undefined => {
    const entry = world.jobs.get(key)
    if (!entry || entry.value.suspended || entry.value.blocked) {
      plans.delete(key)
      return undefined
    }
    const known = plans.get(key)
    if (known && known.entry.mod === entry.mod) return known
    const { namespace, name, jitterSeconds } = entry.value
    const hashKey = `${namespace}/${name}`
    const plan = {
      entry,
      times: createTimetable({ ...entry.value, hashKey }),
      offset: jitterMs(hashKey, jitterSeconds),
    }
    plans.set(key, plan)
    return plan
  }

  const placeOf = ({ namespace, name, uid, command: { placement } }: JobEntry): Place | undefined => {
    const ref = { pool, kind: 'job' as const, namespace, name }
    const rank = world.eligible(uid, placement).indexOf(agent)
    if (rank < 0 || placement.mode === 'Shards') return undefined
    return placement.mode === 'All'
      ? { ref: { ...ref, target: agent }, rank: 0 }
      : { ref: { ...ref, target: ANYWHERE }, rank }
  }

  /** One decision at a time for each job; what changes meanwhile is looked at after it. */
  async function visit(key: string, offered = false): Promise<void> {
    if (deciding.has(key)) {
      again.set(key, offered || again.get(key) === true)
      return
    }
    deciding.add(key)
    try {
      let isOffered: boolean | undefined = offered
      do {
        again.delete(key)
        const next = await decideNow(key, isOffered)
        if (next !== undefined) alarms.set(key, next)
        isOffered = again.get(key)
      } while (isOffered !== undefined && !context.signal.aborted)
    } catch (error) {
      if (context.signal.aborted) return
      if (error instanceof Unavailable) log.warn({ key, error: messageOf(error) }, 'claim.unclear')
      else
        log.error(
          { key, error: messageOf(error), stack: error instanceof Error ? error.stack : undefined },
          'claim.failed',
        )
      const place = world.jobs.get(key) && placeOf((world.jobs.get(key) as Held<JobEntry>).value)
      if (place) cells.forget(keys.cell(place.ref))
      alarms.set(key, clock.now() + DECLINED_RETRY_MS)
    } finally {
      deciding.delete(key)
    }
  }

  /** Acts on one job; answers when to look again. */
  async function decideNow(key: string, offered: boolean): Promise<number | undefined> {
    const plan = planOf(key)
    const place = plan && placeOf(plan.entry.value)
    if (!plan || !place) {
      alarms.clear(key)
      return undefined
    }
    const { rank } = place
    if (rank >= LOOKING_RANKS && !offered) return undefined
    if (!mayClaim()) return clock.now() + DECLINED_RETRY_MS
    if (rank > 0 && !offered) return lookLater(plan, place)
    // What is remembered may be as old as this session, and who is offered a time looks only once.
    if (offered) cells.forget(keys.cell(place.ref))
    return actOn(plan, place, rank === 0 ? LEAD_MS : 0)
  }

  /** Ranks 1 and 2: what came due their delay ago and is still open is taken; else they sleep until the next such moment. */
  async function lookLater(plan: Planned, place: Place): Promise<number | undefined> {
    const delay = place.rank * RANK_DELAY_MS
    const cellKey = keys.cell(place.ref)
    const now = clock.now()
    const before = now - plan.offset - delay
    const last = plan.times.previous(before + 1)
    if (last !== undefined && last > plan.entry.value.scheduleChangedAt) {
      const cell = await cells.read(cellKey)
      if ((cell.value?.lastFire ?? 0) < last || cell.value?.waiting) {
        const at = await actOn(plan, place, 0)
        if (at !== undefined && at <= clock.now()) return at
      }
    }
    const next = plan.times.next(before)
    return next === undefined ? undefined : next + plan.offset + delay
  }

  async function actOn(plan: Planned, place: Place, lead: number): Promise<number | undefined> {
    const cellKey = keys.cell(place.ref)
    const { entry, times, offset } = plan
    const cell = cells.get(cellKey) ?? (await cells.read(cellKey))
    const foreign = cell.value !== undefined && cell.value.uid !== entry.value.uid
    const untargeted = place.ref.target !== ANYWHERE && (!cell.value || cell.value.retired)
    if (foreign || untargeted) {
      // An object of the same name is still being cleared away, or the operator has not made me a target yet, or no longer has me as one.
      cells.forget(cellKey)
      return clock.now() + DECLINED_RETRY_MS
    }
    const decision = decide({ entry: entry.value, times, offset, cell: cell.value, now: clock.now(), lead })
    if (decision.kind === 'idle') {
      const polls = cell.value?.waiting && rules.looksAtWaiting() ? clock.now() + POLL_MS : undefined
      if (polls !== undefined) {
        cells.forget(cellKey)
        if (cell.value && entry.value.concurrencyPolicy === 'Replace') await endForReplacement(cell.value)
      }
      return earliest(decision.at, polls)
    }
    await apply(plan, place.ref, { cell, decision })
    return clock.now()
  }

  async function apply(
    plan: Planned,
    ref: CellRef,
    { cell, decision }: { cell: Maybe<Cell>; decision: Exclude<Decision, { kind: 'idle' }> },
  ): Promise<void> {
    const { entry, offset } = plan
    const by = { keys, ref, entry, cell, settle: decision.settle, now: clock.now() }
    if (decision.kind === 'claim') {
      // Others may have taken the last place while the cell was read; from here to the asking nothing comes in between.
      if (!mayClaim()) return
      const { time } = decision
      const run = scheduledRunId(ref, time)
      const { launcher, session } = context
      const claimed = claim({
        ...by,
        agent,
        session,
        run,
        time,
        notBefore: time + offset,
        instance: launcher.instance,
      })
      const answer = await ask(context, claimed, active => {
        cells.wrote(cell.key, active.mod, claimed.cell)
        runs.start(active, entry.value)
      })
      return answer.ok ? undefined : refused(cell, answer.gets[0], entry)
    }
    const waits = decision.kind === 'wait' ? { wait: decision.time } : {}
    const settled = settle({ ...by, agent: { name: agent, session: context.session }, ...waits })
    const answer = await context.batcher.txn(settled.txn)
    if (!answer.ok) return refused(cell, answer.gets[0], entry)
    cells.wrote(cell.key, answer.revision, settled.cell)
    if (decision.kind === 'wait' && decision.replace) await endForReplacement(settled.cell)
  }

  /** Refused: if it was not the cell then the entry or my registration changed; the watch will say so, and wakes this job. */
  async function refused(
    cell: Maybe<Cell>,
    item: Parameters<typeof cells.saw>[1],
    entry: Held<JobEntry>,
  ): Promise<void> {
    const now = cells.saw(cell.key, item)
    if (now.mod !== cell.mod) return
    log.debug({ key: entry.key }, 'claim.refused')
    await clock.sleep(50, context.signal)
  }

  async function endForReplacement(cell: Cell): Promise<void> {
    for (const { agent: owner, run } of cell.active) {
      const key = keys.active(pool, owner, run)
      const active = held(activeSchema, key, await context.etcd.get(key, context.signal))
      if (active.value && !active.value.kill)
        await context.batcher.txn(markKill({ ...active, value: active.value }, 'Replaced'))
    }
  }

  const sweep = { goesOn: false, again: false }
  /** Keepalives, and times that come due, do not wait for it; what changes meanwhile is followed by another round. */
  async function visitAll(): Promise<void> {
    sweep.again = true
    if (sweep.goesOn) return
    sweep.goesOn = true
    while (sweep.again && !context.signal.aborted) {
      sweep.again = false
      let count = 0
      for (const { key } of world.jobs.entries()) {
        void visit(key)
        if (++count % IN_ONE_TURN === 0) await new Promise(setImmediate)
        if (context.signal.aborted) break
      }
    }
    sweep.goesOn = false
  }

  void visitAll()
  return {
    wake: key => void visit(key),
    wakeAll: () => void visitAll(),
    offered: key => void visit(key, true),
    get size() {
      return alarms.size
    },
    close: () => alarms.close(),
  }
}

function earliest(...times: (number | undefined)[]): number | undefined {
  const known = times.filter(time => time !== undefined)
  return known.length > 0 ? Math.min(...known) : undefined
}
