/** What waits for its instant, soonest first, and of the same instant in the order of arrival. */
export class DueQueue<T extends { at: number }> {
  #sorted: { item: T; n: number }[] = []
  #n = 0

  add(items: readonly T[]) {
    for (const item of items) this.#sorted.push({ item, n: this.#n++ })
    this.#sorted.sort((a, b) => b.item.at - a.item.at || b.n - a.n)
  }

  /** The soonest that `isWanted`; drops those before it that are not. It stays in the queue. */
  first(isWanted: (item: T) => boolean): T | undefined {
    for (let last = this.#sorted.at(-1); last; last = this.#sorted.at(-1)) {
      if (isWanted(last.item)) return last.item
      this.#sorted.pop()
    }
    return undefined
  }

  dropFirst() {
    this.#sorted.pop()
  }
}
