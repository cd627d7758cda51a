import { afterEach, expect, test } from 'vitest'
import { Unavailable } from '../../platform/errors.ts'
import { createFakeClock, type FakeClock } from '../../platform/fake-clock.ts'
import { silentLog } from '../../platform/log.ts'
import type { ObjectRef } from '../resources/port.ts'
import { createStatusWriter, type StatusWriterOptions } from './write-budget.ts'

const ref = (name: string, kind: ObjectRef['kind'] = 'ShellCronJob'): ObjectRef => ({
  kind,
  namespace: 'ops',
  name,
})

let stop: (() => Promise<void>) | undefined
afterEach(async () => {
  await stop?.()
  stop = undefined
})

/** A writer on a fake clock, for objects whose status is a number. It records every write with its time. */
function setup(over: Partial<StatusWriterOptions> = {}) {
  const clock: FakeClock = createFakeClock()
  const state = new Map<string, Record<string, unknown>>()
  const writes: { at: number; name: string; status: Record<string, unknown> }[] = []
  const writer = createStatusWriter({
    clock,
    log: silentLog,
    random: () => 1,
    statusOf: ({ name }) => {
      const status = state.get(name)
      return status && { uid: `uid-${name}`, status }
    },
    apply: async ({ name }, _, status) => {
      writes.push({ at: clock.monotonic(), name, status })
      return 'applied'
    },
    ...over,
  })
  const aborter = new AbortController()
  const done = writer.run(aborter.signal)
  stop = async () => {
    aborter.abort()
    await done
  }
  let n = 0
  return {
    clock,
    state,
    writes,
    writer,
    /** A new state of an object. */
    change: (name: string, { urgent = false, status = {} as Record<string, unknown> } = {}) => {
      state.set(name, { n: ++n, ...status })
      writer.touch(ref(name), urgent)
    },
    names: () => writes.map(({ name }) => name),
  }
}

const ready = (succeeded: boolean) => ({
  conditions: [
    { type: 'Ready', status: 'True' },
    { type: 'LastRunSucceeded', status: succeeded ? 'True' : 'False' },
  ],
})

test('no second has more writes than the budget, and every object is written', async () => {
  const { clock, change, writes, names } = setup()
  for (let i = 0; i < 100; i++) change(`job-${i}`)
  await clock.goTo(4_999)
  expect(new Set(names()).size).toBe(100)
  for (const { at } of writes)
    expect(writes.filter(write => write.at >= at && write.at < at + 1_000).length).toBeLessThanOrEqual(20)
})

test('the newest status is written, and intermediate ones are not', async () => {
  const { clock, change, writes, state } = setup({ writesPerSecond: 1 })
  change('first')
  for (let i = 0; i < 10; i++) change('job')
  await clock.goTo(500)
  for (let i = 0; i < 10; i++) change('job')
  await clock.goTo(10_000)
  expect(writes.filter(({ name }) => name === 'job')).toEqual([
    { at: 1_000, name: 'job', status: state.get('job') },
  ])
})

test('an urgent change overtakes a backlog', async () => {
  const { clock, change, writes } = setup()
  for (let i = 0; i < 1_000; i++) change(`job-${i}`)
  await clock.goTo(1_500)
  change('failed', { urgent: true })
  await clock.goTo(60_000)
  expect(writes.find(({ name }) => name === 'failed')?.at).toBe(2_000)
})

test('verdicts have a budget of their own: they neither wait behind outcomes nor delay them', async () => {
  const { clock, change, writes } = setup({ awaitsVerdict: ({ name }) => name.startsWith('new') })
  for (let i = 0; i < 1_000; i++) change(`outcome-${i}`, { urgent: i % 2 === 0 })
  await clock.goTo(500)
  for (let i = 0; i < 1_000; i++) change(`new-${i}`)
  await clock.goTo(10_000)
  const verdicts = writes.filter(({ name }) => name.startsWith('new'))
  expect(verdicts).toHaveLength(1_000)
  for (const { at } of verdicts)
    expect(verdicts.filter(write => write.at >= at && write.at < at + 1_000).length).toBeLessThanOrEqual(100)
  await clock.goTo(10_999)
  expect(writes.filter(({ name, at }) => name.startsWith('outcome') && at < 10_000)).toHaveLength(200)
})

test('an outcome that waits becomes a verdict when its object is edited, and is written once', async () => {
  let edited = ''
  const { clock, change, names } = setup({ writesPerSecond: 1, awaitsVerdict: ({ name }) => name === edited })
  for (const name of ['a', 'b', 'c']) change(name)
  await clock.goTo(100)
  edited = 'c'
  change('c')
  edited = ''
  change('c')
  await clock.goTo(60_000)
  expect(names()).toEqual(['a', 'c', 'b'])
})

test('an object that waits moves up when it becomes urgent', async () => {
  const { clock, change, names, writer } = setup({ writesPerSecond: 1 })
  for (const name of ['a', 'b', 'c', 'd']) change(name)
  await clock.goTo(100)
  writer.touch(ref('d'), true)
  await clock.goTo(60_000)
  expect(names()).toEqual(['a', 'd', 'b', 'c'])
})

test('ordinary objects get every fourth turn, however many are urgent', async () => {
  const { clock, change, writes } = setup({ writesPerSecond: 4 })
  for (let i = 0; i < 100; i++) change(`urgent-${i}`, { urgent: true })
  for (let i = 0; i < 10; i++) change(`job-${i}`)
  await clock.goTo(9_999)
  const ordinary = writes.filter(({ name }) => name.startsWith('job'))
  expect(ordinary.map(({ at }) => at)).toEqual(Array.from({ length: 10 }, (_, n) => n * 1_000))
})

test('within the budget, a job that runs every second is never more than two seconds behind', async () => {
  const { clock, change, writes, state } = setup()
  const jobs = Array.from({ length: 15 }, (_, i) => `job-${i}`)
  const states: Map<string, unknown>[] = []
  for (let second = 1; second <= 60; second++) {
    await clock.goTo(second * 1_000)
    for (const job of jobs) change(job)
    await clock.goTo(second * 1_000 + 300)
    for (const job of jobs) change(job)
    states.push(new Map(jobs.map(job => [job, state.get(job)?.n])))
    const before = states.at(-3)
    for (const job of before ? jobs : []) {
      const shown = writes.findLast(({ name }) => name === job)
      expect(Number(shown?.status.n)).toBeGreaterThanOrEqual(Number(before?.get(job)))
    }
  }
  await clock.goTo(62_300)
  for (const job of jobs) expect(writes.findLast(({ name }) => name === job)?.status).toEqual(state.get(job))
})

test('with more changes than the budget allows, the intervals of all objects grow evenly', async () => {
  const { clock, change, writes } = setup()
  for (let second = 0; second < 100; second++) {
    for (let i = 0; i < 100; i++) change(`job-${i}`)
    await clock.goTo((second + 1) * 1_000)
  }
  for (let i = 0; i < 100; i++) {
    const at = writes.filter(({ name }) => name === `job-${i}`).map(write => write.at)
    expect(at.length).toBeGreaterThanOrEqual(19)
    expect(Math.max(...at.slice(1).map((one, n) => one - (at[n] ?? 0)))).toBeLessThanOrEqual(5_000)
  }
})

test('an unchanged status is not written, and uses no budget', async () => {
  const { clock, change, writes, writer } = setup({ writesPerSecond: 2 })
  change('a')
  await clock.goTo(5_000)
  for (let i = 0; i < 10; i++) writer.touch(ref('a'), true)
  change('b')
  change('c')
  await clock.goTo(5_999)
  expect(writes.map(({ at, name }) => [at, name])).toEqual([
    [0, 'a'],
    [5_000, 'b'],
    [5_000, 'c'],
  ])
})

test('a thousand unchanged statuses do not delay a changed one', async () => {
  const { clock, change, writes, writer, state } = setup({ writesPerSecond: 1_000 })
  for (let i = 0; i < 1_000; i++) change(`job-${i}`)
  await clock.goTo(10_000)
  for (const name of state.keys()) writer.touch(ref(name))
  change('new')
  await clock.goTo(10_001)
  expect(writes.at(-1)).toMatchObject({ at: 10_000, name: 'new' })
  expect(writes).toHaveLength(1_001)
})

test('an urgent change waits for the rest after an urgent write, but not after an ordinary one', async () => {
  const { clock, change, writes } = setup()
  change('job')
  await clock.goTo(100)
  change('job', { urgent: true })
  await clock.goTo(200)
  change('job', { urgent: true })
  await clock.goTo(5_000)
  expect(writes.map(({ at }) => at)).toEqual([0, 100, 1_100])
})

test('while an object is in trouble, every change of it is urgent', async () => {
  const { clock, change, writes, names } = setup({ writesPerSecond: 1 })
  change('job', { urgent: true, status: ready(false) })
  for (let i = 0; i < 10; i++) change(`other-${i}`)
  await clock.goTo(1_500)
  change('job', { status: ready(true) })
  await clock.goTo(2_500)
  expect(names()).toEqual(['job', 'other-0', 'job'])
  change('job', { status: ready(true) })
  await clock.goTo(60_000)
  expect(names().at(-1)).toBe('job')
  expect(writes).toHaveLength(13)
})

test("an agent's counts are written once a minute, its transitions at once", async () => {
  const { clock, state, writes, writer } = setup()
  for (let second = 0; second < 130; second++) {
    state.set('agent', { second })
    writer.touch(ref('agent', 'ShellAgent'), second === 70)
    await clock.goTo((second + 1) * 1_000)
  }
  expect(writes.map(({ at }) => at)).toEqual([0, 60_000, 70_000, 130_000])
})

test('a failed write is retried with backoff, with the newest status', async () => {
  const tries: number[] = []
  let fails = 4
  const { clock, change, writer, state } = setup({
    apply: async (_, __, status) => {
      tries.push(Number(status.n))
      if (fails-- > 0) throw new Unavailable('no answer')
      return 'applied'
    },
  })
  change('job')
  for (let ms = 100; ms <= 20_000; ms += 100) {
    await clock.goTo(ms)
    if (ms < 5_000) change('job', { urgent: true })
  }
  expect(tries[0]).toBe(1)
  // After 0.5, 1, 2 and 4 s.
  expect(tries).toHaveLength(5)
  expect(tries.at(-1)).toBe(state.get('job')?.n)
  expect(writer.waiting).toBe(0)
})

test('if only the answer was lost, the same status is written again', async () => {
  let lose = false
  const { clock, change, writer } = setup({
    apply: async () => {
      applied++
      if (lose) throw new Unavailable('no answer')
      return 'applied'
    },
  })
  let applied = 0
  change('job')
  await clock.goTo(2_000)
  lose = true
  change('job')
  await clock.goTo(2_100)
  lose = false
  await clock.goTo(10_000)
  expect(applied).toBe(3)
  expect(writer.written).toBe(2)
})

test('an object whose status cannot be computed does not hold up the others', async () => {
  const { clock, change, names } = setup({
    statusOf: ({ name }) => {
      if (name === 'bad') throw new Error('a bug')
      return { uid: 'u', status: { name } }
    },
  })
  change('bad', { urgent: true })
  change('good')
  await clock.goTo(1_000)
  expect(names()).toEqual(['good'])
})

test('a deleted object is forgotten, and written again if it returns with the same status', async () => {
  const gone = new Set<string>()
  const writes: string[] = []
  const { clock, state, writer } = setup({
    apply: async ({ name }) => {
      writes.push(name)
      return gone.has(name) ? 'gone' : 'applied'
    },
  })
  state.set('a', { n: 1 })
  state.set('b', { n: 1 })
  gone.add('a')
  for (const name of ['a', 'b', 'c']) writer.touch(ref(name))
  await clock.goTo(5_000)
  expect(writes).toEqual(['a', 'b'])
  state.delete('b')
  for (const name of ['a', 'b']) writer.touch(ref(name))
  await clock.goTo(10_000)
  state.set('b', { n: 1 })
  writer.touch(ref('b'))
  await clock.goTo(15_000)
  expect(writes).toEqual(['a', 'b', 'a', 'b'])
  expect(writer.waiting).toBe(0)
})

test('a change during a write of its object is written afterwards, never concurrently', async () => {
  let inFlight = 0
  const shown: unknown[] = []
  const { clock, change } = setup({
    apply: async (_, __, status) => {
      expect(++inFlight).toBe(1)
      await clock.sleep(300)
      shown.push(status.n)
      inFlight--
      return 'applied'
    },
  })
  change('job')
  await clock.goTo(100)
  change('job', { urgent: true })
  await clock.goTo(10_000)
  expect(shown).toEqual([1, 2])
})

test('on a stop, writes in flight end first', async () => {
  let ended = false
  const { clock, change } = setup({
    apply: async () => {
      await clock.sleep(1_000)
      ended = true
      return 'applied'
    },
  })
  change('job')
  await clock.goTo(10)
  const stopped = stop?.()
  await clock.goTo(2_000)
  await stopped
  expect(ended).toBe(true)
})
