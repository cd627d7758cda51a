import { isRunOf, type Keys, NOBODY } from '../../core/keys.ts'
import type { Active } from '../../core/records/state.ts'
import type { AttemptRef, LogStore, Runner } from '../../store/log/port.ts'
import type { EtcdMirrors } from '../etcd-mirrors.ts'

/**
 * Whose attempt it is: that of the agent that etcd or the log store says ran it, as nothing is taken on the word of who brings it.
 *
 *   remembered ─▶ in `active/` under who asks ─▶ its result in the log store ─▶ nobody knows, yet
 *
 * What lies in `active/` an agent may have written, so it counts only for an entry of its own pool, signed by us, and for an id of that
 * entry's runs: no agent can say that it ran what is another pool's. Within a pool agents can take each other's fires anyway.
 *
 * Nobody knows for some milliseconds, while a watch lags behind a claim; until the outbox is drained, of what ended while no operator was
 * there; and until its result comes, of a job that was deleted or moved to another pool while no operator looked. It is brought again
 * then. Of what etcd lost when it was restored from a snapshot, what retention has removed, or the file of another operator holds, nobody
 * here will ever know: that output stays on its machine until the quota takes it. To take it would let any agent be the first to speak for
 * a run; to refuse it would destroy, for a watch that lags, what a run really wrote. Room within a quota is the least of the three.
 */
export interface Owners {
  /** Of each; undefined: nobody knows yet. `speaker`: the agent that asks, of what it says is its own. Faults as the log store's. */
  of(attempts: readonly AttemptRef[], speaker: Runner): Promise<(Runner | undefined)[]>
}

export interface OwnersOptions {
  mirrors: Pick<EtcdMirrors, 'actives' | 'jobs' | 'runs'>
  keys: Keys
  store: Pick<LogStore, 'ranBy'>
}

/** Attempts that have left `active/`, or were looked up: a burst of short runs is told of before its results are stored. */
const REMEMBERED = 20_000

export function createOwners({ mirrors, keys, store }: OwnersOptions): Owners {
  const known = new Map<string, Runner>()
  const remember = (attempt: AttemptRef, { pool, agent }: Runner) => {
    if (known.has(keyOf(attempt))) return
    known.set(keyOf(attempt), { pool, agent })
    const [oldest] = known.keys()
    if (known.size > REMEMBERED && oldest !== undefined) known.delete(oldest)
  }
  const isGenuine = (active: Active, at: { pool: string; runId: string }): boolean => {
    const ref = { pool: at.pool, namespace: active.namespace, name: active.name }
    const entry = active.kind === 'job' ? mirrors.jobs.get(keys.job(ref)) : mirrors.runs.get(keys.run(ref))
    return entry?.value.uid === active.uid && active.run === at.runId && isRunOf(ref, active.run)
  }
  const learn = (key: string, active: Active) => {
    const at = keys.parseActive(key)
    if (at && at.agent !== NOBODY && isGenuine(active, at)) remember(active, at)
  }
  /** While an attempt lies there it is looked up. */
  mirrors.actives.onChange((key, now, before) => {
    if (before && !(now && isSame(now.value, before.value))) learn(key, before.value)
  })
  const seen = (attempt: AttemptRef, { pool, agent }: Runner): Runner | undefined => {
    const before = known.get(keyOf(attempt))
    if (before) return before
    const active = mirrors.actives.get(keys.active(pool, agent, attempt.run))
    if (active && isSame(active.value, attempt)) learn(active.key, active.value)
    return known.get(keyOf(attempt))
  }
  return {
    async of(attempts, speaker) {
      const owners = attempts.map(attempt => seen(attempt, speaker))
      const unseen = attempts.filter((_, index) => !owners[index])
      if (unseen.length === 0) return owners
      const found = await store.ranBy(unseen)
      for (const [index, attempt] of unseen.entries()) {
        const runner = found[index]
        if (runner) remember(attempt, runner)
      }
      let next = 0
      return owners.map(owner => owner ?? found[next++])
    },
  }
}

function isSame(a: AttemptRef, b: AttemptRef): boolean {
  return keyOf(a) === keyOf(b)
}

function keyOf({ uid, run, attempt }: AttemptRef): string {
  return `${uid} ${run} ${attempt}`
}
