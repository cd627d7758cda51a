import type { Clock } from '../../platform/clock.ts'
import { messageOf } from '../../platform/errors.ts'
import type { Log } from '../../platform/log.ts'
import type { Etcd } from '../../store/etcd/client.ts'

/** Of etcd's quota. What is in flight needs the rest: ends, retries, leases. */
const FULL_AT = 0.8
const LOOK_EVERY_MS = 60_000

/**
 * Tells whether etcd is nearly full, now and every minute until the signal aborts, and then that it is not. What counts is what is in use:
 * a file that was larger once has room in it. An etcd before 3.6 does not tell its quota: of that one only the alarm is known.
 */
export async function watchEtcdQuota(
  { etcd, clock, log }: { etcd: Pick<Etcd, 'status'>; clock: Clock; log: Log },
  signal: AbortSignal,
  tell: (isFull: boolean) => void,
): Promise<void> {
  let was = false
  while (!signal.aborted) {
    try {
      const { alarms, dbSizeInUse, dbSizeQuota } = await etcd.status(signal)
      const is =
        alarms.includes('NOSPACE') || (dbSizeQuota !== undefined && dbSizeInUse >= FULL_AT * dbSizeQuota)
      if (is && !was) log.error({ dbSizeInUse, dbSizeQuota, alarms }, 'etcd.full')
      else if (was && !is) log.info({ dbSizeInUse, dbSizeQuota }, 'etcd.hasRoom')
      tell(is)
      was = is
    } catch (error) {
      // Whether it is there at all is told by the session.
      log.debug({ error: messageOf(error) }, 'etcd.statusUnknown')
    }
    await clock.sleep(LOOK_EVERY_MS, signal).catch(() => undefined)
  }
  tell(false)
}
