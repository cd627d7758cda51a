import type { Clock } from '../../platform/clock.ts'
import type { Log } from '../../platform/log.ts'
import type { Launcher } from '../launcher/launcher.ts'
import type { Runs } from '../runs/supervisor.ts'

/** Longer than a launcher takes to start a crowd, and to tell of it. */
const OVERDUE_MS = 30_000
const LOOK_EVERY_MS = 5_000
const ANSWER_WITHIN_MS = 10_000

/**
 * A launcher that is there and answers nothing, as when the disk with its journal hangs: who claimed on would take run after run away from
 * those that could start them. It is asked when something should have started long ago: one start that hangs, as in a directory that is
 * not there any more, keeps no other from starting. Tells whether it is silent, again and again until the signal aborts, and then that it
 * is not.
 */
export async function watchLauncher(
  of: {
    runs: Pick<Runs, 'unstarted'>
    launcher: Pick<Launcher, 'read'>
    clock: Clock
    log: Log
  },
  signal: AbortSignal,
  tell: (isSilent: boolean) => void,
): Promise<void> {
  const { runs, launcher, clock, log } = of
  let was = false
  let asked: Promise<void> | undefined
  /** One question at a time, however long it takes: its answer is the end of the silence. */
  const answers = async () => {
    asked ??= ask(launcher).finally(() => {
      asked = undefined
    })
    const late = clock.sleep(ANSWER_WITHIN_MS, signal).catch(() => undefined)
    return Promise.race([asked.then(() => true), late.then(() => false)])
  }
  while (!signal.aborted) {
    const unstarted = runs.unstarted(clock.now() - OVERDUE_MS)
    const is = unstarted > 0 && !(await answers())
    if (is && !was) log.error({ unstarted, overdueMs: OVERDUE_MS }, 'launcher.silent')
    else if (was && !is) log.info({}, 'launcher.speaksAgain')
    tell(is)
    was = is
    await clock.sleep(LOOK_EVERY_MS, signal).catch(() => undefined)
  }
  tell(false)
}

/** Of a run that it does not know it says so at once, behind all that it was told before. */
function ask(launcher: Pick<Launcher, 'read'>): Promise<void> {
  return launcher.read('none', { offset: 0, length: 0 }).then(
    () => undefined,
    // Its connection has ended: that is seen elsewhere.
    () => undefined,
  )
}
