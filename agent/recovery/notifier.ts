/** Rings for everybody who waits for the next change of who lives, and says whether somebody died. */
export interface Bell {
  ring(death: boolean): void
  next(): Promise<boolean>
}

export function createBell(): Bell {
  let bell = Promise.withResolvers<boolean>()
  return {
    ring(death) {
      bell.resolve(death)
      bell = Promise.withResolvers<boolean>()
    },
    next: () => bell.promise,
  }
}
