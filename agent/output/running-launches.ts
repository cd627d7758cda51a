import type { Clock } from '../../platform/clock.ts'
import type { Launcher } from '../launcher/launcher.ts'
import type { Launch } from './launch.ts'

/** Running launches that have nothing to send now. Long polls find out when they have more. */
export interface RunningLaunches {
  /** Whether polls of some launches are scheduled. */
  readonly hasScheduled: boolean
  /** Schedules the first poll of a launch that has only just started: most commands end before the launcher would answer a read. */
  schedule(launch: Launch): void
  /** Starts the scheduled polls that are due, of launches that still run. */
  pollDue(): void
  /** Starts a long poll: a read of length 0, which the launcher answers when the launch has written more or has ended. */
  poll(launch: Launch): void
  /** undefined: no launcher is connected. */
  setLauncher(launcher: Launcher | undefined): void
}

const FIRST_POLL_AFTER_MS = 100
const UNREADABLE_RETRY_MS = 5_000
const LONG_POLL_MS = 60_000

/** `onMore`: the launch may have output to send, or no launcher is connected and so it cannot be polled. */
export function createRunningLaunches({
  clock,
  onMore,
}: {
  clock: Clock
  onMore(launch: Launch): void
}): RunningLaunches {
  const polled = new Set<Launch>()
  /** By time. */
  const scheduled: { launch: Launch; at: number }[] = []
  let current: Launcher | undefined

  const schedule = (launch: Launch, inMs: number) => {
    const at = clock.monotonic() + inMs
    const next = scheduled.findIndex(other => other.at > at)
    scheduled.splice(next < 0 ? scheduled.length : next, 0, { launch, at })
  }
  const poll = (launch: Launch) => {
    const launcher = current
    if (!launcher) return onMore(launch)
    if (launch.storedOffset === undefined || polled.has(launch)) return
    polled.add(launch)
    const onAnswer = (then: () => void) => {
      if (launcher !== current) return
      polled.delete(launch)
      if (launch.isRunning) then()
    }
    void launcher.read(launch.id, { offset: launch.storedOffset, length: 0, waitMs: LONG_POLL_MS }).then(
      // The launcher reports the end of a launch by an event too, and that event queues the launch.
      ({ end }) => onAnswer(() => void (end || onMore(launch))),
      // The spool cannot be read. If it still cannot be read when the launch has ended, its output is reported as lost.
      () => onAnswer(() => schedule(launch, UNREADABLE_RETRY_MS)),
    )
  }
  return {
    get hasScheduled() {
      return scheduled.length > 0
    },
    schedule: launch => schedule(launch, FIRST_POLL_AFTER_MS),
    pollDue() {
      const now = clock.monotonic()
      const firstLater = scheduled.findIndex(({ at }) => at > now)
      const due = scheduled.splice(0, firstLater < 0 ? scheduled.length : firstLater)
      for (const { launch } of due) if (launch.isRunning) poll(launch)
    },
    poll,
    setLauncher(launcher) {
      current = launcher
      polled.clear()
    },
  }
}
