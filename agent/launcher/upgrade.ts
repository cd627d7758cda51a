import type { Clock } from '../../platform/clock.ts'
import { messageOf } from '../../platform/errors.ts'
import type { Log } from '../../platform/log.ts'
import type { Launcher } from './launcher.ts'

export interface Replacement {
  launcher: Launcher
  /** Which program this agent would start. */
  build: string
  /** Whether anything runs, or is being asked for. */
  isBusy(): boolean
  /** Nothing is claimed from now on, until what it returns is called. */
  hold(): () => void
  clock: Clock
  log: Log
  signal: AbortSignal
}

const LOOK_EVERY_MS = 1_000

/**
 * After an upgrade: a launcher that is another program is ended at a moment when nothing of it runs, and nothing is claimed until it
 * has ended. The next one is started as after any loss of the connection; the session goes on. Never rejects.
 */
export async function upgradeWhenIdle(of: Replacement): Promise<void> {
  const { launcher, build, clock, log, signal } = of
  if (launcher.build === build) return
  log.info({ living: launcher.build, own: build }, 'launcher.outdated')
  while (!signal.aborted) {
    try {
      // From this look to the hold nothing can come in between.
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
