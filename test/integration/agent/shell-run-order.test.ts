import { expect, test } from 'vitest'
import { eventually } from '../../fault/eventually.ts'
import { command } from '../../fixtures/pool.ts'
import { poolForEach } from '../../fixtures/pool-for-each.ts'

/** ShellRuns of a job with Forbid, which wait for one another. */
const pool = poolForEach({ ttlSeconds: 30, members: ['a', 'b'] })

async function putRun(name: string, createdAt: number): Promise<void> {
  const uid = `uid-${name}`
  const script = `echo ${name} >> ${pool.truth}; sleep 0.3`
  const jobRef = { name: 'j', uid: 'uid-1' }
  await pool.putRun({ name, uid, jobRef, concurrencyPolicy: 'Forbid', createdAt, command: command(script) })
}
const request = (name: string) =>
  pool.request(`run.test.${name}.-`, {
    kind: 'run',
    namespace: 'test',
    name,
    target: '-',
    uid: `uid-${name}`,
  })
const succeeded = async (count: number) =>
  (await pool.results()).filter(({ outcome }) => outcome === 'Succeeded').length === count

test('they start in the order of their creation', async () => {
  const now = Date.now()
  const names = ['q1', 'q2', 'q3', 'q4', 'q5', 'q6']
  for (const name of names.toReversed()) await putRun(name, now + names.indexOf(name))
  for (const name of ['q4', 'q2', 'q5', 'q6', 'q3', 'q1']) await request(name)
  await Promise.all([pool.agent('a'), pool.agent('b')])
  await eventually('all have ended', () => succeeded(6), 60_000)
  expect(await pool.ran()).toEqual(names)
})

test('of the same second, they start in the order in which their entries were put', async () => {
  const now = Date.now()
  const names = ['q3', 'q1', 'q4', 'q2']
  for (const name of names) await putRun(name, now)
  for (const name of ['q1', 'q2', 'q3', 'q4']) await request(name)
  await Promise.all([pool.agent('a'), pool.agent('b')])
  await eventually('all have ended', () => succeeded(4), 60_000)
  expect(await pool.ran()).toEqual(names)
})

test('one that no agent may run holds back no other', async () => {
  const now = Date.now()
  await pool.putRun({
    name: 'nowhere',
    uid: 'uid-nowhere',
    jobRef: { name: 'j', uid: 'uid-1' },
    concurrencyPolicy: 'Forbid',
    createdAt: now,
    command: command('true', { placement: { agents: ['absent'] } }),
  })
  await putRun('next', now + 1)
  await request('nowhere')
  await request('next')
  await pool.agent('a')
  await eventually('it has ended', () => succeeded(1))
  expect(await pool.ran()).toEqual(['next'])
})
