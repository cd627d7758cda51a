import type { Clock } from '../runtime/clock.ts'
import type { Log } from '../runtime/log.ts'
import type { Runs } from './live.ts'

/** Longer than a launcher takes to start a crowd, and to tell of it. */
const SILENT_AFTER_MS = 30_000
const LOOK_EVERY_MS = 5_000

/**
 * A launcher that is there and starts nothing, as when the disk with its journal hangs: who claimed on would take run after run away from
 * those that could start them. Tells whether it is silent, again and again until the signal aborts, and then that it is not.
 */
export async function watchSilence(
  { runs, clock, log }: { runs: Pick<Runs, 'unstarted'>; clock: Clock; log: Log },
  signal: AbortSignal,
  tell: (isSilent: boolean) => void,
): Promise<void> {
  let was = false
  while (!signal.aborted) {
    const unstarted = runs.unstarted(clock.now() - SILENT_AFTER_MS)
    const is = unstarted > 0
    if (is && !was) log.error({ unstarted, afterMs: SILENT_AFTER_MS }, 'launcher.silent')
    else if (was && !is) log.info({}, 'launcher.speaksAgain')
    tell(is)
    was = is
    await clock.sleep(LOOK_EVERY_MS, signal).catch(() => undefined)
  }
  tell(false)
}
