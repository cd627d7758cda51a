import {
  ANYWHERE,
  type CellKind,
  isNamed,
  isShellRunId,
  scheduledRunId,
  shellRunId,
} from '../../core/keys.ts'
import type { Outcome } from '../../core/records/state.ts'
import type {
  AttemptRef,
  HistoryQuery,
  LogStore,
  OutputHead,
  OutputStore,
  StoredResult,
} from '../../store/log/port.ts'
import type { Context } from '../context.ts'

/** An attempt whose output somebody may ask for: it goes on, or it has ended, or there is output of it. */
export interface AttemptSeen {
  uid: string
  run: string
  attempt: number
  agent?: string
  /** It is in flight or pending. */
  going: boolean
  /** How it ended, once that is stored; and whether there was a process that may have written. */
  outcome?: Outcome
  started?: boolean
  /** undefined: nothing of it has come. */
  output?: Pick<OutputHead, 'stored' | 'bytes' | 'cut' | 'lost' | 'ended' | 'expired'>
}

type Deps = { mirrors: Pick<Context['mirrors'], 'activesOf'> } & {
  store: Pick<LogStore, 'history'> & OutputStore
}

const PAGE = 1_000

/** All attempts of a run, or of every part of a fire; by run, the first attempt first. None: there is no such run. */
export async function attemptsOf({ mirrors, store }: Deps, id: string): Promise<AttemptSeen[]> {
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
    // What has ended is taken out of etcd first, and stored then: for a moment between the two it is neither.
    if (isNamed(value.run, id) && at(value).outcome === undefined) at(value).going = true
  }
  return [...all.values()].sort((a, b) => order(a.run, b.run) || a.attempt - b.attempt)
}

/** A part of the fire, or of the ShellRun, waits for another run to end: for its place in a wave, say. */
export function isWaiting({ cellsOf }: Pick<Context['mirrors'], 'cellsOf'>, id: string): boolean {
  const { kind, namespace, name, time } = objectOf(id)
  const isMeant = (waiting: number) => kind === 'run' || waiting === Number(time)
  return cellsOf(kind, namespace, name).some(({ value }) => value?.waiting && isMeant(value.waiting.time))
}

/** Whether an attempt is in flight or pending, by what is seen of etcd. */
export function isGoing({ activesOf }: Pick<Context['mirrors'], 'activesOf'>, of: AttemptRef): boolean {
  const { kind, namespace, name } = objectOf(of.run)
  return activesOf(kind, namespace, name).some(
    ({ value }) => value.run === of.run && value.uid === of.uid && value.attempt === of.attempt,
  )
}

/** The newest fire of a ShellCronJob, or a ShellRun's only one; undefined: it has none yet. */
export async function latestRun(
  { mirrors, store }: Deps,
  of: { kind: CellKind; namespace: string; name: string },
): Promise<string | undefined> {
  const { rows } = await store.history({ ...of, limit: PAGE })
  const ended = rows.find(({ attempt }) => attempt > 0)
  const going = mirrors.activesOf(of.kind, of.namespace, of.name).map(({ value }) => value)
  const [newest] = [...going, ...(ended ? [ended] : [])].sort((a, b) => b.time - a.time)
  if (!newest) return undefined
  const fire = { ...newest, target: ANYWHERE }
  return of.kind === 'run' ? shellRunId(fire) : scheduledRunId(fire, newest.time)
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

/** Whose run or fire it is, by its id. `time`: the scheduled one, of a job's. */
function objectOf(id: string): { kind: CellKind; namespace: string; name: string; time: string } {
  const [namespace = '', name = '', time = ''] = id.split('.')
  return { kind: isShellRunId(id) ? 'run' : 'job', namespace, name, time }
}

function order(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}
