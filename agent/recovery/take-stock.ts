import { targetCellsOf } from '../../core/fires/attempt-cells.ts'
import { type Active, activeSchema } from '../../core/records/state.ts'
import { reown } from '../../store/protocol/reown.ts'
import { type MaybeAbsent, parseVersioned, type Versioned } from '../../store/protocol/versioned.ts'
import type { LauncherRun } from '../launcher/messages.ts'
import { guards } from '../model-guards.ts'
import { finishAttempt } from '../runs/finish.ts'
import { launchId } from '../runs/launch-order.ts'
import type { Runs } from '../runs/supervisor.ts'
import type { Context } from '../session/context.ts'

const CLEAR_POLL_MS = 100
const REFUSED_PAUSE_MS = 50

/**
 * At the start of a session, compares this agent's entries in `active/` with the launcher's runs:
 *
 *   in both                                      adopted
 *   in etcd only, same launcher instance         armed
 *   in etcd only, another instance               Lost: the machine was rebooted, or the launcher died
 *   in etcd, of an older session, may outlive it owned again if the launcher has it, else Lost
 *   at the launcher only                         ended
 */
export async function takeStock(context: Context, runs: Runs): Promise<void> {
  const { keys, pool, agent, session, etcd, launcher } = context
  await endOlderSessions(context)
  const known = new Map((await launcher.runs(context.signal)).map(run => [run.id, run]))
  const { items } = await etcd.list(keys.actives(pool, agent), context.signal)
  for (const item of items) {
    const active = parseVersioned(activeSchema, item.key, item)
    if (!active.value) continue
    const there = { ...active, value: active.value }
    const launched = known.get(launchId(there.value))
    const mine = there.value.session === session ? there : await outlived(context, there, launched)
    if (!mine) continue
    if (runs.has(mine.value.run)) known.delete(launchId(mine.value))
    else if (launched) runs.adopt(mine, launched)
    else if (guards.isLauncherThatWasTold(mine.value.instance, launcher.instance)) runs.resume(mine)
    else await finishAttempt(context, mine, { verdict: { outcome: 'Lost', reason: 'LauncherLost' } })
    known.delete(launchId(mine.value))
  }
  await endUnowned(context, [...known.values()])
}

/** A run of an older session with onDisconnect Continue. undefined: it is no longer this agent's. */
async function outlived(
  context: Context,
  active: Versioned<Active>,
  launched: LauncherRun | undefined,
): Promise<Versioned<Active> | undefined> {
  const { agent, session, clock, signal } = context
  if (active.value.buryAfter === undefined) return undefined
  if (!launched) {
    const verdict = { outcome: 'Lost', reason: 'LauncherLost' } as const
    await finishAttempt(context, active, { verdict, burial: { owner: agent, ownerSeen: session } })
    return undefined
  }
  // Other agents change its cells all the time. A refusal because of a cell says nothing about the attempt.
  for (let known = active; ; await clock.sleep(REFUSED_PAUSE_MS, signal)) {
    const owned = await tryToReown(context, known)
    if (owned.isMine || !isSameAttempt(owned.now, active.value)) return owned.isMine ? owned.now : undefined
    known = owned.now
  }
}

type Reowned = { isMine: true; now: Versioned<Active> } | { isMine: false; now: MaybeAbsent<Active> }

async function tryToReown(context: Context, active: Versioned<Active>): Promise<Reowned> {
  const { keys, pool, agent, session, launcher, batcher, cells } = context
  // It keeps its slot of its wave.
  const counted = await Promise.all(targetCellsOf(pool, active.value).map(ref => cells.read(keys.cell(ref))))
  const { txn, active: next } = reown({
    keys,
    pool,
    active,
    cells: counted.flatMap(cell => (cell.value ? [{ ...cell, value: cell.value }] : [])),
    agent,
    session,
    instance: launcher.instance,
  })
  const answer = await batcher.txn(txn)
  return answer.ok
    ? { isMine: true, now: { key: active.key, mod: answer.revision, value: next } }
    : { isMine: false, now: parseVersioned(activeSchema, active.key, answer.gets[0]) }
}

function isSameAttempt(now: MaybeAbsent<Active>, { attempt, session }: Active): now is Versioned<Active> {
  return now.value?.attempt === attempt && now.value.session === session
}

/**
 * Every TTL: settles as Lost the entries of this session that neither this agent's memory, nor a claim in flight, nor the launcher knows.
 * Such an entry is of a claim whose answer was lost and that was committed after it was read again. Nothing would ever start it.
 */
export async function settleUnknown(context: Context, runs: Runs): Promise<void> {
  if (!guards.settlesUnknown()) return
  const { keys, pool, agent, session, etcd, launcher, claiming } = context
  const isKnown = ({ run }: Active) => runs.has(run) || claiming.has(run)
  const { items } = await etcd.list(keys.actives(pool, agent), context.signal)
  const unknown = items.flatMap(item => {
    const { value, ...of } = parseVersioned(activeSchema, item.key, item)
    return value?.session === session && !isKnown(value) ? [{ ...of, value }] : []
  })
  // A launcher may have very many runs that wait for their output to be stored, so it is asked only if there are unknown entries.
  if (unknown.length === 0) return
  const launches = new Set((await launcher.runs(context.signal)).map(({ id }) => id))
  for (const active of unknown) {
    if (isKnown(active.value) || launches.has(launchId(active.value))) continue
    // A pending attempt was put here by the process that ended the one before. Arming it compares, so it may be done repeatedly.
    if (active.value.attempt > 1) runs.resume(active)
    else await finishAttempt(context, active, { verdict: { outcome: 'Lost', reason: 'ClaimUnclear' } })
  }
}

/** Kills fenced runs of older sessions of this agent. Those sessions may be buried only when the runs are dead. */
async function endOlderSessions({ launcher, session, clock, signal }: Context): Promise<void> {
  for (;;) {
    const older = (await launcher.runs(signal)).filter(
      run => run.session !== String(session) && run.fenced && run.state !== 'ended',
    )
    if (older.length === 0) return
    launcher.kill(ids(older), 'SessionLost')
    await clock.sleep(CLEAR_POLL_MS, signal)
  }
}

async function endUnowned({ launcher, session, log }: Context, unowned: LauncherRun[]): Promise<void> {
  const isGoing = (run: LauncherRun) => run.state !== 'ended'
  const going = unowned.filter(run => isGoing(run) && (run.fenced || run.session === String(session)))
  if (going.length > 0)
    log.warn({ runs: ids(going).slice(0, 10), count: going.length }, 'launcher.unownedRuns')
  launcher.kill(ids(going), 'Superseded')
  // Their outcomes are recorded, by this agent or by burial.
  launcher.forget(ids(unowned.filter(run => !isGoing(run))))
}

function ids(runs: readonly LauncherRun[]): string[] {
  return runs.map(({ id }) => id)
}
