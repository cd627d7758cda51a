import { messageOf } from '../../platform/errors.ts'
import type { LogStore } from '../../store/log/port.ts'
import type { LeaderTask } from '../operator.ts'

/** How long the log store keeps what it has: days after the scheduled time; output as bytes. undefined: for ever, all. */
export interface RetentionOptions {
  days?: number
  outputBytes?: number
}

/** After a start there is other work first. */
const FIRST_MS = 60_000
const EVERY_MS = 600_000
/** Between two parts others write. */
const PAUSE_MS = 100
const DAY_MS = 86_400_000

/** Removes what is past retention, a little at a time, every ten minutes. */
export function retentionTimer(
  store: Pick<LogStore, 'prune'>,
  { days, outputBytes }: RetentionOptions,
): LeaderTask {
  return async ({ clock, log, resources }, signal) => {
    if (days === undefined && outputBytes === undefined) return
    /** What cannot be read, as a newer version wrote it, lives too: its status rests on what is spared. */
    const living = () => new Set([...resources.uids('ShellCronJob'), ...resources.uids('ShellRun')])
    const round = async (): Promise<void> => {
      const uids = living()
      const keep = {
        ...(days === undefined ? {} : { after: clock.now() - days * DAY_MS }),
        ...(outputBytes === undefined ? {} : { outputBytes }),
        isLiving: (uid: string) => uids.has(uid),
      }
      while (await store.prune(keep)) await clock.sleep(PAUSE_MS, signal)
    }
    let pause = FIRST_MS
    while (!signal.aborted) {
      await clock.sleep(pause, signal).catch(() => undefined)
      if (signal.aborted) return
      pause = EVERY_MS
      await round().catch((error: unknown) => {
        if (!signal.aborted) log.warn({ error: messageOf(error) }, 'retention.failed')
      })
    }
  }
}
