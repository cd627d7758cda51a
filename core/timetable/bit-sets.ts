/** Sets of small numbers as bit masks. Sixty values need two masks of thirty, because bitwise operators work on 32 bits. */

export interface Sixty {
  readonly low: number
  readonly high: number
}

const HALF = 30

/** The smallest member ≥ `from`. -1: none. `from` may be up to 32. */
export function nextBit(mask: number, from: number): number {
  if (from > 31) return -1
  const rest = (mask >>> from) << from
  return rest === 0 ? -1 : 31 - Math.clz32(rest & -rest)
}

/** The smallest member ≥ `from` of a set of 0–59. -1: none. */
export function nextOfSixty(set: Sixty, from: number): number {
  if (from < HALF) {
    const low = nextBit(set.low, from)
    if (low >= 0) return low
  }
  const high = nextBit(set.high, Math.max(from - HALF, 0))
  return high < 0 ? -1 : high + HALF
}

const SINGLE: readonly Sixty[] = Array.from({ length: 2 * HALF }, (_, value) =>
  value < HALF ? { low: 1 << value, high: 0 } : { low: 0, high: 1 << (value - HALF) },
)

/** Sets of one member are shared, because most lines have two of them. */
export function sixtyOf(values: readonly number[]): Sixty {
  const [first = -1] = values
  const single = values.length === 1 ? SINGLE[first] : undefined
  if (single) return single
  let [low, high] = [0, 0]
  for (const value of values) {
    if (value < HALF) low |= 1 << value
    else high |= 1 << (value - HALF)
  }
  return { low, high }
}

export function maskOf(values: Iterable<number>): number {
  let mask = 0
  for (const value of values) mask |= 1 << value
  return mask
}

/** The number of members. */
export function sizeOf(mask: number): number {
  let v = mask - ((mask >>> 1) & 0x55555555)
  v = (v & 0x33333333) + ((v >>> 2) & 0x33333333)
  return Math.imul((v + (v >>> 4)) & 0x0f0f0f0f, 0x01010101) >>> 24
}

/** The members of `mask` in [from, to). The bounds are 0–30. */
export function within(mask: number, from: number, to: number): number {
  return to <= from ? 0 : mask & ((1 << to) - 1) & ~((1 << from) - 1)
}
