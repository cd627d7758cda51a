/**
 * The keys in etcd. Nothing else builds or parses a key. docs/protocol.md says which process writes which key.
 * No part of a key contains a slash: Kubernetes forbids it in names, and the same rule holds for the names of agents.
 */

export type CellKind = 'job' | 'run'

/** A ShellCronJob (`job`) or a ShellRun (`run`). */
export interface Ref {
  pool: string
  namespace: string
  name: string
}

/** One (job or ShellRun, target), which has a cell of its own. */
export interface CellRef extends Ref {
  kind: CellKind
  target: string
}

/** The target of mode One: anywhere. */
export const ANYWHERE = '-'

/** In place of a target: the cell whose runs hold the slots of `maxParallel`. Not a legal agent name. */
export const WAVE = '@wave'

/** The owner of a pending attempt while no eligible agent lives. Not a legal agent name. */
export const NOBODY = '-'

export const DEFAULT_PREFIX = '/shellcron/v1/'

export type Keys = ReturnType<typeof createKeys>

export function createKeys(prefix: string = DEFAULT_PREFIX) {
  const at = (...parts: string[]) => prefix + parts.join('/')
  const under = (...parts: string[]) => `${at(...parts)}/`
  const rest = (key: string, top: string, count: number): string[] | undefined => {
    const head = `${prefix}${top}/`
    if (!key.startsWith(head)) return undefined
    const parts = key.slice(head.length).split('/')
    return parts.length === count && parts.every(part => part !== '') ? parts : undefined
  }
  const parseRef = (key: string, top: string): Ref | undefined => {
    const [pool, namespace, name] = rest(key, top, 3) ?? []
    return pool && namespace && name ? { pool, namespace, name } : undefined
  }
  const parsePair = (key: string, top: string): { pool: string; agent: string } | undefined => {
    const [pool, agent] = rest(key, top, 2) ?? []
    return pool && agent ? { pool, agent } : undefined
  }

  return {
    prefix,
    beacon: at('meta', 'beacon'),

    job: (ref: Ref) => at('jobs', ref.pool, ref.namespace, ref.name),
    jobs: (pool?: string) => (pool ? under('jobs', pool) : under('jobs')),
    parseJob: (key: string) => parseRef(key, 'jobs'),

    run: (ref: Ref) => at('runs', ref.pool, ref.namespace, ref.name),
    runs: (pool?: string) => (pool ? under('runs', pool) : under('runs')),
    parseRun: (key: string) => parseRef(key, 'runs'),

    pool: (pool: string) => at('pools', pool),
    pools: under('pools'),
    parsePool: (key: string) => rest(key, 'pools', 1)?.[0],

    member: (pool: string, agent: string) => at('members', pool, agent),
    members: (pool?: string) => (pool ? under('members', pool) : under('members')),
    parseMember: (key: string) => parsePair(key, 'members'),

    agent: (pool: string, agent: string) => at('agents', pool, agent),
    agents: (pool?: string) => (pool ? under('agents', pool) : under('agents')),
    parseAgent: (key: string) => parsePair(key, 'agents'),

    cell: (ref: CellRef) => at('state', ref.pool, ref.kind, ref.namespace, ref.name, ref.target),
    cells: (pool?: string) => (pool ? under('state', pool) : under('state')),
    cellsOf: (ref: Omit<CellRef, 'target'>) => under('state', ref.pool, ref.kind, ref.namespace, ref.name),
    parseCell: (key: string): CellRef | undefined => {
      const [pool, kind, namespace, name, target] = rest(key, 'state', 5) ?? []
      if (!pool || !namespace || !name || !target || (kind !== 'job' && kind !== 'run')) return undefined
      return { pool, kind, namespace, name, target }
    },

    active: (pool: string, agent: string, runId: string) => at('active', pool, agent, runId),
    actives: (pool?: string, agent?: string) =>
      pool && agent ? under('active', pool, agent) : pool ? under('active', pool) : under('active'),
    parseActive: (key: string): { pool: string; agent: string; runId: string } | undefined => {
      const [pool, agent, runId] = rest(key, 'active', 3) ?? []
      return pool && agent && runId ? { pool, agent, runId } : undefined
    },

    result: (pool: string, runId: string, attempt: number) => at('results', pool, runId, String(attempt)),
    results: under('results'),
    parseResult: (key: string): { pool: string; runId: string; attempt: number } | undefined => {
      const [pool, runId, attempt] = rest(key, 'results', 3) ?? []
      return pool && runId && /^\d+$/.test(attempt ?? '')
        ? { pool, runId, attempt: Number(attempt) }
        : undefined
    },

    request: (pool: string, id: string) => at('requests', pool, id),
    requests: (pool?: string) => (pool ? under('requests', pool) : under('requests')),
    parseRequest: (key: string): { pool: string; id: string } | undefined => {
      const [pool, id] = rest(key, 'requests', 2) ?? []
      return pool && id ? { pool, id } : undefined
    },

    status: (kind: string, namespace: string, name: string) => at('status', kind, namespace, name),
    statuses: under('status'),
    parseStatus: (key: string): { kind: string; namespace: string; name: string } | undefined => {
      const [kind, namespace, name] = rest(key, 'status', 3) ?? []
      return kind && namespace && name ? { kind, namespace, name } : undefined
    },
  }
}

/** The id of a scheduled run. It is derived, so that a repeated action is recognised. `time`: ms since the Unix epoch. */
export function scheduledRunId(
  of: { namespace: string; name: string; target: string },
  time: number,
): string {
  return runId(`${of.namespace}.${of.name}.${time}`, of.target)
}

/** The id of a ShellRun's run on one target. The uid distinguishes objects that were created one after another under one name. */
export function shellRunId(of: { namespace: string; name: string; target: string; uid: string }): string {
  return runId(`${of.namespace}.${of.name}.run-${of.uid.slice(0, 8)}`, of.target)
}

/** Whether an id is that of a ShellRun's run. */
export function isShellRunId(id: string): boolean {
  return id.split('.')[2]?.startsWith('run-') ?? false
}

/** The scheduled time in the id of a run, in ms since the epoch. undefined: it is the id of a ShellRun's run, or no id. */
export function scheduledIn(id: string): number | undefined {
  const [, , time = ''] = id.split('.')
  return /^\d{1,15}$/.test(time) ? Number(time) : undefined
}

/** Whether an id is that of a run of this object. Names have no dots. */
export function isRunOf({ namespace, name }: { namespace: string; name: string }, id: string): boolean {
  return id.startsWith(`${namespace}.${name}.`)
}

/** Whether `id` names `run`: it is the run's id, or the id of its fire, which status shows and which has no target. */
export function isNamed(run: string, id: string): boolean {
  return run === id || run.startsWith(`${id}.`)
}

function runId(fire: string, target: string): string {
  return target === ANYWHERE ? fire : `${fire}.${target}`
}
