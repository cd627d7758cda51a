import { describe, expect, test } from 'vitest'
import type { Cell } from '../records/state.ts'
import { holding, isFull, slotsOf } from './wave.ts'
import { queuePosition } from './wave-timing.ts'

const all = (maxParallel: number | string) => ({ mode: 'All' as const, maxParallel })

describe('the number of slots', () => {
  test.each([
    [1, 5, 1],
    [3, 2, 3],
    ['25%', 12, 3],
    ['25%', 11, 2],
    ['25%', 3, 1],
    ['1%', 0, 1],
    ['100%', 7, 7],
  ])('maxParallel %s of %i members is %i', (maxParallel, matched, slots) => {
    expect(slotsOf(all(maxParallel), matched)).toBe(slots)
  })
  test('without maxParallel, and in other modes, there is no limit', () => {
    expect(slotsOf({ mode: 'All' }, 5)).toBeUndefined()
    expect(slotsOf({ mode: 'One', maxParallel: 1 }, 5)).toBeUndefined()
  })
})

describe('a slot', () => {
  const by = (agent: string) => ({ uid: 'u', agent, run: `r.${agent}`, attempt: 1 })
  test('is held once, however often it is taken', () => {
    const wave = holding(holding(undefined, by('a')), by('a'))
    expect(wave.active).toEqual([{ run: 'r.a', agent: 'a', attempt: 1 }])
    expect([isFull(wave, 1), isFull(wave, 2), isFull(undefined, 1)]).toEqual([true, false, false])
  })
  test('makes the next agent in order first in the queue', () => {
    const wave: Cell = holding(undefined, by('b'))
    expect(['a', 'b', 'c'].map(agent => queuePosition(['a', 'b', 'c'], agent, wave.turn))).toEqual([1, 2, 0])
  })
  test('of an agent that is gone is ignored: the first agent in order is first in the queue', () => {
    expect(['a', 'b'].map(agent => queuePosition(['a', 'b'], agent, 'x'))).toEqual([0, 1])
  })
})
