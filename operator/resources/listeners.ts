import type { Log } from '../../platform/log.ts'

/** Who wants to be told. A listener's bug neither stops the teller nor keeps the news from the others. */
export interface Listeners<T> {
  tell: (news: T) => void
  /** The returned function ends it. */
  add: (listener: (news: T) => void) => () => void
}

export function createListeners<T>(log: Log): Listeners<T> {
  const listeners = new Set<(news: T) => void>()
  return {
    tell: news => {
      for (const listener of listeners) {
        try {
          listener(news)
        } catch (error) {
          log.error({ error, news }, 'listener.failed')
        }
      }
    },
    add: listener => {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
  }
}
