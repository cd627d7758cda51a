import { NOBODY } from '../../core/keys.ts'
import { messageOf } from '../../platform/errors.ts'
import { guards } from '../model-guards.ts'
import type { Runs } from '../runs/supervisor.ts'
import type { Context } from '../session/context.ts'
import { buryDeadAgents } from './bury-dead-agents.ts'
import type { Notifier } from './notifier.ts'
import { settleUnknown } from './take-stock.ts'

/** A pending attempt of mine that finds no place in its wave looks again after this. */
const PLACE_POLL_MS = 2_000

/** Burial at start, at each change of the living, and every TTL; with it what nobody knows of mine. Ends with the session. */
export async function runRecovery(
  context: Context,
  runs: Runs,
  { everyMs, died }: { everyMs: number; died: Notifier },
): Promise<void> {
  const { signal, clock, log } = context
  let seen = false
  let waits = false
  let wholeAt = clock.monotonic()
  while (!signal.aborted) {
    // Before the look: somebody may die during it.
    const death = died.next()
    // While one waits for a place only what waits is looked at more often.
    const isWhole = seen || clock.monotonic() >= wholeAt
    if (isWhole) wholeAt = clock.monotonic() + everyMs
    try {
      if (isWhole) {
        waits = (seen || guards.buriesUnseenDeaths()) && (await buryDeadAgents(context, runs))
        await settleUnknown(context, runs)
      } else waits = await buryDeadAgents(context, runs, NOBODY)
    } catch (error) {
      if (!signal.aborted) log.warn({ error: messageOf(error) }, 'burial.failed')
    }
    const pause: number = waits ? PLACE_POLL_MS : Math.max(0, wholeAt - clock.monotonic())
    const ticking = new AbortController()
    const tick = clock.sleep(pause, AbortSignal.any([ticking.signal, signal])).catch(() => undefined)
    seen = await Promise.race([death, tick.then(() => false)])
    ticking.abort()
  }
}
