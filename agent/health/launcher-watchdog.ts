import type { Clock } from '../../platform/clock.ts'
import type { Log } from '../../platform/log.ts'
import type { Launcher } from '../launcher/launcher.ts'
import type { Runs } from '../runs/supervisor.ts'

/** Longer than a launcher takes to start a burst and to report it. */
const OVERDUE_MS = 30_000
const CHECK_EVERY_MS = 5_000
const ANSWER_WITHIN_MS = 10_000

/**
 * Watches for a launcher that is connected but does not answer, for example because the disk with its journal hangs. An agent that kept
 * claiming would take runs away from agents that can start them.
 *
 * A start that is long overdue is not enough, because a single start can hang (its working directory is on a dead mount) while others
 * start. So the watchdog then asks the launcher, and reports a launcher that does not answer as silent. It reports every few seconds, and
 * false when the signal aborts.
 */
export async function watchLauncher(
  of: {
    runs: Pick<Runs, 'unstarted'>
    launcher: Pick<Launcher, 'read'>
    clock: Clock
    log: Log
  },
  signal: AbortSignal,
  report: (isSilent: boolean) => void,
): Promise<void> {
  const { runs, launcher, clock, log } = of
  let wasSilent = false
  let pending: Promise<void> | undefined
  /** One request at a time, however long it takes: its answer ends the silence. */
  const answers = async () => {
    pending ??= ping(launcher).finally(() => {
      pending = undefined
    })
    const timeout = clock.sleep(ANSWER_WITHIN_MS, signal).catch(() => undefined)
    return Promise.race([pending.then(() => true), timeout.then(() => false)])
  }
  while (!signal.aborted) {
    const unstarted = runs.unstarted(clock.now() - OVERDUE_MS)
    const isSilent = unstarted > 0 && !(await answers())
    if (isSilent && !wasSilent) log.error({ unstarted, overdueMs: OVERDUE_MS }, 'launcher.silent')
    else if (wasSilent && !isSilent) log.info({}, 'launcher.answersAgain')
    report(isSilent)
    wasSilent = isSilent
    await clock.sleep(CHECK_EVERY_MS, signal).catch(() => undefined)
  }
  report(false)
}

/** Reads a run that does not exist. The launcher answers at once, after everything that it was sent before. */
function ping(launcher: Pick<Launcher, 'read'>): Promise<void> {
  return launcher.read('none', { offset: 0, length: 0 }).then(
    () => undefined,
    // The connection has ended. Others handle that.
    () => undefined,
  )
}
