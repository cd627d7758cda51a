import { type Active, activeSchema } from '../core/records/state.ts'
import { targetCellsOf } from '../core/wave.ts'
import { type Held, held } from '../store/protocol/held.ts'
import { reown } from '../store/protocol/retry.ts'
import type { Context } from './context.ts'
import { conclude } from './finish.ts'
import { launchId } from './launch.ts'
import type { LauncherRun } from './launcher/messages.ts'
import type { Runs } from './live.ts'
import { rules } from './rules.ts'

/** Brings together what etcd says is mine, what this agent remembers, and what the launcher knows. */

const CLEAR_POLL_MS = 100

/**
 * At the start of a session. Mine and known to the launcher: adopted. Mine and unknown to it: armed if it is the launcher that was
 * told, else the machine was rebooted or the launcher died, and it is Lost. Known to the launcher only: ended. Of an older session of
 * mine, and allowed to outlive it: mine again if the launcher knows it, else Lost.
 */
export async function takeStock(context: Context, runs: Runs): Promise<void> {
  const { keys, pool, agent, session, etcd, launcher } = context
  await endOlderSessions(context)
  const known = new Map((await launcher.runs(context.signal)).map(run => [run.id, run]))
  const { items } = await etcd.list(keys.actives(pool, agent), context.signal)
  for (const item of items) {
    const active = held(activeSchema, item.key, item)
    if (!active.value) continue
    const there = { ...active, value: active.value }
    const launched = known.get(launchId(there.value))
    const mine = there.value.session === session ? there : await outlived(context, there, launched)
    if (!mine) continue
    if (runs.has(mine.value.run)) known.delete(launchId(mine.value))
    else if (launched) runs.adopt(mine, launched)
    else if (rules.isLauncherThatWasTold(mine.value.instance, launcher.instance)) runs.resume(mine)
    else await conclude(context, mine, { verdict: { outcome: 'Lost', reason: 'LauncherLost' } })
    known.delete(launchId(mine.value))
  }
  await endUnowned(context, [...known.values()])
}

/** onDisconnect Continue. undefined: not mine any more. */
async function outlived(
  context: Context,
  active: Held<Active>,
  launched: LauncherRun | undefined,
): Promise<Held<Active> | undefined> {
  const { keys, pool, agent, session, launcher, batcher, cells } = context
  if (active.value.buryAfter === undefined) return undefined
  if (!launched) {
    const verdict = { outcome: 'Lost', reason: 'LauncherLost' } as const
    await conclude(context, active, { verdict, burial: { owner: agent, ownerSeen: session } })
    return undefined
  }
  // It keeps its place of its wave, which others change all the time.
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
  return answer.ok ? { key: active.key, mod: answer.revision, value: next } : undefined
}

/**
 * Every TTL: entries of my session that neither memory, an open request nor the launcher knows are of a claim whose answer was lost,
 * and that was applied after it was read again: settled as Lost, as nobody will ever start them.
 */
export async function settleUnknown(context: Context, runs: Runs): Promise<void> {
  if (!rules.settlesUnknown()) return
  const { keys, pool, agent, session, etcd, launcher, asked } = context
  const { items } = await etcd.list(keys.actives(pool, agent), context.signal)
  const launches = new Set((await launcher.runs(context.signal)).map(({ id }) => id))
  for (const item of items) {
    const active = held(activeSchema, item.key, item)
    if (active.value?.session !== session) continue
    if (runs.has(active.value.run) || asked.has(active.value.run)) continue
    if (launches.has(launchId(active.value))) continue
    // A pending attempt was put here by who ended the one before: it is armed behind a transaction of its own, however often.
    if (active.value.attempt > 1) runs.resume({ ...active, value: active.value })
    else
      await conclude(
        context,
        { ...active, value: active.value },
        { verdict: { outcome: 'Lost', reason: 'ClaimUnclear' } },
      )
  }
}

/** Runs of my older sessions that may not outlive them; only when they are dead may those sessions be buried. */
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
  // How they ended is recorded, by me or by who buried them.
  launcher.forget(ids(unowned.filter(run => !isGoing(run))))
}

function ids(runs: readonly LauncherRun[]): string[] {
  return runs.map(({ id }) => id)
}
