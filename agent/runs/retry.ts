import { withdrawnBy } from '../../core/fires/withdrawn.ts'
import { type Entry, jobEntrySchema, runEntrySchema } from '../../core/records/entry.ts'
import type { Active } from '../../core/records/state.ts'
import { backoffMs, retries, type Verdict } from '../../core/runs/outcome.ts'
import { signedText } from '../../platform/signing.ts'
import type { Retry } from '../../store/protocol/end.ts'
import { parseValue } from '../../store/protocol/versioned.ts'
import type { Context } from '../session/context.ts'

/** Whether another attempt follows one that ends, under which entry, and under which agent. */

interface Ended {
  outcome: Verdict['outcome']
  /** The owner of a buried attempt: it gets the next one only if it is this agent. */
  avoid: string | undefined
  /** How often etcd refused the end of the attempt. */
  round: number
}

/** undefined: no attempt follows. */
export async function retryOf(
  context: Context,
  active: Active,
  { outcome, avoid, round }: Ended,
): Promise<Retry | undefined> {
  const { keys, pool, clock, world } = context
  // A run with an order to end is not retried, however it ended.
  if (active.kill || !retries(outcome, active.attempt, Number.MAX_SAFE_INTEGER)) return undefined
  const key = keys[active.kind]({ pool, namespace: active.namespace, name: active.name })
  const known = world[active.kind === 'job' ? 'jobs' : 'runs'].get(key)
  // The watch may be behind an edit: after a refusal the entry is read.
  const entry = round === 0 && known ? known : await readEntry(context, key)
  if (!entry || withdrawnBy(entry.value, active) !== undefined) return undefined
  const backoffLimit = entry.value.command.backoffLimit
  if (!retries(outcome, active.attempt, backoffLimit)) return undefined
  return {
    backoffLimit,
    notBefore: clock.now() + backoffMs(active.attempt),
    entry,
    next: nextOwner(context, active, { entry: entry.value, avoid, round }),
  }
}

function nextOwner(
  context: Context,
  active: Active,
  { entry, avoid, round }: { entry: Entry; avoid: string | undefined; round: number },
): Retry['next'] {
  const { world, keys, pool, agent, session, launcher } = context
  const me = { agent, session, instance: launcher.instance }
  const eligible = world.rankedAgents(entry, active.target)
  if (entry.command.placement.mode === 'All')
    return eligible.includes(active.target) ? ownerNamed(active.target) : undefined
  if (round > 0 && eligible.includes(agent)) return me
  return ownerNamed(eligible.find(name => name !== avoid || name === agent))

  function ownerNamed(name: string | undefined): Retry['next'] {
    if (name === undefined) return undefined
    if (name === agent) return me
    const registration = world.agents.get(keys.agent(pool, name))?.value
    return registration && { agent: name, session: registration.session, instance: registration.instance }
  }
}

async function readEntry(context: Context, key: string) {
  const item = await context.etcd.get(key, context.signal)
  const text = item && signedText(item.value)
  if (!item || text === undefined) return undefined
  const value = parseValue(jobEntrySchema, text) ?? parseValue(runEntrySchema, text)
  return value && { key, mod: item.mod, value }
}
