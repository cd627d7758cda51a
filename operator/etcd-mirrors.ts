import type { KeyObject } from 'node:crypto'
import type * as z from 'zod'
import type { CellKind, CellRef, Keys } from '../core/keys.ts'
import type { AgentIdentity } from '../core/records/agent-user.ts'
import {
  type Entry,
  type JobEntry,
  jobEntrySchema,
  type RunEntry,
  runEntrySchema,
} from '../core/records/entry.ts'
import { type IdentityRecord, identitySchema } from '../core/records/identity.ts'
import { createEntryInterner } from '../core/records/intern-entries.ts'
import {
  type Active,
  activeSchema,
  type Beacon,
  beaconSchema,
  type Cell,
  cellSchema,
  type Member,
  memberSchema,
  type Pool,
  poolSchema,
  type Registration,
  type Request,
  registrationSchema,
  requestSchema,
} from '../core/records/state.ts'
import type { Log } from '../platform/log.ts'
import { verifyText } from '../platform/signing.ts'
import type { Etcd, View } from '../store/etcd/client.ts'
import type { KeyValue } from '../store/etcd/types.ts'
import { type Mirror, mirror, type Read, reading } from '../store/mirror.ts'
import { type MaybeAbsent, parseValue } from '../store/protocol/versioned.ts'
import { groupKeys } from './grouped-keys.ts'
import { nameKey, type ObjectName } from './object-name.ts'

/**
 * The records of all pools in etcd, parsed. Results are missing: they are drained (upkeep/drain-outbox.ts). Mirrors may lag, so every
 * write compares what it is based on.
 */
export interface EtcdMirrors extends Records {
  /** Entries of this name in all pools, unreadable ones included. */
  storedJobs(namespace: string, name: string): StoredIn<JobEntry>[]
  storedRuns(namespace: string, name: string): StoredIn<RunEntry>[]
  cellsOf(kind: CellKind, namespace: string, name: string): CellSeen[]
  /** Attempts of a job or ShellRun, in flight or pending. */
  activesOf(kind: CellKind, namespace: string, name: string): ActiveSeen[]
  /** Attempts of the ShellRuns of a job (jobRef), in flight or pending. */
  runsOf(namespace: string, jobName: string): ActiveSeen[]
  membersOf(pool: string): { agent: string; member: Member }[]
  /** An agent's session: the create revision of its registration. undefined: the agent does not live. */
  sessionOf(pool: string, agent: string): number | undefined
  /** The requests that the operator did not sign. */
  forgedRequests(): { key: string; mod: number }[]
  /** The revision of a member's or pool's record, also of one that cannot be read; 0: it is absent. */
  revisionOf(key: string): number
  /** Whether this is the agent's present identity. A removed agent and an earlier enrolment have none. */
  isValid(agent: AgentIdentity): boolean
  /** Whether every watch is connected. */
  synced(): boolean
  close(): Promise<void>
}

/** One mirror for each kind of record. */
interface Records {
  readonly jobs: Mirror<JobEntry>
  readonly runs: Mirror<RunEntry>
  readonly cells: Mirror<Cell>
  readonly actives: Mirror<Active>
  readonly members: Mirror<Member>
  readonly pools: Mirror<Pool>
  readonly requests: Mirror<Request>
  readonly beacon: Mirror<Beacon>
  readonly agents: Mirror<Registration & { session: number }>
  readonly identities: Mirror<IdentityRecord>
}

type Views = { readonly [K in keyof Records]: View }

export type StoredIn<T> = MaybeAbsent<T> & { pool: string }
export type CellSeen = MaybeAbsent<Cell> & { ref: CellRef }
export type ActiveSeen = { key: string; mod: number; value: Active; pool: string; owner: string }

export interface MirrorOptions {
  etcd: Etcd
  keys: Keys
  /** The operator's own: entries and requests with another signature are ignored. */
  publicKey: KeyObject
  log: Log
}

/** Resolves when every record that etcd holds has been read. */
export async function mirrorEtcd(options: MirrorOptions, signal: AbortSignal): Promise<EtcdMirrors> {
  const views = await openViews(options, signal)
  const records = await parseViews(options, views)
  const { keys } = options
  const all = Object.values<View>(views)
  return {
    ...records,
    storedJobs: storedByName(views.jobs, records.jobs, keys.parseJob),
    storedRuns: storedByName(views.runs, records.runs, keys.parseRun),
    cellsOf: cellsByName(keys, views.cells, records.cells),
    activesOf: activesByName(keys, views.actives, records.actives),
    runsOf: runsByJob(keys, views.actives, records.actives),
    membersOf: membersByPool(keys, views.members, records.members),
    sessionOf: (pool, agent) => records.agents.get(keys.agent(pool, agent))?.value.session,
    forgedRequests: () =>
      Array.from(views.requests.items.values(), ({ key, mod }) => ({ key, mod })).filter(
        ({ key }) => !records.requests.get(key),
      ),
    revisionOf: key => (views.members.items.get(key) ?? views.pools.items.get(key))?.mod ?? 0,
    isValid: ({ pool, agent, id }) => records.identities.get(keys.identity(pool, agent))?.value.id === id,
    synced: () => all.every(view => view.synced),
    close: async () => void (await Promise.all(all.map(view => view.close()))),
  }
}

async function openViews({ etcd, keys }: MirrorOptions, signal: AbortSignal): Promise<Views> {
  const open = async (prefix: string): Promise<View> => {
    const view = etcd.view(prefix)
    await view.ready(signal)
    return view
  }
  return {
    jobs: await open(keys.jobs()),
    runs: await open(keys.runs()),
    cells: await open(keys.cells()),
    actives: await open(keys.actives()),
    members: await open(keys.members()),
    pools: await open(keys.pools),
    requests: await open(keys.requests()),
    beacon: await open(keys.beacon),
    agents: await open(keys.agents()),
    identities: await open(keys.identities),
  }
}

async function parseViews({ publicKey, log }: MirrorOptions, views: Views): Promise<Records> {
  const parsed = <T>(view: View, read: Read<T>) =>
    mirror(view, read, key => log.warn({ key }, 'record.unreadable'))
  return {
    jobs: await parsed(views.jobs, interned(signed(publicKey, jobEntrySchema))),
    runs: await parsed(views.runs, interned(signed(publicKey, runEntrySchema))),
    cells: await parsed(views.cells, reading(cellSchema)),
    actives: await parsed(views.actives, reading(activeSchema)),
    members: await parsed(views.members, reading(memberSchema)),
    pools: await parsed(views.pools, reading(poolSchema)),
    requests: await parsed(views.requests, signed(publicKey, requestSchema)),
    beacon: await parsed(views.beacon, reading(beaconSchema)),
    agents: await parsed(views.agents, item => {
      const registration = parseValue(registrationSchema, item.value)
      return registration && { ...registration, session: item.create }
    }),
    identities: await parsed(views.identities, reading(identitySchema)),
  }
}

/** Reads a value that the operator signed; undefined for any other. */
export function signed<T>(publicKey: KeyObject, schema: z.ZodType<T>): Read<T> {
  return (item: KeyValue) => {
    const text = verifyText(item.value, publicKey)
    return text === undefined ? undefined : parseValue(schema, text)
  }
}

function interned<T extends Entry>(read: Read<T>): Read<T> {
  const intern = createEntryInterner()
  return item => {
    const entry = read(item)
    return entry && intern(entry)
  }
}

/** Entries of a name, from the view that has their versions and the mirror that has their values. */
function storedByName<T>(
  view: View,
  values: Mirror<T>,
  parse: (key: string) => (ObjectName & { pool: string }) | undefined,
): (namespace: string, name: string) => StoredIn<T>[] {
  const byName = groupKeys(view, key => nameKeyOf(parse(key)))
  return (namespace, name) =>
    [...byName(nameKey({ namespace, name }))].map(key => {
      const mod = view.items.get(key)?.mod ?? 0
      return { key, pool: parse(key)?.pool ?? '', mod, value: values.get(key)?.value }
    })
}

function cellsByName(keys: Keys, view: View, cells: Records['cells']): EtcdMirrors['cellsOf'] {
  const byName = groupKeys(view, key => kindKeyOf(keys.parseCell(key)))
  return (kind, namespace, name) =>
    [...byName(`${kind}/${namespace}/${name}`)].flatMap(key => {
      const ref = keys.parseCell(key)
      const mod = view.items.get(key)?.mod ?? 0
      return ref ? [{ ref, key, mod, value: cells.get(key)?.value }] : []
    })
}

function activesByName(keys: Keys, view: View, actives: Records['actives']): EtcdMirrors['activesOf'] {
  const byName = groupKeys(view, key => kindKeyOf(actives.get(key)?.value))
  return (kind, namespace, name) =>
    [...byName(`${kind}/${namespace}/${name}`)].flatMap(key => activeAt(key, keys, actives))
}

function runsByJob(keys: Keys, view: View, actives: Records['actives']): EtcdMirrors['runsOf'] {
  const byJob = groupKeys(view, key => {
    const { namespace = '', jobName } = actives.get(key)?.value ?? {}
    return jobName === undefined ? undefined : nameKey({ namespace, name: jobName })
  })
  return (namespace, name) =>
    [...byJob(nameKey({ namespace, name }))].flatMap(key => activeAt(key, keys, actives))
}

function activeAt(key: string, keys: Keys, actives: Records['actives']): ActiveSeen[] {
  const active = actives.get(key)
  const owner = keys.parseActive(key)
  return active && owner ? [{ ...active, pool: owner.pool, owner: owner.agent }] : []
}

function membersByPool(keys: Keys, view: View, members: Records['members']): EtcdMirrors['membersOf'] {
  const byPool = groupKeys(view, key => keys.parseMember(key)?.pool)
  return pool =>
    [...byPool(pool)].flatMap(key => {
      const member = members.get(key)?.value
      const agent = keys.parseMember(key)?.agent
      return member && agent ? [{ agent, member }] : []
    })
}

function nameKeyOf(ref: ObjectName | undefined): string | undefined {
  return ref && nameKey(ref)
}

function kindKeyOf(ref: (ObjectName & { kind: CellKind }) | undefined): string | undefined {
  return ref && `${ref.kind}/${nameKey(ref)}`
}
