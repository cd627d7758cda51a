import { NOBODY } from '../../core/keys.ts'
import { messageOf } from '../../platform/errors.ts'
import { guards } from '../model-guards.ts'
import type { Runs } from '../runs/supervisor.ts'
import type { Context } from '../session/context.ts'
import { buryDeadAgents } from './bury-dead-agents.ts'
import type { Notifier } from './notifier.ts'
import { settleUnknown } from './take-stock.ts'

/** How often a pending attempt of this agent looks for a slot of its wave, ms. */
const SLOT_POLL_MS = 2_000

/**
 * Burial at start, at each change of the living agents, and every TTL, and with it the settling of claims whose answers were lost. Ends
 * with the session.
 */
export async function runRecovery(
  context: Context,
  runs: Runs,
  { everyMs, died }: { everyMs(): number; died: Notifier },
): Promise<void> {
  const { signal, clock, log } = context
  let someoneDied = false
  let isWaiting = false
  let fullAt = clock.monotonic()
  while (!signal.aborted) {
    // Taken before the look, because an agent may die during it.
    const death = died.next()
    // While a pending attempt waits for a slot, only pending attempts are looked at more often.
    const isFull = someoneDied || clock.monotonic() >= fullAt
    if (isFull) fullAt = clock.monotonic() + everyMs()
    try {
      if (isFull) {
        isWaiting = (someoneDied || guards.buriesUnseenDeaths()) && (await buryDeadAgents(context, runs))
        await settleUnknown(context, runs)
      } else isWaiting = await buryDeadAgents(context, runs, NOBODY)
    } catch (error) {
      if (!signal.aborted) log.warn({ error: messageOf(error) }, 'burial.failed')
    }
    const pause: number = isWaiting ? SLOT_POLL_MS : Math.max(0, fullAt - clock.monotonic())
    const ticking = new AbortController()
    const tick = clock.sleep(pause, AbortSignal.any([ticking.signal, signal])).catch(() => undefined)
    someoneDied = await Promise.race([death, tick.then(() => false)])
    ticking.abort()
  }
}
