import { expect, test } from 'vitest'
import { WAVE } from '../../../core/keys.ts'
import type { JobEntry } from '../../../core/records/entry.ts'
import { cellSchema } from '../../../core/records/state.ts'
import { parseValue } from '../../../store/protocol/versioned.ts'
import { eventually } from '../../fault/eventually.ts'
import { maxConcurrency } from '../../fixtures/max-concurrency.ts'
import { cellRef, command } from '../../fixtures/pool.ts'
import { poolForEach } from '../../fixtures/pool-for-each.ts'

/** Mode All with maxParallel, with real agents. */
const NAMES = ['a', 'b', 'c', 'd', 'e']
const pool = poolForEach({ ttlSeconds: 5, members: NAMES })

const HOUR = 3_600_000
const ref = (target: string) => cellRef('j', target)

/** Puts the cells of all targets before the entry, as the operator does. */
async function putTargets(lastFire: number): Promise<void> {
  const value = JSON.stringify({ uid: 'uid-1', lastFire, active: [] })
  const puts = NAMES.map(name => ({ put: pool.keys.cell(ref(name)), value }))
  await pool.etcd.txn({ compare: [], then: puts })
}
const wave = async () => {
  const item = await pool.etcd.get(pool.keys.cell(ref(WAVE)))
  return item && parseValue(cellSchema, item.value)
}
/** A script that records when it begins and ends. */
const span = (seconds: number) => {
  const record = `echo "$SHELLCRON_RUN_ID $(date +%s%3N)" >> ${pool.truth}`
  return `${record}; sleep ${seconds}; ${record}`
}
const rolling = (maxParallel: number | string, seconds = 1): JobEntry['command'] =>
  command(span(seconds), { placement: { mode: 'All', agents: [], maxParallel } })

test('a wave is as fast as its commands, and never exceeds maxParallel', async () => {
  for (const name of NAMES) await pool.agent(name)
  const now = Date.now()
  const schedule = { schedules: ['@every 1h'], scheduleChangedAt: now - (now % HOUR) - 1 }
  await putTargets(schedule.scheduleChangedAt)
  await pool.putJob({ name: 'j', ...schedule, command: rolling('50%') })
  const results = await eventually(
    'all have ended',
    async () => {
      const results = await pool.results()
      return results.length >= NAMES.length && results
    },
    60_000,
  )
  expect(results.map(({ target, outcome }) => `${target} ${outcome}`).sort()).toEqual(
    NAMES.map(name => `${name} Succeeded`),
  )
  expect(maxConcurrency((await pool.ran()).join('\n'))).toBe(2)
  expect((await wave())?.active).toEqual([])
})

test('a retry whose machine is gone leaves its slot to others, and takes one when the machine returns', async () => {
  const [a, b] = await Promise.all([pool.agent('a'), pool.agent('b')])
  const scheduleChangedAt = Date.now() - (Date.now() % HOUR) - 1
  await putTargets(scheduleChangedAt)
  const record = `echo "$SHELLCRON_AGENT $SHELLCRON_ATTEMPT" >> ${pool.truth}`
  const script = `${record}; [ $SHELLCRON_ATTEMPT = 2 ] || exec sleep 600`
  const placement = { mode: 'All', agents: ['a', 'b'], maxParallel: 1 }
  const job = {
    schedules: ['@every 1h'],
    scheduleChangedAt,
    command: command(script, { placement, backoffLimit: 1 }),
  }
  await pool.putJob({ name: 'j', ...job })
  const [first] = await eventually('one runs', async () => {
    const lines = await pool.ran()
    return lines.length > 0 && lines
  })
  const [gone, stays] = first === 'a 1' ? [a, 'b'] : [b, 'a']
  const name = stays === 'b' ? 'a' : 'b'
  await gone.crash()
  await gone.reboot()
  await eventually('the other one runs', async () => (await pool.ran()).includes(`${stays} 1`))
  expect((await wave())?.active).toMatchObject([{ agent: stays, attempt: 1 }])
  expect(await pool.actives()).toContainEqual(
    expect.objectContaining({ target: name, attempt: 2, session: 0 }),
  )
  await pool.agent(name)
  const held = (await pool.actives()).find(({ target }) => target === stays)
  const key = pool.keys.active('default', stays, held?.run ?? '')
  await pool.etcd.txn({
    compare: [],
    then: [{ put: key, value: JSON.stringify({ ...held, kill: { reason: 'Requested' } }) }],
  })
  await eventually('it is tried again', async () => (await pool.ran()).includes(`${name} 2`))
  await eventually(
    'all have ended',
    async () => (await pool.results()).filter(({ final }) => final).length === 2,
  )
  expect((await wave())?.active).toEqual([])
})
