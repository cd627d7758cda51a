import type { Slot } from './timetables.ts'

/**
 * How much earlier than usual a time is claimed because many times are due in the same second: a claim costs about half a millisecond,
 * and a time that is claimed late starts late (docs/adr/0010-claim-bursts-early.md).
 */
export interface Bursts {
  /** A slot will be claimed at `at`, Unix ms. Answers how much earlier than that it should be claimed, ms. */
  join(slot: Slot, at: number, now: number): number
  /** Answers what `join` answered for this slot; 0 if it has not joined. */
  leave(slot: Slot): number
}

/** The n-th time of a second is claimed n times this earlier, ms: twice what a claim takes. */
const EACH_MS = 0.6
/** This many claims of one second fit into the usual lead. */
const FEW = 300
const MOST_MS = 5_000
/** A time nearer than this cannot be moved: its slot is visited again before it is due, or is due every few seconds. In ms. */
const NEAR_MS = 2 * MOST_MS

export function createBursts(): Bursts {
  const members = new Map<Slot, { second: number; by: number }>()
  const sizes = new Map<number, number>()

  function leave(slot: Slot): number {
    const member = members.get(slot)
    if (!member) return 0
    members.delete(slot)
    const size = (sizes.get(member.second) ?? 1) - 1
    if (size > 0) sizes.set(member.second, size)
    else sizes.delete(member.second)
    return member.by
  }

  return {
    join(slot, at, now) {
      leave(slot)
      if (at - now < NEAR_MS) return 0
      const second = Math.floor(at / 1_000)
      const before = sizes.get(second) ?? 0
      const by = before < FEW ? 0 : Math.min(Math.round(before * EACH_MS), MOST_MS)
      sizes.set(second, before + 1)
      members.set(slot, { second, by })
      return by
    },
    leave,
  }
}
