import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { claimAfter, claimAgainAfter, endAgainAfter, paceOf, pollAfter } from './wave-timing.ts'

describe('when an agent reads the wave', () => {
  const turns = fc.record({
    agents: fc.integer({ min: 1, max: 2_000 }),
    slots: fc.integer({ min: 1, max: 500 }),
    turn: fc.nat(2_000),
  })
  test('a waiting agent reads every 0.75 to 6.25 s, and about every second if its turn is near', () => {
    fc.assert(
      fc.property(turns, fc.string(), ({ slots, turn }, agent) => {
        const after = pollAfter(turn, slots, { uid: 'u', agent })
        expect(after).toBeGreaterThanOrEqual(750)
        expect(after).toBeLessThanOrEqual(turn <= 2 * slots ? 1_250 : 6_250)
        expect(pollAfter(turn, slots, { uid: 'u', agent })).toBe(after)
      }),
    )
  })
  test('the agents for the free slots claim one after another from the lead on; the others read within two seconds of the instant', () => {
    fc.assert(
      fc.property(turns, ({ agents, slots, turn }) => {
        const at = (pace: number) => claimAfter({ turn, free: slots, agents, lead: 500, pace })
        if (turn < slots && slots <= 400) expect(at(5)).toBe(turn * 5 - 500)
        if (turn >= slots) expect(at(5)).toBeGreaterThanOrEqual(0)
        if (turn < Math.max(slots, agents)) expect(Math.max(at(5), at(60))).toBeLessThanOrEqual(1_500)
        expect(at(5)).toBeGreaterThanOrEqual(-500)
      }),
    )
  })
  test('an agent that lost a collision retries after those before it, at most as many as there are slots', () => {
    const again = (turn: number, free: number) => claimAgainAfter({ turn, free, pace: 10, chance: 0.5 })
    expect([again(0, 4), again(3, 4), again(90, 4)]).toEqual([5, 35, 45])
    const ends = (tries: number) => endAgainAfter({ holders: 8, tries, pace: 10, chance: 0.5 })
    expect([ends(0), ends(2), ends(9)]).toEqual([40, 80, 100])
  })
  test('a slow etcd lengthens the pace, within bounds', () => {
    expect([paceOf(10, 5), paceOf(10, 50), paceOf(5, 0), paceOf(60, 10_000)]).toEqual([10, 37, 5, 60])
  })
})
