/** Rings for everybody who waits for the next change of who lives, and says whether somebody died. */
export interface Notifier {
  notify(death: boolean): void
  next(): Promise<boolean>
}

export function createNotifier(): Notifier {
  let bell = Promise.withResolvers<boolean>()
  return {
    notify(death) {
      bell.resolve(death)
      bell = Promise.withResolvers<boolean>()
    },
    next: () => bell.promise,
  }
}
