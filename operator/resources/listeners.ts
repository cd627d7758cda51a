import type { Log } from '../../platform/log.ts'

/** A set of listeners. One that throws is logged; it stops neither the notifier nor the other listeners. */
export interface Listeners<T> {
  notify: (news: T) => void
  /** Returns a function that removes the listener. */
  add: (listener: (news: T) => void) => () => void
}

export function createListeners<T>(log: Log): Listeners<T> {
  const listeners = new Set<(news: T) => void>()
  return {
    notify: news => {
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
