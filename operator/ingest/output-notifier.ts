/** Notifies listeners when more output of a run is stored. They read it from the log store. */
export interface OutputNotifier {
  notify(run: string): void
  /** Returns a function that removes the listener. */
  listen(run: string, onMore: () => void): () => void
}

export function createOutputNotifier(): OutputNotifier {
  const listeners = new Map<string, Set<() => void>>()
  return {
    notify(run) {
      for (const onMore of listeners.get(run) ?? []) onMore()
    },
    listen(run, onMore) {
      const own = () => onMore()
      const all = listeners.get(run) ?? new Set()
      listeners.set(run, all.add(own))
      return () => {
        all.delete(own)
        if (all.size === 0 && listeners.get(run) === all) listeners.delete(run)
      }
    },
  }
}
