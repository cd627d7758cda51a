import { targetCellsOf } from '../../core/fires/attempt-cells.ts'
import { rankOf } from '../../core/fires/placement.ts'
import { NOBODY } from '../../core/keys.ts'
import { type Active, activeSchema } from '../../core/records/state.ts'
import { messageOf } from '../../platform/errors.ts'
import { adopt } from '../../store/protocol/adopt.ts'
import { parseVersioned, type Versioned } from '../../store/protocol/versioned.ts'
import { finishAttempt } from '../runs/finish.ts'
import type { Runs } from '../runs/supervisor.ts'
import { readWave } from '../schedule/wave-slot.ts'
import type { Context } from '../session/context.ts'

/** This many agents, the first in rank, bury. Each agent also buries the attempts of its own older sessions. */
const BURYING_RANKS = 3

/**
 * Lists the attempts in `active/`. Those whose owner's session has no registration end as Lost. Pending attempts without an owner are taken
 * over if this agent is first in rank for them. Level-triggered: it runs at start, at each change of `agents/`, and every TTL
 * (recovery-loop.ts). `of`: only the attempts under that owner. Answers whether a pending attempt of this agent still waits, for a slot of
 * its wave.
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
  // The mirror may be behind. Only a fresh read counts, and the transaction compares it again.
  const now = await etcd.get(keys.agent(pool, owner), context.signal)
  const ownerSeen = now?.create ?? 0
  if (ownerSeen === session) return
  if (buryAfter !== undefined && clock.now() < buryAfter) return
  await finishAttempt(context, active, {
    verdict: {
      outcome: 'Lost',
      reason: 'AgentLost',
      message: `agent ${owner} was lost while the run was in progress`,
    },
    burial: { owner, ownerSeen },
  })
}

/** Takes over a pending attempt without an owner. Answers whether it is this agent's and still waits, for a slot of its wave. */
async function takeOver(context: Context, active: Versioned<Active>, runs: Runs): Promise<boolean> {
  const { keys, pool, agent, session, launcher, world, cells } = context
  const { kind, namespace, name } = active.value
  const entry = world[kind === 'job' ? 'jobs' : 'runs'].get(keys[kind]({ pool, namespace, name }))
  if (!entry) return false
  const { command } = entry.value
  const mine =
    command.placement.mode === 'All'
      ? active.value.target === agent
      : world.rankedAgents(entry.value, active.value.target)[0] === agent
  if (!mine) return false
  const held = await Promise.all(targetCellsOf(pool, active.value).map(ref => cells.read(keys.cell(ref))))
  // It needs a slot of its wave again, unless its job has lost its maxParallel meanwhile.
  const wave = active.value.wave ? await readWave(context, entry, active.value.target) : undefined
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
