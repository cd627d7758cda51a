import { join } from 'node:path'
import type { Clock } from '../../platform/clock.ts'
import { messageOf } from '../../platform/errors.ts'
import type { Log } from '../../platform/log.ts'
import type { Launcher } from '../launcher/launcher.ts'
import { createOutputDropper, type OutputDropper } from './drop-output.ts'
import type { IngestClient } from './ingest-client.ts'
import { createLaunches, type Launches } from './launches.ts'
import { type Losses, openLosses } from './losses.ts'
import { lossOf } from './next-piece.ts'
import { createShipper, type Shipper } from './shipper.ts'

/**
 * Ships the output of this machine's runs to the operator. Until then it keeps the output, within the quota. It lives as long as the
 * agent's process, across sessions and connections to the launcher.
 */
export interface Output {
  /**
   * Takes a new connection to the launcher. Returns the launcher for the rest of the agent to use: its `forget` waits until the output is
   * stored too. Call `off` when the connection has ended.
   */
  attach(launcher: Launcher): { launcher: Launcher; off(): void }
  /** Whether the launch's result is recorded, so that only its output is left. */
  isResultRecorded(launch: string): boolean
  /** Resolves when the output of all ended launches is stored, or after `limitMs`. */
  flush(limitMs: number): Promise<void>
  /** Resolves after the signal has aborted. Rejects only because of a bug. */
  readonly done: Promise<void>
}

export interface OutputOptions {
  /** undefined: the agent has no operator to send output to. */
  client: IngestClient | undefined
  /** Bytes of ended and unstored output. */
  quota: number
  stateDir: string
  clock: Clock
  log: Log
  /** For jitter, from 0 to 1. */
  random(): number
  /** The longest delay between two tries, ms. */
  longestPauseMs?: number
}

const LOSSES_FILE = 'lost-output.jsonl'
/** The losses on disk may take as much as the quota, but at least this, however small the quota is. */
const MIN_LOSS_BYTES = 64 * 1024 * 1024
const FLUSH_POLL_MS = 50
const WRITE_DEFERRED_EVERY_MS = 5_000

/** Ends with the signal. */
export async function startOutput(options: OutputOptions, signal: AbortSignal): Promise<Output> {
  const { client, clock, log, quota } = options
  const path = join(options.stateDir, LOSSES_FILE)
  const losses = await openLosses({ path, maxBytes: Math.max(quota, MIN_LOSS_BYTES), log })
  if (!client) log.info({ remedy: '--operator', quota }, 'output.keptLocally')
  const parts = createParts(options, losses)
  const { launches, shipper } = parts
  return {
    attach: launcher => attach(parts, launcher, signal),
    isResultRecorded: id => launches.isResultRecorded(id),
    async flush(limitMs) {
      if (!client) return
      const until = clock.monotonic() + limitMs
      while (launches.unacknowledged > 0 && clock.monotonic() < until) await clock.sleep(FLUSH_POLL_MS)
    },
    done: Promise.all([shipper?.run(signal), writeDeferred(losses, options, signal)]).then(() => undefined),
  }
}

interface Parts {
  launches: Launches
  dropper: OutputDropper
  shipper: Shipper | undefined
  /** Its launcher is undefined while none is connected. */
  connection: { launcher?: Launcher | undefined }
}

function createParts(options: OutputOptions, losses: Losses): Parts {
  const { client, log, quota } = options
  const connection: Parts['connection'] = {}
  let shipper: Shipper | undefined
  const launches = createLaunches({
    forget: ids => connection.launcher?.forget(ids),
    onRunning: (launch, isNew) => (isNew ? shipper?.enqueueNew(launch) : shipper?.enqueue(launch)),
    onEnded: launch => {
      const isLossRecorded = losses.has(launch.id)
      const hasNothingToKeep = !client && lossOf(launch) === undefined
      if (isLossRecorded || hasNothingToKeep) launches.acknowledge([launch])
      else shipper?.enqueue(launch)
      dropper.enforceQuota()
    },
  })
  const dropper = createOutputDropper({ launches, losses, log, quota, onDropped: () => shipper?.notify() })
  if (client)
    shipper = createShipper({
      ...options,
      client,
      launches,
      losses,
      onUnreadable: (launch, why) => {
        log.error({ run: launch.attempt?.run, why }, 'output.unreadable')
        void dropper.drop([launch])
      },
    })
  return { launches, dropper, shipper, connection }
}

function attach(parts: Parts, launcher: Launcher, signal: AbortSignal): ReturnType<Output['attach']> {
  const { launches, dropper, shipper, connection } = parts
  connection.launcher = launcher
  launches.onConnected()
  const stopListening = launcher.onEvent(event => launches.onEvent(event))
  launcher.runs(signal).then(
    runs => {
      if (connection.launcher !== launcher) return
      launches.reconcile(runs)
      shipper?.setLauncher(launcher)
    },
    // The connection ended. The agent opens another one.
    () => undefined,
  )
  return {
    launcher: {
      ...launcher,
      arm(runs) {
        launches.onArm(runs)
        launcher.arm(runs)
      },
      forget(ids) {
        launches.recordResults(ids)
        dropper.enforceQuota()
      },
    },
    off() {
      stopListening()
      if (connection.launcher !== launcher) return
      connection.launcher = undefined
      shipper?.setLauncher(undefined)
    },
  }
}

/** Repeats until the signal aborts, and then tries once more. */
async function writeDeferred(
  losses: Losses,
  { clock, log }: Pick<OutputOptions, 'clock' | 'log'>,
  signal: AbortSignal,
): Promise<void> {
  while (!signal.aborted) {
    await clock.sleep(WRITE_DEFERRED_EVERY_MS, signal).catch(() => undefined)
    await losses
      .writeDeferred()
      .catch(error => log.warn({ error: messageOf(error) }, 'output.lossNotWritten'))
  }
}
