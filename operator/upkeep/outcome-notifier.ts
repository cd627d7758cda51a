import type { LogStore, StoredResult } from '../../store/log/port.ts'

/** Notifies listeners of results when they are stored. */
export interface OutcomeNotifier {
  /** The log store; it notifies after each `record`. A result that is stored twice is reported twice. */
  readonly logStore: LogStore
  /** Returns a function that removes the listener. */
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
