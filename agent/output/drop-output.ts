import { messageOf } from '../../platform/errors.ts'
import type { Log } from '../../platform/log.ts'
import type { Launch } from './launch.ts'
import type { Launches } from './launches.ts'
import type { Loss } from './loss-file.ts'
import type { Losses } from './losses.ts'
import { lossOf } from './next-piece.ts'

/** Drops output that cannot be stored or exceeds the quota. It records the loss first, then lets the spool be deleted. */
export interface OutputDropper {
  /** Never rejects. A launch that cannot be dropped now is tried again when the quota is enforced next. */
  drop(launches: readonly Launch[]): Promise<void>
  /** Drops the oldest output above the quota. */
  enforceQuota(): void
}

export interface OutputDropperOptions {
  launches: Launches
  losses: Losses
  log: Log
  /** Bytes. */
  quota: number
  /** There are losses to report. */
  onDropped(): void
}

export function createOutputDropper(options: OutputDropperOptions): OutputDropper {
  const { launches, losses, log, quota, onDropped } = options
  const dropping = new Set<Launch>()
  const drop = async (dropped: readonly Launch[]) => {
    for (const launch of dropped) dropping.add(launch)
    try {
      await record(losses, dropped, log)
      launches.acknowledge(dropped)
      onDropped()
    } catch (error) {
      // The spool stays. The next launch that ends enforces the quota again.
      log.error({ error: messageOf(error) }, 'output.dropFailed')
    } finally {
      for (const launch of dropped) dropping.delete(launch)
    }
  }
  return {
    drop,
    enforceQuota() {
      const excess = launches.overQuota(quota).filter(launch => !dropping.has(launch))
      if (excess.length > 0) void drop(excess)
    },
  }
}

async function record(losses: Losses, dropped: readonly Launch[], log: Log): Promise<void> {
  const lost = dropped.flatMap(launch => lossOf(launch) ?? [])
  if (lost.length === 0) return
  const recorded = await losses.add(lost)
  log.warn(summaryOf(lost), 'output.lost')
  // Only this log line tells of these: they are never reported to the operator.
  if (recorded < lost.length) log.error(summaryOf(lost.slice(recorded)), 'output.lossNotRecorded')
}

function summaryOf(lost: readonly Loss[]) {
  const bytes = lost.reduce((sum, { total }) => sum + total, 0)
  return { runs: lost.slice(0, 10).map(({ run }) => run), count: lost.length, bytes }
}
