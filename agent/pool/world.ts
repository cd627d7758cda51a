import type { KeyObject } from 'node:crypto'
import type * as z from 'zod'
import { isTarget, rank, rankedBy } from '../../core/fires/placement.ts'
import type { Keys } from '../../core/keys.ts'
import {
  type Entry,
  type JobEntry,
  jobEntrySchema,
  type Placement,
  type RunEntry,
  runEntrySchema,
} from '../../core/records/entry.ts'
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
import { verifyText } from '../../platform/signing.ts'
import type { Etcd, View } from '../../store/etcd/client.ts'
import { type Mirror, mirror, type Read, reading } from '../../store/mirror.ts'
import { parseValue } from '../../store/protocol/versioned.ts'
import { createEntryInterner } from './intern-entries.ts'

/**
 * What an agent sees of its pool: entries, members, registrations, requests, and its own active runs; never others' runs, so that event
 * load does not grow with runs × agents.
 */
export interface World {
  readonly jobs: Mirror<JobEntry>
  readonly runs: Mirror<RunEntry>
  readonly members: Mirror<Member>
  readonly agents: Mirror<Registration & { session: number }>
  readonly requests: Mirror<Request>
  readonly own: Mirror<Active>
  readonly pools: Mirror<Pool>
  readonly beacon: Mirror<Beacon>
  /** How long nothing has proved that the watches are alive, ms. */
  staleForMs(): number
  /** Living, not cordoned agents on which it may run, in no order. */
  able(entry: Pick<Entry, 'command'>): readonly string[]
  /** The same in rank order for this target of it. */
  eligible(entry: Pick<Entry, 'uid' | 'command'>, target: string): string[]
  /** How many members it selects, alive or not. */
  matched(placement: Placement): number
  /** Calls back when who is eligible may have changed. */
  onMembership(listener: () => void): void
  close(): Promise<void>
}

export interface WorldOptions {
  etcd: Etcd
  keys: Keys
  pool: string
  agent: string
  operatorKey: KeyObject
  log: Log
}

export async function observe(options: WorldOptions, signal: AbortSignal): Promise<World> {
  const { etcd, keys, pool, agent, log } = options
  const views: View[] = []
  const warned = new Set<string>()
  const watched = async <T>(prefix: string, read: Read<T>): Promise<Mirror<T>> => {
    const view = etcd.view(prefix)
    views.push(view)
    await view.ready(signal)
    return await mirror(view, read, key => {
      if (!warned.has(key)) log.warn({ key }, 'record.unreadable')
      warned.add(key)
    })
  }
  const world = {
    pools: await watched(keys.pool(pool), reading(poolSchema)),
    beacon: await watched(keys.beacon, reading(beaconSchema)),
    members: await watched(keys.members(pool), reading(memberSchema)),
    agents: await watched(keys.agents(pool), item => {
      const registration = parseValue(registrationSchema, item.value)
      return registration && { ...registration, session: item.create }
    }),
    jobs: await watched(keys.jobs(pool), genuineEntry(options, jobEntrySchema, keys.parseJob)),
    runs: await watched(keys.runs(pool), genuineEntry(options, runEntrySchema, keys.parseRun)),
    requests: await watched(keys.requests(pool), genuine(options.operatorKey, requestSchema)),
    own: await watched(keys.actives(pool, agent), reading(activeSchema)),
  }
  const listeners: (() => void)[] = []
  /** By placements, which thousands of jobs share. Ranks are not kept: they are as many as jobs, and soon had again. */
  let able = new WeakMap<Placement, readonly string[]>()
  const ableOf = (placement: Placement): readonly string[] => {
    const agents = able.get(placement) ?? [...eligibleNow(world, options, placement)]
    able.set(placement, agents)
    return agents
  }
  const changed = () => {
    able = new WeakMap()
    for (const listener of listeners) listener()
  }
  world.members.onChange(changed)
  // What a session says of itself makes nobody able who was not.
  world.agents.onChange((_, now, before) => {
    if (now?.value.session !== before?.value.session) changed()
  })
  return {
    ...world,
    staleForMs: () => Math.max(...views.map(view => view.staleForMs())),
    able: ({ command }) => ableOf(command.placement),
    eligible: ({ uid, command: { placement } }, target) =>
      rank(rankedBy(uid, placement, target), ableOf(placement)),
    matched(placement) {
      let count = 0
      for (const { key, value: member } of world.members.entries())
        if (isTarget(placement, keys.parseMember(key)?.agent ?? '', member)) count++
      return count
    },
    onMembership: listener => void listeners.push(listener),
    close: async () => {
      await Promise.all(views.map(view => view.close()))
    },
  }
}

function* eligibleNow(
  world: Pick<World, 'members' | 'agents'>,
  { keys, pool }: WorldOptions,
  placement: Placement,
): Iterable<string> {
  for (const { key, value: member } of world.members.entries()) {
    const agent = keys.parseMember(key)?.agent
    if (!agent || member.cordoned || !isTarget(placement, agent, member)) continue
    if (world.agents.get(keys.agent(pool, agent))) yield agent
  }
}

/** Only what the operator signed is believed, and an entry only under the key that it names. */
function genuine<T>(operatorKey: KeyObject, schema: z.ZodType<T>): Read<T> {
  return item => {
    const text = verifyText(item.value, operatorKey)
    return text === undefined ? undefined : parseValue(schema, text)
  }
}

function genuineEntry<T extends Entry>(
  { operatorKey }: WorldOptions,
  schema: z.ZodType<T>,
  parseKey: (key: string) => { pool: string; namespace: string; name: string } | undefined,
): Read<T> {
  const read = genuine(operatorKey, schema)
  const share = createEntryInterner()
  return item => {
    const entry = read(item)
    const at = parseKey(item.key)
    const itsOwn =
      entry && at && at.pool === entry.pool && at.namespace === entry.namespace && at.name === entry.name
    return itsOwn ? share(entry) : undefined
  }
}
