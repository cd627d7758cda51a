import { describe, expect, test } from 'vitest'
import type { Context } from '../../../operator/context.ts'
import { systemClock } from '../../../platform/clock.ts'
import { Unavailable } from '../../../platform/errors.ts'
import type { Etcd } from '../../../store/etcd/client.ts'
import type { Txn } from '../../../store/etcd/types.ts'
import { eventually } from '../../fault/eventually.ts'
import { cronJob, NS, object } from '../../fixtures/operator.ts'
import { operatorForEach } from '../../fixtures/operator-for-each.ts'

/** An operator dies between any two of its writes, and the next one continues; a frozen one wakes up. */
const fixture = operatorForEach()

/** After `count` writes about jobs no further write arrives: a crash whose last answer is lost. */
function dying(of: Etcd, count: number): { etcd: Etcd; died(): boolean } {
  let left = count
  const about = ({ then }: Txn) =>
    then.some(op => ('put' in op ? /\/(jobs|state|runs)\// : /never/).test('put' in op ? op.put : '')) ||
    then.some(op => 'delete' in op)
  const dead = () => new Unavailable('the operator is dead')
  return {
    died: () => left < 0,
    etcd: {
      ...of,
      txn: async (txn, signal) => {
        if (left < 0) throw dead()
        if (!about(txn)) return of.txn(txn, signal)
        left--
        const answer = await of.txn(txn, signal)
        if (left < 0) throw dead()
        return answer
      },
      batch: async (txns, signal) => {
        if (left < 0) throw dead()
        if (!txns.some(about)) return of.batch(txns, signal)
        left--
        const answers = await of.batch(txns, signal)
        if (left < 0) throw dead()
        return answers
      },
    },
  }
}

const everySecond = { schedule: '* * * * * *' }

const edits = {
  reschedule: () => cronJob('a', { schedule: '@every 2h' }),
  suspend: () => cronJob('a', { ...everySecond, spec: { suspend: true } }),
  toAll: () => cronJob('a', { schedule: '@every 2h', target: { mode: 'All' } }),
  move: () => cronJob('a', { schedule: '@every 2h', target: { pool: 'db' } }),
}

async function begin(): Promise<void> {
  await fixture.write('pool.yaml', object('ShellPool', 'db', {}))
  await fixture.write('w1.yaml', object('ShellAgent', 'w1', { external: {} }))
  await fixture.write('a.yaml', cronJob('a', everySecond))
}

/** Every time of the first schedule, from its start to its end, has exactly one outcome. */
async function expectNoGap(from: number): Promise<void> {
  const times = (await fixture.results()).flatMap(({ time, range }) =>
    Array.from({ length: range?.count ?? 1 }, (_, i) => time - i * 1_000),
  )
  times.sort((a, b) => a - b)
  const first = Math.floor(from / 1_000) * 1_000 + 1_000
  expect(times).toEqual(times.map((_, i) => first + i * 1_000))
  expect(times.length).toBeGreaterThan(0)
}

describe.each(Object.keys(edits) as (keyof typeof edits)[])('%s', edit => {
  test.each([1, 2, 3, 4])('after an operator dies after write %i, the next one continues', async writes => {
    await begin()
    const first = await fixture.operator()
    const { scheduleChangedAt } = await eventually('the entry', () => fixture.job('a'))
    await eventually('times come due', () => systemClock.now() > scheduleChangedAt + 1_200)
    await first.stop()
    await fixture.write('a.yaml', edits[edit]())
    let wrapped: ReturnType<typeof dying> | undefined
    const second = await fixture.operator({
      etcd: real => {
        wrapped = dying(real, writes - 1)
        return wrapped.etcd
      },
    })
    const done = async () => {
      const entry = (await fixture.job('a', 'db')) ?? (await fixture.job('a'))
      return entry && !entry.editing && entry.generation === 2 && entry
    }
    await eventually('it died, or was done before', async () => wrapped?.died() || (await done()))
    await second.stop()
    await fixture.operator()
    const entry = await eventually('the edit is done', done)
    expect(entry.suspended).toBe(edit === 'suspend')
    await expectNoGap(scheduleChangedAt)
    const keys = await fixture.remains()
    expect(keys.filter(key => key.includes('/jobs/'))).toHaveLength(1)
    if (edit === 'move') expect(keys.filter(key => key.includes('/state/default/'))).toEqual([])
    if (edit === 'toAll') expect((await fixture.cell('a', 'w1'))?.lastFire).toBe(entry.scheduleChangedAt)
  })
})

test.each([1, 2, 3])(
  'a deletion whose operator dies after write %i leaves no key in the end',
  async writes => {
    await begin()
    const first = await fixture.operator()
    const { scheduleChangedAt } = await eventually('the entry', () => fixture.job('a'))
    await eventually('times come due', () => systemClock.now() > scheduleChangedAt + 1_200)
    await first.stop()
    await fixture.remove('a.yaml')
    let wrapped: ReturnType<typeof dying> | undefined
    const second = await fixture.operator({
      etcd: real => {
        wrapped = dying(real, writes - 1)
        return wrapped.etcd
      },
    })
    const empty = async () => (await fixture.remains()).length === 0
    await eventually('it died, or was done before', async () => wrapped?.died() || (await empty()))
    await second.stop()
    await fixture.operator()
    await eventually('nothing is left', empty)
    await expectNoGap(scheduleChangedAt)
  },
)

test('a leader that was frozen cannot undo what its successor wrote', async () => {
  const gate = Promise.withResolvers<void>()
  let frozen = false
  await fixture.write('a.yaml', cronJob('a'))
  const old = await fixture.operator({
    etcd: real => ({
      ...real,
      txn: async (txn, signal) => {
        // Only the protocol's writes compare; the directory's own records have one writer.
        if (frozen && txn.compare.length > 0) await gate.promise
        return real.txn(txn, signal)
      },
    }),
  })
  await eventually('the entry', () => fixture.job('a'))
  frozen = true
  const suspended = await replaced(old.context).finally(() => {
    frozen = false
    gate.resolve()
  })
  await fixture.write('b.yaml', cronJob('b'))
  await eventually('both go on', () => fixture.job('b'))
  await systemClock.sleep(500)
  expect(await fixture.job('a')).toEqual(suspended)
})

/** Just before the old leader writes an edit, a new leader writes that edit and the next. */
async function replaced(old: Context) {
  await fixture.write('a.yaml', cronJob('a', { template: { script: 'echo second' } }))
  await eventually('the old leader sees the edit', () => {
    const object = old.resources.get('ShellCronJob', NS, 'a')
    return object?.spec.template.spec.script === 'echo second'
  })
  await fixture.operator()
  await eventually(
    'the new leader wrote',
    async () => (await fixture.job('a'))?.command.script === 'echo second',
  )
  await fixture.write('a.yaml', cronJob('a', { spec: { suspend: true } }))
  return eventually('suspended', async () => {
    const entry = await fixture.job('a')
    return entry?.suspended && !entry.editing && entry
  })
}
