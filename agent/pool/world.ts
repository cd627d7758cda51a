import type { KeyObject } from 'node:crypto'
import type { Keys } from '../../core/keys.ts'
import { type JobEntry, jobEntrySchema, type RunEntry, runEntrySchema } from '../../core/records/entry.ts'
import {
  type Active,
  activeSchema,
  type Beacon,
  beaconSchema,
  type Member,
  memberSchema,
  type Pool,
  poolSchema,
  type Registration,
  type Request,
  registrationSchema,
  requestSchema,
} from '../../core/records/state.ts'
import type { Log } from '../../platform/log.ts'
import type { Etcd, View } from '../../store/etcd/client.ts'
import { type Mirror, mirror, type Read, reading } from '../../store/mirror.ts'
import { parseValue } from '../../store/protocol/versioned.ts'
import { createEligibleAgents, type EligibleAgents } from './eligible-agents.ts'
import { createNewestSeen } from './newest-seen.ts'
import { readSigned, readSignedEntry } from './signed-records.ts'

/** Everything that an agent watches of its pool, in memory. */
export interface World extends Mirrors, EligibleAgents {
  /** How long nothing has proved that the watches are alive, ms. */
  staleForMs(): number
  close(): Promise<void>
}

/** `created`: the create revision of its entry. */
export type CreatedRun = RunEntry & { created: number }

interface Mirrors {
  readonly jobs: Mirror<JobEntry>
  readonly runs: Mirror<CreatedRun>
  readonly members: Mirror<Member>
  readonly agents: Mirror<Registration & { session: number }>
  readonly requests: Mirror<Request>
  /** Only this agent's active runs. If each agent watched the runs of all, events would grow with runs × agents. */
  readonly own: Mirror<Active>
  readonly pools: Mirror<Pool>
  readonly beacon: Mirror<Beacon>
}

export interface WorldOptions {
  etcd: Etcd
  keys: Keys
  pool: string
  agent: string
  operatorKey: KeyObject
  log: Log
}

/** Resolves when everything has been read once. */
export async function observe(options: WorldOptions, signal: AbortSignal): Promise<World> {
  const views: View[] = []
  const mirrors = await watchPool(options, createWatch(options, views, signal))
  const { members, agents } = mirrors
  return {
    ...mirrors,
    ...createEligibleAgents({ ...options, members, agents }),
    staleForMs: () => Math.max(...views.map(view => view.staleForMs())),
    close: async () => {
      await Promise.all(views.map(view => view.close()))
    },
  }
}

type Watch = <T>(of: string | { key: string }, read: Read<T>) => Promise<Mirror<T>>

/** Adds each view that it opens to `views`. */
function createWatch({ etcd, log }: WorldOptions, views: View[], signal: AbortSignal): Watch {
  const warned = new Set<string>()
  return async (of, read) => {
    const view = etcd.view(of)
    views.push(view)
    await view.ready(signal)
    return await mirror(view, read, key => {
      if (!warned.has(key)) log.warn({ key }, 'record.unreadable')
      warned.add(key)
    })
  }
}

/** One after the other, in this order. */
async function watchPool({ keys, pool, agent, operatorKey }: WorldOptions, watch: Watch): Promise<Mirrors> {
  const { admits, deleted } = createNewestSeen()
  const readRun = readSignedEntry(operatorKey, runEntrySchema, { parseKey: keys.parseRun, admits })
  const readJob = readSignedEntry(operatorKey, jobEntrySchema, { parseKey: keys.parseJob, admits })
  const mirrors = {
    // One key, not a prefix: an agent's role may not read the pool `default-2`.
    pools: await watch({ key: keys.pool(pool) }, reading(poolSchema)),
    beacon: await watch({ key: keys.beacon }, reading(beaconSchema)),
    members: await watch(keys.members(pool), reading(memberSchema)),
    agents: await watch(keys.agents(pool), item => {
      const registration = parseValue(registrationSchema, item.value)
      return registration && { ...registration, session: item.create }
    }),
    jobs: await watch(keys.jobs(pool), readJob),
    runs: await watch(keys.runs(pool), item => {
      const entry = readRun(item)
      return entry && { ...entry, created: item.create }
    }),
    requests: await watch(keys.requests(pool), readSigned(operatorKey, requestSchema)),
    own: await watch(keys.actives(pool, agent), reading(activeSchema)),
  }
  for (const entries of [mirrors.jobs, mirrors.runs])
    entries.onChange((_, now, before) => !now && before && deleted(before.value.uid))
  return mirrors
}
