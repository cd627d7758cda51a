import { expect, test } from 'vitest'
import { Alarms } from './alarms.ts'
import { createFakeClock } from './fake-clock.ts'

test('alarms ring in order, and those of one instant together', async () => {
  const clock = createFakeClock()
  const rung: string[][] = []
  const alarms = new Alarms(clock, { time: 'wall', onDue: keys => void rung.push(keys.sort()) })
  for (const at of [500, 100, 300, 200, 400, 300]) alarms.set(`at${at}-${alarms.size}`, at)
  await clock.goTo(350)
  expect(rung).toEqual([['at100-1'], ['at200-3'], ['at300-2', 'at300-5']])
  alarms.close()
})

test('a moved alarm rings once, at its new time; a cleared alarm never rings', async () => {
  const clock = createFakeClock()
  const rung: string[] = []
  const alarms = new Alarms(clock, { time: 'wall', onDue: keys => void rung.push(...keys) })
  alarms.set('later', 100)
  alarms.set('gone', 100)
  alarms.set('later', 5_000)
  alarms.clear('gone')
  await clock.goTo(4_999)
  expect(rung).toEqual([])
  await clock.goTo(5_000)
  expect(rung).toEqual(['later'])
  alarms.close()
})

test('an earlier alarm rings before a later one that was set first', async () => {
  const clock = createFakeClock()
  const rung: string[] = []
  const alarms = new Alarms(clock, { time: 'wall', onDue: keys => void rung.push(...keys) })
  alarms.set('far', 86_400_000)
  await clock.goTo(10)
  alarms.set('near', 20)
  await clock.goTo(20)
  expect(rung).toEqual(['near'])
  alarms.close()
})

test('moving one alarm over and over does not grow the heap', async () => {
  const clock = createFakeClock()
  const rung: string[] = []
  const alarms = new Alarms(clock, { time: 'wall', onDue: keys => void rung.push(...keys) })
  for (let i = 0; i < 10_000; i++) alarms.set('one', 1_000_000 - i)
  await clock.goTo(1_000_000)
  expect(rung).toEqual(['one'])
  alarms.close()
})
