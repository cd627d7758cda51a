import { join } from 'node:path'
import type { Clock } from '../../platform/clock.ts'
import { messageOf } from '../../platform/errors.ts'
import type { Log } from '../../platform/log.ts'
import type { Launcher } from '../launcher/launcher.ts'
import type { IngestClient } from './ingest-client.ts'
import type { Launch } from './launch.ts'
import { createLaunches } from './launches.ts'
import type { Loss } from './loss-file.ts'
import { type Losses, openLosses } from './losses.ts'
import { lossOf } from './next-piece.ts'
import { createShipper, type Shipper } from './shipper.ts'

/**
 * The output of what runs here, as long as this agent lives, whatever becomes of its sessions: shipped to the operator, kept within the
 * quota until then.
 */
export interface Output {
  /** The launcher as the rest of the agent uses it: what it forgets is forgotten when its output is stored too. `off`: it went. */
  on(launcher: Launcher): { launcher: Launcher; off(): void }
  /** Whether the result of a launch is recorded, so that only its output is left. */
  isSettled(launch: string): boolean
  /** Resolves when what has ended is stored, or after so long. */
  flush(limitMs: number): Promise<void>
  readonly done: Promise<void>
}

export interface OutputOptions {
  /** undefined: there is no operator to bring it to. */
  client: IngestClient | undefined
  /** Bytes that may wait for it. */
  quota: number
  stateDir: string
  clock: Clock
  log: Log
  random(): number
  longestPauseMs?: number
}

const FILE = 'lost-output.jsonl'
/** What is remembered of output that went takes as much as output that waits, and this however small the quota is. */
const LEAST_LOSS_BYTES = 64 * 1024 * 1024
const LOOK_MS = 50
const WRITE_LATE_EVERY_MS = 5_000

/** Ends with the signal. */
export async function startOutput(options: OutputOptions, signal: AbortSignal): Promise<Output> {
  const { client, clock, log } = options
  const losses = await openLosses({
    path: join(options.stateDir, FILE),
    maxBytes: Math.max(options.quota, LEAST_LOSS_BYTES),
    log,
  })
  let launcher: Launcher | undefined
  let shipper: Shipper | undefined
  const launches = createLaunches({
    forget: ids => launcher?.forget(ids),
    onRunning: (launch, isYoung) => (isYoung ? shipper?.lookLater(launch) : shipper?.look(launch)),
    onEnded: launch => {
      if (losses.has(launch.id)) launches.acknowledge([launch])
      else if (!client && lossOf(launch) === undefined) launches.acknowledge([launch])
      else shipper?.look(launch)
      makeRoom()
    },
  })
  const onUnreadable = (launch: Launch, why: string) => {
    log.error({ run: launch.attempt?.run, why }, 'output.unreadable')
    void drop([launch])
  }
  if (client) shipper = createShipper({ ...options, client, launches, losses, onUnreadable })
  else log.info({ remedy: '--operator', quota: options.quota }, 'output.kept')

  const makeRoom = () => {
    const going = launches.beyond(options.quota).filter(launch => !dropping.has(launch))
    if (going.length > 0) void drop(going)
  }
  const dropping = new Set<Launch>()
  const drop = async (going: readonly Launch[]) => {
    for (const launch of going) dropping.add(launch)
    try {
      await remember(losses, going, log)
      launches.acknowledge(going)
      shipper?.wake()
    } catch (error) {
      // It stays, and is tried again with the next one that ends.
      log.error({ error: messageOf(error) }, 'output.notDropped')
    } finally {
      for (const launch of going) dropping.delete(launch)
    }
  }

  return {
    on(real) {
      launcher = real
      launches.attached()
      const stop = real.onEvent(event => launches.told(event))
      const off = () => {
        stop()
        if (launcher !== real) return
        launcher = undefined
        shipper?.use(undefined)
      }
      real.runs(signal).then(
        runs => {
          if (launcher !== real) return
          launches.listed(runs)
          shipper?.use(real)
        },
        // Its connection ended: there will be another.
        () => undefined,
      )
      const kept: Launcher = {
        ...real,
        arm(runs) {
          launches.armed(runs)
          real.arm(runs)
        },
        forget(ids) {
          launches.settle(ids)
          makeRoom()
        },
      }
      return { launcher: kept, off }
    },
    isSettled: launches.isSettled.bind(launches),
    async flush(limitMs) {
      if (!client) return
      const until = clock.monotonic() + limitMs
      while (launches.unacknowledged > 0 && clock.monotonic() < until) await clock.sleep(LOOK_MS)
    },
    done: Promise.all([shipper?.run(signal), writeLate(losses, options, signal)]).then(() => undefined),
  }
}

/** Until the signal aborts, and then once more. */
async function writeLate(
  losses: Losses,
  { clock, log }: Pick<OutputOptions, 'clock' | 'log'>,
  signal: AbortSignal,
): Promise<void> {
  while (!signal.aborted) {
    await clock.sleep(WRITE_LATE_EVERY_MS, signal).catch(() => undefined)
    await losses
      .writeDeferred()
      .catch(error => log.warn({ error: messageOf(error) }, 'output.lossNotWritten'))
  }
}

async function remember(losses: Losses, going: readonly Launch[], log: Log): Promise<void> {
  const lost = going.flatMap(launch => lossOf(launch) ?? [])
  if (lost.length === 0) return
  const kept = await losses.add(lost)
  log.warn(summaryOf(lost), 'output.lost')
  // Nothing tells the operator of these.
  if (kept < lost.length) log.error(summaryOf(lost.slice(kept)), 'output.lossNotRecorded')
}

function summaryOf(lost: readonly Loss[]) {
  const bytes = lost.reduce((sum, { total }) => sum + total, 0)
  return { runs: lost.slice(0, 10).map(({ run }) => run), count: lost.length, bytes }
}
