import type { Clock } from '../../platform/clock.ts'
import { messageOf } from '../../platform/errors.ts'
import type { Log } from '../../platform/log.ts'
import type { Launcher } from './launcher.ts'

export interface Replacement {
  launcher: Launcher
  /** The build of the launcher that this agent would start. */
  build: string
  /** Whether anything is running or being claimed. */
  isBusy(): boolean
  /** Pauses claiming. Returns the function that resumes it. */
  hold(): () => void
  clock: Clock
  log: Log
  signal: AbortSignal
}

const LOOK_EVERY_MS = 1_000

/**
 * Replaces a launcher of another build after an upgrade. It stops the launcher when nothing is running, and pauses claiming until the
 * launcher has ended. The agent then starts the new one, as after any lost connection. The session goes on. Never rejects.
 */
export async function upgradeWhenIdle(of: Replacement): Promise<void> {
  const { launcher, build, clock, log, signal } = of
  if (launcher.build === build) return
  log.info({ living: launcher.build, own: build }, 'launcher.outdated')
  while (!signal.aborted) {
    try {
      // Nothing can be claimed between this check and the hold: both are in one turn of the event loop.
      if (!of.isBusy()) await endIdle(of)
    } catch (error) {
      if (!signal.aborted) log.warn({ error: messageOf(error) }, 'launcher.notReplaced')
    }
    await clock.sleep(LOOK_EVERY_MS, signal).catch(() => undefined)
  }
}

async function endIdle({ launcher, hold, signal }: Replacement): Promise<void> {
  const release = hold()
  try {
    const runs = await launcher.runs(signal)
    if (runs.every(({ state }) => state === 'ended')) await launcher.stop(true)
  } finally {
    release()
  }
}
