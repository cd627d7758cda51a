import type { Log } from '../../runtime/log.ts'

/** Who wants to be told. A listener's bug neither stops the teller nor keeps the news from the others. */
export function createListeners<T>(log: Log) {
  const listeners = new Set<(news: T) => void>()
  return {
    tell(news: T): void {
      for (const listener of listeners) {
        try {
          listener(news)
        } catch (error) {
          log.error({ error, news }, 'listener.failed')
        }
      }
    },
    /** The returned function ends it. */
    add(listener: (news: T) => void): () => void {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
  }
}
