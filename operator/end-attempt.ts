import { InvalidInput } from '../core/errors.ts'
import { cellsOf } from '../core/fires/attempt-cells.ts'
import { isNamed, NOBODY } from '../core/keys.ts'
import { type Active, activeSchema, cellSchema } from '../core/records/state.ts'
import type { Verdict } from '../core/runs/outcome.ts'
import { Stale } from '../platform/work-queue.ts'
import { end, type Retry } from '../store/protocol/end.ts'
import { markKill } from '../store/protocol/mark-kill.ts'
import { parseVersioned, type Versioned } from '../store/protocol/versioned.ts'
import type { Context } from './context.ts'

/** How the operator ends attempts. It asks the owning agent. It ends an attempt itself only if no agent owns it, or the owner is gone. */

type Deps = Pick<Context, 'etcd' | 'keys' | 'clock' | 'log'>

export interface AttemptKey {
  pool: string
  owner: string
  run: string
}

/** Asks the owner of an attempt to end it. A pending attempt without an owner ends at once. Repeating it does nothing. */
export async function killAttempt(deps: Deps, attempt: AttemptKey, reason: string): Promise<void> {
  const { etcd, keys } = deps
  const key = keys.active(attempt.pool, attempt.owner, attempt.run)
  const active = parseVersioned(activeSchema, key, await etcd.get(key))
  if (!active.value) return
  const known = { ...active, value: active.value }
  if (attempt.owner === NOBODY) {
    const outcome = reason === 'Requested' ? 'Killed' : 'Cancelled'
    await endAttempt(deps, { ...attempt, active: known, verdict: { outcome, reason } })
  } else if (!known.value.kill) {
    const answer = await etcd.txn(markKill(known, reason))
    if (!answer.ok) throw new Stale(`${attempt.run} has changed since it was read; it is not killed yet`)
    deps.log.info({ run: attempt.run, agent: attempt.owner, reason }, 'run.kill')
  }
}

/** Ends all attempts of a run, by the id that status and history show. Returns how many there were. */
export async function killRun(deps: Deps & Pick<Context, 'mirrors'>, id: string): Promise<number> {
  const { mirrors, keys } = deps
  const attempts = [...mirrors.actives.entries()].flatMap(({ key, value }): AttemptKey[] => {
    const at = keys.parseActive(key)
    return at && isNamed(value.run, id) ? [{ pool: at.pool, owner: at.agent, run: value.run }] : []
  })
  return killAttempts(deps, attempts)
}

/** Ends all attempts of a ShellCronJob with its ShellRuns, or of a ShellRun. Throws InvalidInput if there is none of this name. */
export async function killObject(
  deps: Deps & Pick<Context, 'mirrors' | 'resources'>,
  namespace: string,
  name: string,
): Promise<number> {
  const { mirrors, resources } = deps
  const own = (['job', 'run'] as const).flatMap(kind => mirrors.activesOf(kind, namespace, name))
  // A ShellRun may have its job's name.
  const byKey = new Map([...own, ...mirrors.runsOf(namespace, name)].map(active => [active.key, active]))
  const running = [...byKey.values()]
  const isThere = (['ShellCronJob', 'ShellRun'] as const).some(kind => resources.get(kind, namespace, name))
  if (!isThere && running.length === 0)
    throw new InvalidInput(`${namespace}/${name}`, 'there is no such ShellCronJob or ShellRun')
  const attempts = running.map(({ pool, owner, value }): AttemptKey => ({ pool, owner, run: value.run }))
  return killAttempts(deps, attempts)
}

async function killAttempts(deps: Deps, attempts: readonly AttemptKey[]): Promise<number> {
  for (const attempt of attempts) await killAttempt(deps, attempt, 'Requested')
  return attempts.length
}

/** Ends an attempt for its owner. Throws Stale if the attempt, its cells or its owner have changed since they were read. */
export async function endAttempt(
  deps: Deps,
  of: AttemptKey & { active: Versioned<Active>; verdict: Verdict; ownerSeen?: number; retry?: Retry },
): Promise<void> {
  const { etcd, keys, clock, log } = deps
  const cellKeys = cellsOf(of.pool, of.active.value).map(keys.cell)
  const read = await Promise.all(
    cellKeys.map(async key => parseVersioned(cellSchema, key, await etcd.get(key))),
  )
  const cells = read.flatMap(cell => (cell.value ? [{ ...cell, value: cell.value }] : []))
  const absent = read.filter(({ mod }) => mod === 0).map(({ key }) => key)
  const { txn, result } = end({
    keys,
    pool: of.pool,
    owner: of.owner,
    active: of.active,
    cells,
    absent,
    verdict: of.verdict,
    now: clock.now(),
    ...(of.ownerSeen === undefined ? {} : { ownerSeen: of.ownerSeen }),
    ...(of.retry ? { retry: of.retry } : {}),
  })
  const answer = await etcd.txn(txn)
  if (!answer.ok) throw new Stale(`${of.run} has changed since it was read; it is not ended yet`)
  const { outcome, reason, attempt, final } = result
  log.info({ run: of.run, attempt, outcome, reason, final }, 'run.ended')
}
