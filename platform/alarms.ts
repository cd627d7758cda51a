import type { Clock } from './clock.ts'

/** The longest sleep until an instant of the wall clock, ms, because that clock can be stepped during the sleep. */
const LONGEST_SLEEP = 1_000

interface Alarm {
  at: number
  key: string
}

export interface AlarmsOptions {
  /** The clock of the alarms' times, ms: `wall` for instants of the calendar, `monotonic` for delays. */
  time: 'wall' | 'monotonic'
  /** Called with all keys that are due. */
  onDue(keys: string[]): void
}

/** Many alarms on one timer: a heap by time, O(log n) for each alarm. A key has at most one alarm; to set it again moves it. */
export class Alarms {
  readonly #heap: Alarm[] = []
  readonly #at = new Map<string, number>()
  readonly #clock: Clock
  readonly #options: AlarmsOptions
  #sleeping: { until: number; stop: AbortController } | undefined
  #closed = false

  constructor(clock: Clock, options: AlarmsOptions) {
    this.#clock = clock
    this.#options = options
  }

  /** The current time of the alarms' clock, ms. */
  now(): number {
    return this.#options.time === 'wall' ? this.#clock.now() : this.#clock.monotonic()
  }

  set(key: string, at: number): void {
    if (this.#closed || this.#at.get(key) === at) return
    this.#at.set(key, at)
    push(this.#heap, { at, key })
    // A moved alarm leaves its old item in the heap. The heap is rebuilt before such items outnumber the others.
    if (this.#heap.length > 64 && this.#heap.length > 2 * this.#at.size) this.#rebuild()
    this.#arrange()
  }

  clear(key: string): void {
    this.#at.delete(key)
  }

  /** When the key's alarm is due; undefined: it has none. */
  at(key: string): number | undefined {
    return this.#at.get(key)
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
    const now = this.now()
    const longest = this.#options.time === 'wall' ? LONGEST_SLEEP : Infinity
    const ms = Math.min(Math.max(first.at - now, 0), longest)
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
    const now = this.now()
    const due: string[] = []
    for (let first = this.#heap[0]; first && first.at <= now; first = this.#heap[0]) {
      pop(this.#heap)
      if (this.#at.get(first.key) !== first.at) continue
      this.#at.delete(first.key)
      due.push(first.key)
    }
    if (due.length > 0) this.#options.onDue(due)
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
