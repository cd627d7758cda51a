import {
  ANYWHERE,
  type CellKind,
  isNamed,
  isShellRunId,
  scheduledRunId,
  shellRunId,
} from '../../core/keys.ts'
import type { Active, Outcome } from '../../core/records/state.ts'
import type { Clock } from '../../platform/clock.ts'
import type {
  AttemptRef,
  HistoryQuery,
  LogStore,
  OutputHead,
  OutputStore,
  StoredResult,
} from '../../store/log/port.ts'
import type { Context } from '../context.ts'

/** An attempt whose output can be read: it is in flight, it has ended, or some of its output is stored. */
export interface AttemptSeen {
  uid: string
  run: string
  attempt: number
  agent?: string
  /** It is in flight or pending. */
  going: boolean
  /** It is not due yet, or has no agent: a retry during its backoff. */
  pending?: boolean
  /** How it ended, once that is stored, and whether a process had started. */
  outcome?: Outcome
  started?: boolean
  /** undefined: no output has arrived. */
  output?: Pick<OutputHead, 'stored' | 'bytes' | 'cut' | 'lost' | 'ended' | 'expired'>
}

type Deps = {
  mirrors: Pick<Context['mirrors'], 'activesOf' | 'runsOf'>
  store: Pick<LogStore, 'history'> & OutputStore
}

const PAGE = 1_000

/** All attempts of a run, or of all runs of a fire, in order of run and attempt. Empty if there is no such run. */
export async function attemptsOf(
  { mirrors, store, clock }: Deps & { clock: Pick<Clock, 'now'> },
  id: string,
): Promise<AttemptSeen[]> {
  const all = new Map<string, AttemptSeen>()
  const at = (of: { uid: string; run: string; attempt: number }): AttemptSeen => {
    const { uid, run, attempt } = of
    const key = `${uid} ${run} ${attempt}`
    const seen = all.get(key) ?? { uid, run, attempt, going: false }
    all.set(key, seen)
    return seen
  }
  for await (const result of resultsOf(store, id)) {
    const { agent, outcome, startedAt } = result
    const started = startedAt !== undefined
    Object.assign(at(result), { outcome, started, ...(agent === undefined ? {} : { agent }) })
  }
  for (const { uid, run, attempt, agent, ...output } of await store.outputs({ run: id })) {
    const { stored, bytes, cut, lost, ended, expired } = output
    const known = { stored, bytes, cut, lost, ended, ...(expired ? { expired } : {}) }
    Object.assign(at({ uid, run, attempt }), { agent, output: known })
  }
  const { kind, namespace, name } = objectOf(id)
  for (const { value } of mirrors.activesOf(kind, namespace, name)) {
    // An attempt that ends is first removed from etcd, then stored. Between the two it is in neither.
    if (isNamed(value.run, id) && at(value).outcome === undefined)
      Object.assign(at(value), { going: true, pending: isPending(value, clock.now()) })
  }
  return [...all.values()].sort((a, b) => order(a.run, b.run) || a.attempt - b.attempt)
}

function isPending({ session, notBefore }: Active, now: number): boolean {
  return session === 0 || notBefore > now
}

/** Whether a run of the fire, or of the ShellRun, waits for another run to end, for instance for a slot in a wave. */
export function isWaiting({ cellsOf }: Pick<Context['mirrors'], 'cellsOf'>, id: string): boolean {
  const { kind, namespace, name, time } = objectOf(id)
  const isOfFire = (waiting: number) => kind === 'run' || waiting === Number(time)
  return cellsOf(kind, namespace, name).some(({ value }) => value?.waiting && isOfFire(value.waiting.time))
}

/** Whether an attempt is in flight or pending, by the mirrors of etcd. */
export function isGoing({ activesOf }: Pick<Context['mirrors'], 'activesOf'>, of: AttemptRef): boolean {
  const { kind, namespace, name } = objectOf(of.run)
  return activesOf(kind, namespace, name).some(
    ({ value }) => value.run === of.run && value.uid === of.uid && value.attempt === of.attempt,
  )
}

/** The newest fire of a ShellCronJob or newest run of its ShellRuns, or the only run of a ShellRun; undefined: there is none yet. */
export async function latestRun(
  { mirrors, store }: Deps,
  of: { kind: CellKind; namespace: string; name: string },
): Promise<string | undefined> {
  const ended = await newestEnded(store, of)
  const runs = of.kind === 'job' ? mirrors.runsOf(of.namespace, of.name) : []
  const going = [...mirrors.activesOf(of.kind, of.namespace, of.name), ...runs].map(({ value }) => value)
  const [newest] = [...going, ...(ended ? [ended] : [])].sort((a, b) => b.time - a.time)
  if (!newest) return undefined
  const fire = { ...newest, target: ANYWHERE }
  return newest.kind === 'run' ? shellRunId(fire) : scheduledRunId(fire, newest.time)
}

/** A page may have no row of an attempt, and still others follow. */
async function newestEnded(
  store: Pick<LogStore, 'history'>,
  of: { kind: CellKind; namespace: string; name: string },
): Promise<StoredResult | undefined> {
  const withRuns = of.kind === 'job' ? { withRuns: true } : {}
  let cursor: string | undefined
  do {
    const page = await store.history({ ...of, ...withRuns, limit: PAGE, ...(cursor ? { cursor } : {}) })
    const ended = page.rows.find(({ attempt }) => attempt > 0)
    if (ended) return ended
    cursor = page.cursor
  } while (cursor)
  return undefined
}

async function* resultsOf(store: Pick<LogStore, 'history'>, id: string): AsyncGenerator<StoredResult> {
  const { kind, namespace, name, time } = objectOf(id)
  const at = Number(time)
  if (kind === 'job' && !Number.isSafeInteger(at)) return
  const query: HistoryQuery = {
    namespace,
    name,
    kind,
    limit: PAGE,
    ...(kind === 'job' ? { from: at, to: at + 1 } : {}),
  }
  let cursor: string | undefined
  do {
    const page = await store.history({ ...query, ...(cursor ? { cursor } : {}) })
    for (const row of page.rows) if (row.attempt > 0 && isNamed(row.run, id)) yield row
    cursor = page.cursor
  } while (cursor)
}

/** The object that a run's or fire's id names. `time`: the scheduled time of a job's run. */
function objectOf(id: string): { kind: CellKind; namespace: string; name: string; time: string } {
  const [namespace = '', name = '', time = ''] = id.split('.')
  return { kind: isShellRunId(id) ? 'run' : 'job', namespace, name, time }
}

function order(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}
