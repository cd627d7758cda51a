import { ownTargets, rankedBy, rankOf } from '../../core/fires/placement.ts'
import { ANYWHERE, type CellRef } from '../../core/keys.ts'
import type { JobEntry } from '../../core/records/entry.ts'
import { createTimetable, jitterMs, type Timetable } from '../../core/timetable/timetable.ts'
import type { Versioned } from '../../store/protocol/versioned.ts'
import type { Context } from '../session/context.ts'

/** The timetables of the jobs in force, and this agent's rank for each of their targets. */

/** A job in force. */
export interface Planned {
  entry: Versioned<JobEntry>
  times: Timetable
  /** Jitter: the delay of every start, ms. */
  offset: number
}

/** A target of a job that this agent may claim. Rank 0 claims first. */
export interface Turn extends Planned {
  ref: CellRef
  rank: number
}

/** The key of a job, or of one shard of it: `<job key>#<shard>`. No name has a '#'. */
export type Slot = string

export interface Timetables {
  /** undefined: the job is not in force, or this agent may not claim this target. */
  turnOf(slot: Slot): Turn | undefined
  /** The slots of a job as it is now, and as it was when this was last asked. */
  slotsOf(jobKey: string): readonly Slot[]
  /** The slot of one target of a job. */
  slotAt(jobKey: string, target: string): Slot
}

export function createTimetables({ world, pool, agent }: Context): Timetables {
  const planned = new Map<string, Planned>()
  const sharded = new Map<string, readonly Slot[]>()

  function plan(jobKey: string): Planned | undefined {
    const entry = world.jobs.get(jobKey)
    if (!entry || entry.value.suspended || entry.value.blocked) {
      planned.delete(jobKey)
      return undefined
    }
    const known = planned.get(jobKey)
    if (known && known.entry.mod === entry.mod) return known
    const { namespace, name, jitterSeconds } = entry.value
    const hashKey = `${namespace}/${name}`
    const times = createTimetable({ ...entry.value, hashKey })
    const fresh = { entry, times, offset: jitterMs(hashKey, jitterSeconds) }
    planned.set(jobKey, fresh)
    return fresh
  }

  function placeOf(slot: Slot, entry: JobEntry): Pick<Turn, 'ref' | 'rank'> | undefined {
    const { namespace, name, command } = entry
    const { mode } = command.placement
    const shard = shardOf(slot)
    const isTarget = shard === undefined ? mode !== 'Shards' : ownTargets(command.placement).includes(shard)
    if (!isTarget) return undefined
    const target = mode === 'All' ? agent : (shard ?? ANYWHERE)
    const rank = rankOf(rankedBy(entry.uid, command.placement, target), agent, world.eligibleAgents(entry))
    if (rank < 0) return undefined
    return { ref: { pool, kind: 'job', namespace, name, target }, rank: mode === 'All' ? 0 : rank }
  }

  function slotsNow(jobKey: string): readonly Slot[] {
    const placement = world.jobs.get(jobKey)?.value.command.placement
    if (placement?.mode !== 'Shards') return [jobKey]
    return ownTargets(placement).map(shard => `${jobKey}#${shard}`)
  }

  return {
    turnOf(slot) {
      const job = plan(jobOf(slot))
      const place = job && placeOf(slot, job.entry.value)
      return place && { ...job, ...place }
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

function jobOf(slot: Slot): string {
  return slot.split('#', 1)[0] ?? slot
}

function shardOf(slot: Slot): string | undefined {
  const at = slot.lastIndexOf('#')
  return at < 0 ? undefined : slot.slice(at + 1)
}
