import { isRunOf, type Keys, NOBODY } from '../../core/keys.ts'
import type { Active } from '../../core/records/state.ts'
import type { AttemptRef, LogStore, Runner } from '../../store/log/port.ts'
import type { EtcdMirrors } from '../etcd-mirrors.ts'

/**
 * Finds the agent that ran an attempt, from etcd or the log store. The sender's own word does not count.
 *
 *   remembered ─▶ in `active/` under the sender ─▶ its result in the log store ─▶ unknown, for now
 *
 * An agent can write records in `active/` itself. Such a record counts only if the operator has signed an entry of that pool for it, and the
 * run's id belongs to that entry. So no agent can claim a run of another pool. Within a pool agents can claim each other's runs anyway.
 *
 * The owner is unknown for a while in three cases; the agent then sends the output again:
 * - for some milliseconds, while a watch lags behind a claim;
 * - until the outbox is drained, for an attempt that ended while no operator ran;
 * - until its result arrives, for a job that was deleted or moved to another pool while no operator ran.
 *
 * It stays unknown for attempts that etcd lost when it was restored from a snapshot, that retention has removed, or that are in another
 * operator's log store. That output stays on its machine until the quota removes it. Accepting it would let any agent claim such a run
 * first. Refusing it would destroy real output while a watch lags. Space within a quota is the smallest cost.
 */
export interface Owners {
  /** The runner of each attempt; undefined: unknown for now. `sender`: the agent that sends the output. Rejects as the log store does. */
  of(attempts: readonly AttemptRef[], sender: Runner): Promise<(Runner | undefined)[]>
}

export interface OwnersOptions {
  mirrors: Pick<EtcdMirrors, 'actives' | 'jobs' | 'runs'>
  keys: Keys
  store: Pick<LogStore, 'ranBy'>
}

/** How many attempts are remembered after they left `active/`. The output of a burst of short runs arrives before their results do. */
const MAX_REMEMBERED = 20_000

export function createOwners(options: OwnersOptions): Owners {
  const owners = new KnownOwners(options)
  // An attempt that is still in `active/` is looked up there.
  options.mirrors.actives.onChange((key, now, before) => {
    if (before && !(now && isSame(now.value, before.value))) owners.learn(key, before.value)
  })
  return owners
}

class KnownOwners implements Owners {
  readonly #options: OwnersOptions
  readonly #runners = new Map<string, Runner>()

  constructor(options: OwnersOptions) {
    this.#options = options
  }

  async of(attempts: readonly AttemptRef[], sender: Runner): Promise<(Runner | undefined)[]> {
    const owners = attempts.map(attempt => this.#ownerOf(attempt, sender))
    const unknown = attempts.filter((_, index) => !owners[index])
    if (unknown.length === 0) return owners
    const found = await this.#options.store.ranBy(unknown)
    for (const [index, attempt] of unknown.entries()) {
      const runner = found[index]
      if (runner) this.#remember(attempt, runner)
    }
    let next = 0
    return owners.map(owner => owner ?? found[next++])
  }

  /** Remembers the owner of a record in `active/`, if the record is genuine. */
  learn(key: string, active: Active): void {
    const at = this.#options.keys.parseActive(key)
    if (at && at.agent !== NOBODY && this.#isGenuine(active, at)) this.#remember(active, at)
  }

  #ownerOf(attempt: AttemptRef, { pool, agent }: Runner): Runner | undefined {
    const known = this.#runners.get(keyOf(attempt))
    if (known) return known
    const { mirrors, keys } = this.#options
    const active = mirrors.actives.get(keys.active(pool, agent, attempt.run))
    if (active && isSame(active.value, attempt)) this.learn(active.key, active.value)
    return this.#runners.get(keyOf(attempt))
  }

  #isGenuine(active: Active, at: { pool: string; runId: string }): boolean {
    const { mirrors, keys } = this.#options
    const ref = { pool: at.pool, namespace: active.namespace, name: active.name }
    const entry = active.kind === 'job' ? mirrors.jobs.get(keys.job(ref)) : mirrors.runs.get(keys.run(ref))
    return entry?.value.uid === active.uid && active.run === at.runId && isRunOf(ref, active.run)
  }

  #remember(attempt: AttemptRef, { pool, agent }: Runner): void {
    const key = keyOf(attempt)
    if (this.#runners.has(key)) return
    this.#runners.set(key, { pool, agent })
    const [oldest] = this.#runners.keys()
    if (this.#runners.size > MAX_REMEMBERED && oldest !== undefined) this.#runners.delete(oldest)
  }
}

function isSame(a: AttemptRef, b: AttemptRef): boolean {
  return keyOf(a) === keyOf(b)
}

function keyOf({ uid, run, attempt }: AttemptRef): string {
  return `${uid} ${run} ${attempt}`
}
