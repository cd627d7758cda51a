import { expect, test } from 'vitest'
import { Alarms } from './alarms.ts'
import type { Clock } from './clock.ts'

/** Time that moves only when a test says so. */
function handClock() {
  let now = 0
  const sleepers = new Set<{ at: number; wake: () => void }>()
  const clock: Clock = {
    now: () => now,
    monotonic: () => now,
    sleep: (ms, signal) =>
      new Promise((resolve, reject) => {
        const sleeper = { at: now + ms, wake: () => resolve() }
        sleepers.add(sleeper)
        signal?.addEventListener('abort', () => {
          sleepers.delete(sleeper)
          reject(signal.reason)
        })
      }),
  }
  const settle = async () => {
    for (let i = 0; i < 20; i++) await Promise.resolve()
  }
  return {
    clock,
    async goTo(time: number) {
      await settle()
      for (;;) {
        const next = [...sleepers].sort((a, b) => a.at - b.at)[0]
        if (!next || next.at > time) break
        now = Math.max(now, next.at)
        sleepers.delete(next)
        next.wake()
        await settle()
      }
      now = time
    },
  }
}

test('alarms ring in order, those of one moment together', async () => {
  const hand = handClock()
  const rung: string[][] = []
  const alarms = new Alarms(hand.clock, { time: 'wall', onDue: keys => void rung.push(keys.sort()) })
  for (const at of [500, 100, 300, 200, 400, 300]) alarms.set(`at${at}-${alarms.size}`, at)
  await hand.goTo(350)
  expect(rung).toEqual([['at100-1'], ['at200-3'], ['at300-2', 'at300-5']])
  alarms.close()
})

test('an alarm that is moved rings once, at its new time; one that is cleared never', async () => {
  const hand = handClock()
  const rung: string[] = []
  const alarms = new Alarms(hand.clock, { time: 'wall', onDue: keys => void rung.push(...keys) })
  alarms.set('later', 100)
  alarms.set('gone', 100)
  alarms.set('later', 5_000)
  alarms.clear('gone')
  await hand.goTo(4_999)
  expect(rung).toEqual([])
  await hand.goTo(5_000)
  expect(rung).toEqual(['later'])
  alarms.close()
})

test('an earlier alarm overtakes a sleeping one', async () => {
  const hand = handClock()
  const rung: string[] = []
  const alarms = new Alarms(hand.clock, { time: 'wall', onDue: keys => void rung.push(...keys) })
  alarms.set('far', 86_400_000)
  await hand.goTo(10)
  alarms.set('near', 20)
  await hand.goTo(20)
  expect(rung).toEqual(['near'])
  alarms.close()
})

test('moving one alarm over and over does not grow the heap', async () => {
  const hand = handClock()
  const rung: string[] = []
  const alarms = new Alarms(hand.clock, { time: 'wall', onDue: keys => void rung.push(...keys) })
  for (let i = 0; i < 10_000; i++) alarms.set('one', 1_000_000 - i)
  await hand.goTo(1_000_000)
  expect(rung).toEqual(['one'])
  alarms.close()
})
