import { boottimeMs } from '../../platform/boottime.ts'
import type { Clock } from '../../platform/clock.ts'

/** A suspended machine's timers stand still, its boot time does not: so often it is looked. */
const LOOK_EVERY_MS = 250

/**
 * Until when each session's runs may live, on CLOCK_BOOTTIME. Only the session named last may arm; an older one's fence stays
 * as it was, for its runs that are left.
 */
export class Fences {
  readonly #until = new Map<string, number>()
  #current: string | undefined
  #changed = new AbortController()

  set(session: string, until: number) {
    this.#changed.abort()
    this.#current = session
    this.#until.set(session, until)
  }

  isOver(session: string): boolean {
    return (this.#until.get(session) ?? 0) <= boottimeMs()
  }

  /** Why a session may not arm now. */
  refusal(session: string): { reason: string; message: string } | undefined {
    if (session !== this.#current)
      return {
        reason: 'WrongSession',
        message: `the last fence is that of session ${this.#current ?? '(none)'}`,
      }
    if (this.isOver(session)) return { reason: 'Fenced', message: 'the fence of this session has fallen' }
    return undefined
  }

  /** Drops all but the current session's and those in use. */
  keep(sessions: ReadonlySet<string>) {
    for (const session of this.#until.keys())
      if (session !== this.#current && !sessions.has(session)) this.#until.delete(session)
  }

  /** Calls `onOver` with every session whose fence has fallen, as long as it has, until the signal aborts. */
  async watch(clock: Clock, onOver: (session: string) => void, signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      this.#changed = new AbortController()
      const now = boottimeMs()
      let next = LOOK_EVERY_MS
      for (const [session, until] of this.#until) {
        if (until <= now) onOver(session)
        else next = Math.min(next, until - now)
      }
      await clock.sleep(Math.max(next, 5), AbortSignal.any([signal, this.#changed.signal])).catch(() => {})
    }
  }
}
