import { messageOf } from '../../platform/errors.ts'
import type { LogStore } from '../../store/log/port.ts'
import type { LeaderTask } from '../operator.ts'

/** How many days after its scheduled time a result is kept, and how much output in bytes. undefined: no limit. */
export interface RetentionOptions {
  days?: number
  outputBytes?: number
}

/** After a start, other work comes first. */
const FIRST_MS = 60_000
const EVERY_MS = 600_000
/** Between two batches other writers get their turn. */
const PAUSE_MS = 100
const DAY_MS = 86_400_000

/** Deletes results and output past retention, in small batches, every ten minutes. */
export function retentionTimer(
  store: Pick<LogStore, 'prune'>,
  { days, outputBytes }: RetentionOptions,
): LeaderTask {
  return async ({ clock, log, resources }, signal) => {
    if (days === undefined && outputBytes === undefined) return
    // Unreadable objects count as living too: their statuses need their newest results.
    const living = () => new Set([...resources.uids('ShellCronJob'), ...resources.uids('ShellRun')])
    const pruneAll = async (): Promise<void> => {
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
      await pruneAll().catch((error: unknown) => {
        if (!signal.aborted) log.warn({ error: messageOf(error) }, 'retention.failed')
      })
    }
  }
}
