import type { Clock } from './clock.ts'

/** A timer may sleep no longer than this, ms: the wall clock can be stepped while it sleeps. */
const LONGEST_SLEEP = 1_000

interface Alarm {
  at: number
  key: string
}

/**
 * Many alarms, one timer: a heap by time, O(log n) for each set and each ring. A key has at most one alarm; setting it again moves it.
 * Those due at one moment ring together. Times are wall-clock ms.
 */
export class Alarms {
  readonly #heap: Alarm[] = []
  readonly #at = new Map<string, number>()
  readonly #clock: Clock
  readonly #ring: (keys: string[]) => void
  #sleeping: { until: number; stop: AbortController } | undefined
  #closed = false

  constructor(clock: Clock, ring: (keys: string[]) => void) {
    this.#clock = clock
    this.#ring = ring
  }

  set(key: string, at: number): void {
    if (this.#closed || this.#at.get(key) === at) return
    this.#at.set(key, at)
    push(this.#heap, { at, key })
    // Moved alarms leave their old place in the heap behind: swept away before they outnumber the living.
    if (this.#heap.length > 64 && this.#heap.length > 2 * this.#at.size) this.#rebuild()
    this.#arrange()
  }

  clear(key: string): void {
    this.#at.delete(key)
  }

  has(key: string): boolean {
    return this.#at.has(key)
  }

  get size(): number {
    return this.#at.size
  }

  close(): void {
    this.#closed = true
    this.#heap.length = 0
    this.#at.clear()
    this.#sleeping?.stop.abort()
  }

  #rebuild(): void {
    this.#heap.length = 0
    for (const [key, at] of this.#at) push(this.#heap, { at, key })
  }

  #arrange(): void {
    const first = this.#heap[0]
    if (!first || this.#closed) return
    if (this.#sleeping && this.#sleeping.until <= first.at) return
    this.#sleeping?.stop.abort()
    const stop = new AbortController()
    const now = this.#clock.now()
    const ms = Math.min(Math.max(first.at - now, 0), LONGEST_SLEEP)
    const mine = { until: now + ms, stop }
    this.#sleeping = mine
    void this.#clock.sleep(ms, stop.signal).then(
      () => {
        if (this.#sleeping === mine) this.#sleeping = undefined
        this.#fire()
        this.#arrange()
      },
      () => undefined,
    )
  }

  #fire(): void {
    const now = this.#clock.now()
    const due: string[] = []
    for (let first = this.#heap[0]; first && first.at <= now; first = this.#heap[0]) {
      pop(this.#heap)
      if (this.#at.get(first.key) !== first.at) continue
      this.#at.delete(first.key)
      due.push(first.key)
    }
    if (due.length > 0) this.#ring(due)
  }
}

function push(heap: Alarm[], alarm: Alarm): void {
  let i = heap.length
  heap.push(alarm)
  while (i > 0) {
    const up = (i - 1) >> 1
    const parent = heap[up]
    if (!parent || parent.at <= alarm.at) break
    heap[i] = parent
    i = up
  }
  heap[i] = alarm
}

function pop(heap: Alarm[]): void {
  const last = heap.pop()
  if (!last || heap.length === 0) return
  let i = 0
  for (;;) {
    const left = 2 * i + 1
    const l = heap[left]
    const r = heap[left + 1]
    const [child, at] = r && l && r.at < l.at ? [r, left + 1] : [l, left]
    if (!child || child.at >= last.at) break
    heap[i] = child
    i = at
  }
  heap[i] = last
}
