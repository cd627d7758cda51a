import { rankOf } from '../../core/fires/placement.ts'
import { targetCellsOf } from '../../core/fires/wave.ts'
import { NOBODY } from '../../core/keys.ts'
import { type Active, activeSchema } from '../../core/records/state.ts'
import { messageOf } from '../../platform/errors.ts'
import { adopt } from '../../store/protocol/adopt.ts'
import { parseVersioned, type Versioned } from '../../store/protocol/versioned.ts'
import { conclude } from '../runs/finish.ts'
import type { Runs } from '../runs/supervisor.ts'
import { lookAtWave } from '../schedule/wave-slot.ts'
import type { Context } from '../session/context.ts'

/**
 * Level-triggered: at start, at each change of `agents/` and every TTL, the first three in rank (and each agent for its own older
 * sessions) list who owns attempts in `active/`. Those whose session has no registration are Lost; those of nobody are taken over.
 */
const BURYING_RANKS = 3

/**
 * Answers whether an attempt waits that is mine to take over, and could not be taken now. `of`: looks at what lies under that one only.
 */
export async function buryDeadAgents(context: Context, runs: Runs, of?: typeof NOBODY): Promise<boolean> {
  const { keys, pool, agent, etcd, world, log } = context
  const { items } = await etcd.list(keys.actives(pool, of), context.signal)
  const alive = [...world.agents.entries()].flatMap(({ key }) => keys.parseAgent(key)?.agent ?? [])
  const first = rankOf(`burial ${pool}`, agent, alive) < BURYING_RANKS
  let waits = false
  for (const item of items) {
    const at = keys.parseActive(item.key)
    const active = parseVersioned(activeSchema, item.key, item)
    if (!at || !active.value) continue
    const whole = { ...active, value: active.value }
    try {
      if (at.agent === NOBODY) waits = (await takeOver(context, whole, runs)) || waits
      else if (first || at.agent === agent) await buryIfDead(context, whole, at.agent)
    } catch (error) {
      if (context.signal.aborted) return false
      log.warn({ run: at.runId, error: messageOf(error) }, 'burial.failed')
    }
  }
  return waits
}

async function buryIfDead(context: Context, active: Versioned<Active>, owner: string): Promise<void> {
  const { keys, pool, etcd, clock } = context
  const { session, buryAfter } = active.value
  const registered = context.world.agents.get(keys.agent(pool, owner))?.value.session
  if (registered === session) return
  // The mirror may lag behind: what counts is what etcd says now, compared again in the transaction.
  const now = await etcd.get(keys.agent(pool, owner), context.signal)
  const ownerSeen = now?.create ?? 0
  if (ownerSeen === session) return
  if (buryAfter !== undefined && clock.now() < buryAfter) return
  await conclude(context, active, {
    verdict: { outcome: 'Lost', reason: 'AgentLost', message: `agent ${owner} went away while it ran` },
    burial: { owner, ownerSeen },
  })
}

/** A pending attempt that waits for somebody eligible. Answers whether I am, and it still waits: for a place of its wave. */
async function takeOver(context: Context, active: Versioned<Active>, runs: Runs): Promise<boolean> {
  const { keys, pool, agent, session, launcher, world, cells } = context
  const { kind, namespace, name } = active.value
  const entry = world[kind === 'job' ? 'jobs' : 'runs'].get(keys[kind]({ pool, namespace, name }))
  if (!entry) return false
  const { command } = entry.value
  const mine =
    command.placement.mode === 'All'
      ? active.value.target === agent
      : world.eligible(entry.value, active.value.target)[0] === agent
  if (!mine) return false
  const held = await Promise.all(targetCellsOf(pool, active.value).map(ref => cells.read(keys.cell(ref))))
  // It takes a place of its wave again; one that its job gave up meanwhile it no longer needs.
  const wave = active.value.wave ? await lookAtWave(context, entry, active.value.target) : undefined
  if (wave?.isFull) return true
  const known = held.flatMap(cell => (cell.value ? [{ ...cell, value: cell.value }] : []))
  const adoption = adopt({
    keys,
    pool,
    active,
    cells: known,
    agent,
    session,
    instance: launcher.instance,
    ...(wave ? { wave: { cell: wave.cell, limits: [entry, ...(wave.under ? [wave.under] : [])] } } : {}),
  })
  const answer = await context.batcher.txn(adoption.txn)
  for (const cell of known) cells.forget(cell.key)
  if (!answer.ok) return true
  runs.onOwnActive({
    key: keys.active(pool, agent, adoption.active.run),
    mod: answer.revision,
    value: adoption.active,
  })
  return false
}
