import type { Clock } from '../../platform/clock.ts'
import type { Launcher } from '../launcher/launcher.ts'
import type { Launch } from './launch.ts'

/** Launches that run, of which nothing is to be sent now. */
export interface RunningLaunches {
  /** Some have only just started. */
  readonly hasYoung: boolean
  /** It has only just started: most are over before a question about them would be answered. */
  later(launch: Launch): void
  /** Begins to wait for those that are not over by now. */
  grownUp(): void
  /** Until it has more, or has ended. */
  wait(launch: Launch): void
  /** undefined: there is none now. */
  use(launcher: Launcher | undefined): void
}

const YOUNG_MS = 100
const UNREADABLE_MS = 5_000
const WAIT_MS = 60_000

/** `onMore`: there may be something of it, or there is no launcher to wait with. */
export function createRunningLaunches({
  clock,
  onMore,
}: {
  clock: Clock
  onMore(launch: Launch): void
}): RunningLaunches {
  const waiting = new Set<Launch>()
  const young: { launch: Launch; at: number }[] = []
  let current: Launcher | undefined

  const later = (launch: Launch, inMs: number) => {
    const at = clock.monotonic() + inMs
    const behind = young.findIndex(other => other.at > at)
    young.splice(behind < 0 ? young.length : behind, 0, { launch, at })
  }
  const wait = (launch: Launch) => {
    const launcher = current
    if (!launcher) return onMore(launch)
    if (launch.storedOffset === undefined || waiting.has(launch)) return
    waiting.add(launch)
    void launcher.read(launch.id, { offset: launch.storedOffset, length: 0, waitMs: WAIT_MS }).then(
      ({ end }) => {
        if (launcher !== current) return
        waiting.delete(launch)
        // Its end is told by an event, and looked at then.
        if (launch.isRunning && !end) onMore(launch)
      },
      () => {
        if (launcher !== current) return
        waiting.delete(launch)
        // Its spool could not be read: it is asked about again, and when it has ended told as lost.
        if (launch.isRunning) later(launch, UNREADABLE_MS)
      },
    )
  }
  return {
    get hasYoung() {
      return young.length > 0
    },
    later: launch => later(launch, YOUNG_MS),
    grownUp() {
      const now = clock.monotonic()
      const still = young.findIndex(({ at }) => at > now)
      const old = young.splice(0, still < 0 ? young.length : still)
      for (const { launch } of old) if (launch.isRunning) wait(launch)
    },
    wait,
    use(launcher) {
      current = launcher
      waiting.clear()
    },
  }
}
