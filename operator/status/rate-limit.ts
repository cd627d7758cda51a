const SECOND_MS = 1_000

/** A limit on how many things begin within any second. Times are monotonic ms. */
export class RateLimit {
  readonly #perSecond: number
  /** When the things of the last second began, oldest first. */
  readonly #began: number[] = []

  constructor(perSecond: number) {
    this.#perSecond = perSecond
  }

  /** From when the next thing may begin. */
  freeAt(): number {
    const [oldest] = this.#began
    return this.#began.length < this.#perSecond || oldest === undefined ? -Infinity : oldest + SECOND_MS
  }

  take(now: number): void {
    if (this.#began.length >= this.#perSecond) this.#began.shift()
    this.#began.push(now)
  }

  /** What was taken at this time did not happen. */
  giveBack(at: number): void {
    const index = this.#began.lastIndexOf(at)
    if (index >= 0) this.#began.splice(index, 1)
  }
}
