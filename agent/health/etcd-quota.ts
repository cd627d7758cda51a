import type { Clock } from '../../platform/clock.ts'
import { messageOf } from '../../platform/errors.ts'
import type { Log } from '../../platform/log.ts'
import type { Etcd } from '../../store/etcd/client.ts'

/** Part of etcd's quota. The rest is for ends, retries and leases of runs that are in progress. */
const FULL_AT = 0.8
const CHECK_EVERY_MS = 60_000

/**
 * Reports whether etcd is nearly full: now, then every minute, and false when the signal aborts. It counts the bytes in use, because free
 * space within the file is usable. An etcd before 3.6 does not report its quota, so only its alarm counts.
 */
export async function watchEtcdQuota(
  { etcd, clock, log }: { etcd: Pick<Etcd, 'status'>; clock: Clock; log: Log },
  signal: AbortSignal,
  report: (isFull: boolean) => void,
): Promise<void> {
  let wasFull = false
  while (!signal.aborted) {
    try {
      const { alarms, dbSizeInUse, dbSizeQuota } = await etcd.status(signal)
      const isFull =
        alarms.includes('NOSPACE') || (dbSizeQuota !== undefined && dbSizeInUse >= FULL_AT * dbSizeQuota)
      if (isFull && !wasFull) log.error({ dbSizeInUse, dbSizeQuota, alarms }, 'etcd.full')
      else if (wasFull && !isFull) log.info({ dbSizeInUse, dbSizeQuota }, 'etcd.notFull')
      report(isFull)
      wasFull = isFull
    } catch (error) {
      // The session reports an etcd that does not answer.
      log.debug({ error: messageOf(error) }, 'etcd.statusUnknown')
    }
    await clock.sleep(CHECK_EVERY_MS, signal).catch(() => undefined)
  }
  report(false)
}
