import type { LogStore, StoredResult } from '../../store/log/port.ts'

/** Outcomes as they are stored, for whoever listens at the moment. */
export interface OutcomeNotifier {
  /** The store, whose every record is told of afterwards. A result that is stored twice is told twice. */
  readonly logStore: LogStore
  /** Returns the way to stop listening. */
  listen(listener: (result: StoredResult) => void): () => void
}

export function createOutcomeNotifier(logStore: LogStore): OutcomeNotifier {
  const listeners = new Set<(result: StoredResult) => void>()
  return {
    logStore: {
      ...logStore,
      async record(results) {
        await logStore.record(results)
        for (const listener of listeners) for (const result of results) listener(result)
      },
    },
    listen(listener) {
      listeners.add(listener)
      return () => void listeners.delete(listener)
    },
  }
}
