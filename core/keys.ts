/**
 * The keys in etcd. Only this file builds and parses them.
 *
 * No part may contain a slash. Names of Kubernetes objects cannot, and agents' names follow the same rule.
 */

export type CellKind = 'job' | 'run'

/** A ShellCronJob (`job`) or a ShellRun (`run`) of a pool. */
export interface Ref {
  pool: string
  namespace: string
  name: string
}

/** One target of a job or ShellRun, which has one cell. */
export interface CellRef extends Ref {
  kind: CellKind
  target: string
}

/** The target of mode One: any agent. */
export const ANYWHERE = '-'

/** In place of a target: the wave's cell, whose runs hold the slots of `maxParallel`. Not a legal agent name. */
export const WAVE = '@wave'

/** The owner of a pending attempt while no eligible agent is alive. Not a legal agent name, so no agent can have it. */
export const NOBODY = '-'

export const DEFAULT_PREFIX = '/shellcron/v1/'

export type Keys = ReturnType<typeof createKeys>

/**
 * Builds and parses keys. A singular name (`job`) builds one key, its plural (`jobs`) the prefix that lists them, and `parseJob` is the
 * inverse of `job`. It answers undefined for another kind's key.
 */
export function createKeys(prefix: string = DEFAULT_PREFIX) {
  const space = keySpace(prefix)
  return {
    prefix,
    meta: space.under('meta'),
    beacon: space.at('meta', 'beacon'),
    ...entryKeys(space),
    ...poolKeys(space),
    ...cellKeys(space),
    ...attemptKeys(space),
    ...requestKeys(space),
    ...statusKeys(space),
    ...identityKeys(space),
  }
}

/** How keys are made of parts. */
interface KeySpace {
  at(...parts: string[]): string
  /** The prefix of all keys that begin with these parts, up to the first undefined one. */
  under(...parts: (string | undefined)[]): string
  /** The parts of a key below `top`, by name; undefined: it is no such key. */
  parse<Name extends string>(
    key: string,
    top: string,
    names: readonly Name[],
  ): Record<Name, string> | undefined
}

function keySpace(prefix: string): KeySpace {
  return {
    at: (...parts) => prefix + parts.join('/'),
    under(...parts) {
      const end = parts.indexOf(undefined)
      return `${prefix}${(end < 0 ? parts : parts.slice(0, end)).join('/')}/`
    },
    parse<Name extends string>(key: string, top: string, names: readonly Name[]) {
      const head = `${prefix}${top}/`
      if (!key.startsWith(head)) return undefined
      const parts = key.slice(head.length).split('/')
      if (parts.length !== names.length || parts.includes('')) return undefined
      const named = {} as Record<Name, string>
      for (let i = 0; i < names.length; i++) named[names[i] as Name] = parts[i] as string
      return named
    },
  }
}

/** Compiled ShellCronJobs and ShellRuns. */
function entryKeys({ at, under, parse }: KeySpace) {
  const parts = ['pool', 'namespace', 'name'] as const
  return {
    job: (ref: Ref) => at('jobs', ref.pool, ref.namespace, ref.name),
    jobs: (pool?: string) => under('jobs', pool),
    parseJob: (key: string): Ref | undefined => parse(key, 'jobs', parts),

    run: (ref: Ref) => at('runs', ref.pool, ref.namespace, ref.name),
    runs: (pool?: string) => under('runs', pool),
    parseRun: (key: string): Ref | undefined => parse(key, 'runs', parts),
  }
}

/** Pools, their members, and the registrations of agents. */
function poolKeys({ at, under, parse }: KeySpace) {
  return {
    pool: (pool: string) => at('pools', pool),
    pools: under('pools'),
    parsePool: (key: string) => parse(key, 'pools', ['pool'])?.pool,

    member: (pool: string, agent: string) => at('members', pool, agent),
    members: (pool?: string) => under('members', pool),
    parseMember: (key: string) => parse(key, 'members', ['pool', 'agent']),

    agent: (pool: string, agent: string) => at('agents', pool, agent),
    agents: (pool?: string) => under('agents', pool),
    parseAgent: (key: string) => parse(key, 'agents', ['pool', 'agent']),
  }
}

function cellKeys({ at, under, parse }: KeySpace) {
  return {
    cell: (ref: CellRef) => at('state', ref.pool, ref.kind, ref.namespace, ref.name, ref.target),
    cells: (pool?: string) => under('state', pool),
    /** The prefix of the cells of one job or ShellRun. */
    cellsOf: (ref: Omit<CellRef, 'target'>) => under('state', ref.pool, ref.kind, ref.namespace, ref.name),
    parseCell(key: string): CellRef | undefined {
      const ref = parse(key, 'state', ['pool', 'kind', 'namespace', 'name', 'target'])
      if (!ref || (ref.kind !== 'job' && ref.kind !== 'run')) return undefined
      return { ...ref, kind: ref.kind }
    },
  }
}

/** Attempts, active or pending, and the outbox of results. */
function attemptKeys({ at, under, parse }: KeySpace) {
  return {
    active: (pool: string, agent: string, runId: string) => at('active', pool, agent, runId),
    actives: (pool?: string, agent?: string) => under('active', pool, agent),
    parseActive: (key: string) => parse(key, 'active', ['pool', 'agent', 'runId']),

    result: (pool: string, runId: string, attempt: number) => at('results', pool, runId, String(attempt)),
    results: under('results'),
    resultsOf: (pool: string) => under('results', pool),
    parseResult(key: string): { pool: string; runId: string; attempt: number } | undefined {
      const parts = parse(key, 'results', ['pool', 'runId', 'attempt'])
      return parts && /^\d+$/.test(parts.attempt) ? { ...parts, attempt: Number(parts.attempt) } : undefined
    },
  }
}

/** Requests to agents. */
function requestKeys({ at, under, parse }: KeySpace) {
  return {
    request: (pool: string, id: string) => at('requests', pool, id),
    requests: (pool?: string) => under('requests', pool),
    parseRequest: (key: string) => parse(key, 'requests', ['pool', 'id']),
  }
}

/** Statuses of objects, for an operator without Kubernetes. */
function statusKeys({ at, under, parse }: KeySpace) {
  return {
    status: (kind: string, namespace: string, name: string) => at('status', kind, namespace, name),
    statuses: under('status'),
    parseStatus: (key: string) => parse(key, 'status', ['kind', 'namespace', 'name']),
  }
}

/** The identities of agents and the tokens of their enrolment: only the operator may read them. */
function identityKeys({ at, under, parse }: KeySpace) {
  return {
    identity: (pool: string, agent: string) => at('identities', pool, agent),
    identities: under('identities'),
    parseIdentity: (key: string) => parse(key, 'identities', ['pool', 'agent']),

    /** `hash`: SHA-256 of the token's secret, in hexadecimal. */
    token: (hash: string) => at('tokens', hash),
  }
}

/** The id of a scheduled run. It is derived from job, time and target, so that a repeated action is harmless. `time`: ms since the Unix epoch. */
export function scheduledRunId(
  of: { namespace: string; name: string; target: string },
  time: number,
): string {
  return runId(`${of.namespace}.${of.name}.${time}`, of.target)
}

/** The id of a ShellRun's run on one target. The uid distinguishes it from a later object of the same name. */
export function shellRunId(of: { namespace: string; name: string; target: string; uid: string }): string {
  return runId(`${of.namespace}.${of.name}.run-${of.uid.slice(0, 8)}`, of.target)
}

/** Whether the id is of a ShellRun's run: `run-…` stands where a scheduled run has its time. */
export function isShellRunId(id: string): boolean {
  return id.split('.')[2]?.startsWith('run-') ?? false
}

/** The scheduled time in a run's id, ms since the epoch; undefined: the id is a ShellRun's, or invalid. */
export function scheduledIn(id: string): number | undefined {
  const [, , time = ''] = id.split('.')
  return /^\d{1,15}$/.test(time) ? Number(time) : undefined
}

/** Whether the id is of a run of this object. Names have no dots. */
export function isRunOf({ namespace, name }: { namespace: string; name: string }, id: string): boolean {
  return id.startsWith(`${namespace}.${name}.`)
}

/** Whether `id` names this run: by its own id, or by the id of its fire, which covers every target. */
export function isNamed(run: string, id: string): boolean {
  return run === id || run.startsWith(`${id}.`)
}

function runId(fire: string, target: string): string {
  return target === ANYWHERE ? fire : `${fire}.${target}`
}
