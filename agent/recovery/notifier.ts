/** Wakes whoever waits for the next change of the living agents, and says whether one of them died. */
export interface Notifier {
  notify(death: boolean): void
  next(): Promise<boolean>
}

export function createNotifier(): Notifier {
  let next = Promise.withResolvers<boolean>()
  return {
    notify(death) {
      next.resolve(death)
      next = Promise.withResolvers<boolean>()
    },
    next: () => next.promise,
  }
}
