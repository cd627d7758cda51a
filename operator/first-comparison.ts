import type { Clock } from '../platform/clock.ts'
import { Unavailable } from '../platform/errors.ts'
import type { Log } from '../platform/log.ts'
import type { Again } from '../platform/work-queue.ts'
import type { EtcdMirrors } from './etcd-mirrors.ts'
import { nameKey } from './object-name.ts'
import { untilAborted } from './until-aborted.ts'

/**
 * The start of a term. What is stored in etcd is compared with the objects first, because agents run it meanwhile:
 *
 *   each stored entry reconciled once ─▶ compared ─▶ awaited agent Ready, or 60 s later ─▶ jobs without an entry compiled
 *
 * `shellcron up` starts its agent when the operator has compared, so that the agent runs nothing that was removed, edited or suspended in
 * the meantime. Its new jobs are compiled when the agent can claim them, so that no time is missed before.
 */
export interface FirstComparison {
  /** Whether every stored entry has been compared with its object. */
  isDone(): boolean
  /** Wraps the reconciler of a queue. */
  watch(queue: 'jobs' | 'runs', reconcile: Reconcile): Reconcile
  /** Calls `open` once, when jobs that were held back may be compiled. Resolves then, or when the signal aborts. */
  run(signal: AbortSignal): Promise<void>
}

type Reconcile = (key: string, signal: AbortSignal) => Promise<Again>

/** `since`: a registration of an agent process that started before this instant (Unix ms) does not count. */
export interface AwaitedAgent {
  pool: string
  agent: string
  since: number
}

/** How long jobs wait for the agent, ms. */
const LONGEST_WAIT_MS = 60_000
const LOOK_MS = 100

interface Deps {
  mirrors: Pick<EtcdMirrors, 'jobs' | 'runs' | 'agents'>
  keys: { agent(pool: string, agent: string): string }
  clock: Clock
  log: Log
}

export function createFirstComparison(
  deps: Deps,
  { awaited, open }: { awaited?: AwaitedAgent | undefined; open(): void },
): FirstComparison {
  const { mirrors, log } = deps
  const stored = new Set([
    ...Array.from(mirrors.jobs.entries(), ({ value }) => `jobs ${nameKey(value)}`),
    ...Array.from(mirrors.runs.entries(), ({ value }) => `runs ${nameKey(value)}`),
  ])
  const pending = new Set(stored)
  const compared = Promise.withResolvers<void>()
  let isHolding = awaited !== undefined
  const done = (id: string) => {
    if (pending.delete(id) && pending.size === 0) compared.resolve()
  }
  if (pending.size === 0) compared.resolve()
  return {
    isDone: () => pending.size === 0,
    watch: (queue, reconcile) => async (key, signal) => {
      const id = `${queue} ${key}`
      if (isHolding && queue === 'jobs' && !stored.has(id)) return undefined
      try {
        const again = await reconcile(key, signal)
        done(id)
        return again
      } catch (error) {
        // Another fault of one object must not hold back all the others.
        if (!(error instanceof Unavailable)) done(id)
        throw error
      }
    },
    async run(signal) {
      await Promise.race([compared.promise, untilAborted(signal)])
      if (signal.aborted) return
      log.info({ stored: stored.size }, 'operator.compared')
      if (awaited && !(await becomesReady(deps, awaited, signal)) && !signal.aborted)
        log.warn({ ...awaited, waitedMs: LONGEST_WAIT_MS }, 'agent.notReady')
      if (signal.aborted || !isHolding) return
      isHolding = false
      open()
    },
  }
}

async function becomesReady(
  { mirrors, keys, clock }: Deps,
  { pool, agent, since }: AwaitedAgent,
  signal: AbortSignal,
): Promise<boolean> {
  const until = clock.monotonic() + LONGEST_WAIT_MS
  while (!signal.aborted && clock.monotonic() < until) {
    const registration = mirrors.agents.get(keys.agent(pool, agent))?.value
    if (registration && !registration.trouble && registration.startedAt >= since) return true
    await clock.sleep(LOOK_MS, signal).catch(() => undefined)
  }
  return false
}
