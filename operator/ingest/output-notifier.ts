/** Who waits for the output of a run is told when there is more of it. What there is lies in the log store: a ring says only `look`. */
export interface OutputNotifier {
  notify(run: string): void
  /** Returns the way to stop listening. */
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
