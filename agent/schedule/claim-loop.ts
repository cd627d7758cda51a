import { Alarms } from '../../platform/alarms.ts'
import { messageOf, Unavailable } from '../../platform/errors.ts'
import type { Runs } from '../runs/supervisor.ts'
import type { Context } from '../session/context.ts'
import { createBursts } from './burst.ts'
import { createTake } from './claim-fire.ts'
import { createPlans, type Place, type Planned, type Slot } from './timetables.ts'

/**
 * The agent's timetable: one alarm per job (in Shards one per shard), at the next moment when there is something to decide about it.
 *
 *   rank 0 (and each target of All)   T + jitter - lead   claims ahead from what it knows of the cell; in a crowd earlier still
 *   ranks 1 and 2                     T + jitter + 1, 2 s  read the cell, take what is still open
 *   other ranks                       never; the operator offers what is open after 3 s
 */
export interface Claims {
  /** Decide about this job now: it, its cell or who is eligible has changed. */
  wake(jobKey: string): void
  /** Decide about every job, some in each turn of the event loop: who is eligible has changed. */
  wakeAll(): void
  /** The operator offers an open time to anybody with room. */
  offered(jobKey: string, target: string): void
  readonly size: number
  close(): void
}

const LEAD_MS = 500
const RANK_DELAY_MS = 1_000
const LOOKING_RANKS = 3
const DECLINED_RETRY_MS = 1_000
const IN_ONE_TURN = 200

export function createClaims(context: Context, runs: Runs, mayClaim: () => boolean): Claims {
  const { keys, world, cells, clock, log } = context
  const plans = createPlans(context)
  const take = createTake(context, runs, mayClaim)
  const crowd = createBursts()
  const deciding = new Set<Slot>()
  /** Woken while it is decided about them; true: by an offer. */
  const again = new Map<Slot, boolean>()
  const alarms = new Alarms(clock, {
    time: 'wall',
    onDue: keys => {
      for (const slot of keys) void visit(slot)
    },
  })

  /** One decision at a time for each slot; what changes meanwhile is looked at after it. */
  async function visit(slot: Slot, offered = false): Promise<void> {
    if (deciding.has(slot)) {
      again.set(slot, offered || again.get(slot) === true)
      return
    }
    deciding.add(slot)
    try {
      let isOffered: boolean | undefined = offered
      do {
        again.delete(slot)
        const next = await decideNow(slot, isOffered)
        if (next !== undefined) alarms.set(slot, next)
        isOffered = again.get(slot)
      } while (isOffered !== undefined && !context.signal.aborted)
    } catch (error) {
      if (context.signal.aborted) return
      failed(slot, error)
    } finally {
      deciding.delete(slot)
    }
  }

  function failed(slot: Slot, error: unknown): void {
    if (error instanceof Unavailable) log.warn({ slot, error: messageOf(error) }, 'claim.unclear')
    else
      log.error(
        { slot, error: messageOf(error), stack: error instanceof Error ? error.stack : undefined },
        'claim.failed',
      )
    const entry = plans.of(slot)?.entry.value
    const place = entry && plans.placeOf(slot, entry)
    if (place) cells.forget(keys.cell(place.ref))
    alarms.set(slot, clock.now() + DECLINED_RETRY_MS)
  }

  /** Acts on one slot; answers when to look again. */
  async function decideNow(slot: Slot, offered: boolean): Promise<number | undefined> {
    const plan = plans.of(slot)
    const place = plan && plans.placeOf(slot, plan.entry.value)
    const lead = LEAD_MS + crowd.leave(slot)
    if (!plan || !place) {
      alarms.clear(slot)
      return undefined
    }
    const { rank } = place
    if (rank >= LOOKING_RANKS && !offered) return undefined
    if (!mayClaim()) return clock.now() + DECLINED_RETRY_MS
    if (rank > 0 && !offered) return lookLater(plan, place)
    // What is remembered may be as old as this session, and who is offered a time looks only once.
    if (offered) cells.forget(keys.cell(place.ref))
    if (rank > 0) return take(plan, place, 0)
    const at = await take(plan, place, lead)
    return at === undefined ? undefined : at - crowd.join(slot, at, clock.now())
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
        const at = await take(plan, place, 0)
        if (at !== undefined && at <= clock.now()) return at
      }
    }
    const next = plan.times.next(before)
    return next === undefined ? undefined : next + plan.offset + delay
  }

  const visitJob = (jobKey: string): void => {
    for (const slot of plans.slotsOf(jobKey)) void visit(slot)
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
        visitJob(key)
        if (++count % IN_ONE_TURN === 0) await new Promise(setImmediate)
        if (context.signal.aborted) break
      }
    }
    sweep.goesOn = false
  }

  void visitAll()
  return {
    wake: visitJob,
    wakeAll: () => void visitAll(),
    offered: (jobKey, target) => void visit(plans.slotAt(jobKey, target), true),
    get size() {
      return alarms.size
    },
    close: () => alarms.close(),
  }
}
