import type { KeyObject } from 'node:crypto'
import type * as z from 'zod'
import type { CellKind, CellRef, Keys } from '../core/keys.ts'
import { type JobEntry, jobEntrySchema, type RunEntry, runEntrySchema } from '../core/records/entry.ts'
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

/** What the operator sees of etcd, of all pools: everything but results, which are drained. Mirrors may lag; writes compare. */
export interface EtcdMirrors {
  readonly jobs: Mirror<JobEntry>
  readonly runs: Mirror<RunEntry>
  readonly pools: Mirror<Pool>
  readonly members: Mirror<Member>
  readonly agents: Mirror<Registration & { session: number }>
  readonly cells: Mirror<Cell>
  readonly actives: Mirror<Active>
  readonly requests: Mirror<Request>
  readonly beacon: Mirror<Beacon>
  /** Entries under this name, in all pools, unreadable ones too. */
  storedJobs(namespace: string, name: string): StoredIn<JobEntry>[]
  storedRuns(namespace: string, name: string): StoredIn<RunEntry>[]
  cellsOf(kind: CellKind, namespace: string, name: string): (MaybeAbsent<Cell> & { ref: CellRef })[]
  /** Attempts in flight or pending, of a job or ShellRun. */
  activesOf(kind: CellKind, namespace: string, name: string): ActiveSeen[]
  membersOf(pool: string): { agent: string; member: Member }[]
  /** Create revision of an agent's registration: its session. undefined: it does not live. */
  sessionOf(pool: string, agent: string): number | undefined
  /** Every mirror is fed by a living watch. */
  synced(): boolean
  staleForMs(): number
  close(): Promise<void>
}

export type StoredIn<T> = MaybeAbsent<T> & { pool: string }
export type ActiveSeen = { key: string; mod: number; value: Active; pool: string; owner: string }

export interface ObserveOptions {
  etcd: Etcd
  keys: Keys
  /** The operator's own public key: what it did not sign is not its word. */
  publicKey: KeyObject
  log: Log
}

export async function observe(options: ObserveOptions, signal: AbortSignal): Promise<EtcdMirrors> {
  const { etcd, keys, log } = options
  const views: View[] = []
  const watched = async (prefix: string): Promise<View> => {
    const view = etcd.view(prefix)
    views.push(view)
    await view.ready(signal)
    return view
  }
  const parsed = <T>(view: View, read: Read<T>) =>
    mirror(view, read, key => log.warn({ key }, 'record.unreadable'))
  const genuine = <T>(schema: z.ZodType<T>): Read<T> => signed(options.publicKey, schema)
  const jobs = await watched(keys.jobs())
  const runs = await watched(keys.runs())
  const cells = await watched(keys.cells())
  const actives = await watched(keys.actives())
  const members = await watched(keys.members())
  const mirrors = {
    jobs: await parsed(jobs, genuine(jobEntrySchema)),
    runs: await parsed(runs, genuine(runEntrySchema)),
    cells: await parsed(cells, reading(cellSchema)),
    actives: await parsed(actives, reading(activeSchema)),
    members: await parsed(members, reading(memberSchema)),
    pools: await parsed(await watched(keys.pools), reading(poolSchema)),
    requests: await parsed(await watched(keys.requests()), genuine(requestSchema)),
    beacon: await parsed(await watched(keys.beacon), reading(beaconSchema)),
    agents: await parsed(await watched(keys.agents()), item => {
      const registration = parseValue(registrationSchema, item.value)
      return registration && { ...registration, session: item.create }
    }),
  }
  const named = (ref: { namespace: string; name: string } | undefined) =>
    ref && `${ref.namespace}/${ref.name}`
  const jobsByName = grouped(jobs, key => named(keys.parseJob(key)))
  const runsByName = grouped(runs, key => named(keys.parseRun(key)))
  const cellsByName = grouped(cells, key => {
    const ref = keys.parseCell(key)
    return ref && `${ref.kind}/${named(ref)}`
  })
  const activesByName = grouped(actives, key => {
    const active = mirrors.actives.get(key)?.value
    return active && `${active.kind}/${named(active)}`
  })
  const membersByPool = grouped(members, key => keys.parseMember(key)?.pool)

  return {
    ...mirrors,
    storedJobs: (namespace, name) =>
      [...jobsByName(`${namespace}/${name}`)].map(key =>
        stored(jobs, mirrors.jobs, { key, pool: keys.parseJob(key)?.pool ?? '' }),
      ),
    storedRuns: (namespace, name) =>
      [...runsByName(`${namespace}/${name}`)].map(key =>
        stored(runs, mirrors.runs, { key, pool: keys.parseRun(key)?.pool ?? '' }),
      ),
    cellsOf: (kind, namespace, name) =>
      [...cellsByName(`${kind}/${namespace}/${name}`)].flatMap(key => {
        const ref = keys.parseCell(key)
        const mod = cells.items.get(key)?.mod ?? 0
        return ref ? [{ ref, key, mod, value: mirrors.cells.get(key)?.value }] : []
      }),
    activesOf: (kind, namespace, name) =>
      [...activesByName(`${kind}/${namespace}/${name}`)].flatMap(key => {
        const held = mirrors.actives.get(key)
        const at = keys.parseActive(key)
        return held && at ? [{ ...held, pool: at.pool, owner: at.agent }] : []
      }),
    membersOf: pool =>
      [...membersByPool(pool)].flatMap(key => {
        const member = mirrors.members.get(key)?.value
        const agent = keys.parseMember(key)?.agent
        return member && agent ? [{ agent, member }] : []
      }),
    sessionOf: (pool, agent) => mirrors.agents.get(keys.agent(pool, agent))?.value.session,
    synced: () => views.every(view => view.synced),
    staleForMs: () => Math.max(...views.map(view => view.staleForMs())),
    close: async () => void (await Promise.all(views.map(view => view.close()))),
  }
}

/** Reads only what we signed. */
export function signed<T>(publicKey: KeyObject, schema: z.ZodType<T>): Read<T> {
  return (item: KeyValue) => {
    const text = verifyText(item.value, publicKey)
    return text === undefined ? undefined : parseValue(schema, text)
  }
}

function stored<T>(view: View, known: Mirror<T>, at: { key: string; pool: string }): StoredIn<T> {
  return { ...at, mod: view.items.get(at.key)?.mod ?? 0, value: known.get(at.key)?.value }
}

/** The keys of a view by a name that they share; kept as the view changes. */
function grouped(
  view: View,
  nameOf: (key: string) => string | undefined,
): (name: string) => Iterable<string> {
  const groups = new Map<string, Set<string>>()
  const nameOfKey = new Map<string, string>()
  const take = (key: string, present: boolean) => {
    const name = present ? nameOf(key) : nameOfKey.get(key)
    if (name === undefined) return
    const group = groups.get(name) ?? new Set()
    if (present) {
      nameOfKey.set(key, name)
      groups.set(name, group.add(key))
      return
    }
    nameOfKey.delete(key)
    group.delete(key)
    if (group.size === 0) groups.delete(name)
  }
  for (const key of view.items.keys()) take(key, true)
  view.onChange(({ key, now }) => take(key, now !== undefined))
  return name => groups.get(name) ?? []
}
