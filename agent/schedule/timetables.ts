import { ownTargets, rankedBy, rankOf } from '../../core/fires/placement.ts'
import { ANYWHERE, type CellRef } from '../../core/keys.ts'
import type { JobEntry } from '../../core/records/entry.ts'
import { createTimetable, jitterMs, type Timetable } from '../../core/timetable/timetable.ts'
import type { Versioned } from '../../store/protocol/versioned.ts'
import type { Context } from '../session/context.ts'

/** What an agent knows of the jobs in force: their timetables, and its own place in them. */

export interface Planned {
  entry: Versioned<JobEntry>
  times: Timetable
  /** Delay of every start, ms: jitter. */
  offset: number
}

/** One target of a job, and which turn this agent has at it: 0 is the first. */
export interface Place {
  ref: CellRef
  rank: number
}

/** A job that this agent may take, or one shard of it. Names hold no '#'. */
export type Slot = string

export interface Plans {
  /** undefined: it is not in force. */
  of(slot: Slot): Planned | undefined
  /** undefined: this agent has no part in it. */
  placeOf(slot: Slot, entry: JobEntry): Place | undefined
  /** Those of a job as it is now, and as it was when this was asked last. */
  slotsOf(jobKey: string): readonly Slot[]
  /** The one of a target. */
  slotAt(jobKey: string, target: string): Slot
}

export function createPlans({ world, pool, agent }: Context): Plans {
  const plans = new Map<string, Planned>()
  const sharded = new Map<string, readonly Slot[]>()

  const shardOf = (slot: Slot): string | undefined => {
    const at = slot.lastIndexOf('#')
    return at < 0 ? undefined : slot.slice(at + 1)
  }
  const jobOf = (slot: Slot): string => slot.split('#', 1)[0] ?? slot

  const slotsNow = (jobKey: string): readonly Slot[] => {
    const placement = world.jobs.get(jobKey)?.value.command.placement
    if (placement?.mode !== 'Shards') return [jobKey]
    return ownTargets(placement).map(shard => `${jobKey}#${shard}`)
  }

  return {
    of(slot) {
      const key = jobOf(slot)
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
    },

    placeOf(slot, entry) {
      const { namespace, name, command } = entry
      const { mode } = command.placement
      const shard = shardOf(slot)
      const isOne = shard === undefined ? mode !== 'Shards' : ownTargets(command.placement).includes(shard)
      if (!isOne) return undefined
      const target = mode === 'All' ? agent : (shard ?? ANYWHERE)
      const ranked = rankedBy(entry.uid, command.placement, target)
      const rank = rankOf(ranked, agent, world.able(entry))
      if (rank < 0) return undefined
      return { ref: { pool, kind: 'job', namespace, name, target }, rank: mode === 'All' ? 0 : rank }
    },

    slotsOf(jobKey) {
      const before = sharded.get(jobKey) ?? []
      const now = slotsNow(jobKey)
      if (now[0] === jobKey) sharded.delete(jobKey)
      else sharded.set(jobKey, now)
      return before.length === 0 ? now : [...new Set([...before, ...now])]
    },

    slotAt: (jobKey, target) => {
      const mode = world.jobs.get(jobKey)?.value.command.placement.mode
      return mode === 'Shards' ? `${jobKey}#${target}` : jobKey
    },
  }
}
