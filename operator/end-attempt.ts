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

/** How the operator ends attempts: it asks the owner, and does so itself only where nobody owns one, or the owner is gone. */

type Deps = Pick<Context, 'etcd' | 'keys' | 'clock' | 'log'>

export interface Place {
  pool: string
  owner: string
  run: string
}

/** Asks the owner of an attempt to end it; a pending one that nobody owns ends at once. Repeating it does nothing. */
export async function killAttempt(deps: Deps, place: Place, reason: string): Promise<void> {
  const { etcd, keys } = deps
  const key = keys.active(place.pool, place.owner, place.run)
  const active = parseVersioned(activeSchema, key, await etcd.get(key))
  if (!active.value) return
  const there = { ...active, value: active.value }
  if (place.owner === NOBODY) {
    const outcome = reason === 'Requested' ? 'Killed' : 'Cancelled'
    await endAttempt(deps, { ...place, active: there, verdict: { outcome, reason } })
  } else if (!there.value.kill) {
    const answer = await etcd.txn(markKill(there, reason))
    if (!answer.ok) throw new Stale(`${place.run} changed while it was to be killed`)
    deps.log.info({ run: place.run, agent: place.owner, reason }, 'run.kill')
  }
}

/** Asks the owners of all that belongs to a run, by the id that status and history show; answers how many there were. */
export async function killRun(deps: Deps & Pick<Context, 'mirrors'>, id: string): Promise<number> {
  const { mirrors, keys } = deps
  const places = [...mirrors.actives.entries()].flatMap(({ key, value }): Place[] => {
    const at = keys.parseActive(key)
    return at && isNamed(value.run, id) ? [{ pool: at.pool, owner: at.agent, run: value.run }] : []
  })
  return killPlaces(deps, places)
}

/** The same of all that runs under a name. Throws InvalidInput if nothing is, or was, called so. */
export async function killObject(
  deps: Deps & Pick<Context, 'mirrors' | 'resources'>,
  namespace: string,
  name: string,
): Promise<number> {
  const { mirrors, resources } = deps
  const running = (['job', 'run'] as const).flatMap(kind => mirrors.activesOf(kind, namespace, name))
  const isThere = (['ShellCronJob', 'ShellRun'] as const).some(kind => resources.get(kind, namespace, name))
  if (!isThere && running.length === 0)
    throw new InvalidInput(`${namespace}/${name}`, 'there is no such ShellCronJob or ShellRun')
  const places = running.map(({ pool, owner, value }): Place => ({ pool, owner, run: value.run }))
  return killPlaces(deps, places)
}

async function killPlaces(deps: Deps, places: readonly Place[]): Promise<number> {
  for (const place of places) await killAttempt(deps, place, 'Requested')
  return places.length
}

/** Ends an attempt for its owner. Throws Stale when it, its cells or its owner changed meanwhile. */
export async function endAttempt(
  deps: Deps,
  of: Place & { active: Versioned<Active>; verdict: Verdict; ownerSeen?: number; retry?: Retry },
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
  if (!answer.ok) throw new Stale(`${of.run} changed while it was to be ended`)
  const { outcome, reason, attempt, final } = result
  log.info({ run: of.run, attempt, outcome, reason, final }, 'run.ended')
}
