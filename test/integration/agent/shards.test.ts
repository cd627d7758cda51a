import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { eventually } from '../../fault/eventually.ts'
import { command } from '../../fixtures/pool.ts'
import { poolForEach } from '../../fixtures/pool-for-each.ts'

/** Mode Shards: each shard is its own target, and the agent with rank 0 for it claims it. */
const pool = poolForEach({ ttlSeconds: 5, members: ['a', 'b'] })

const HOUR = 3_600_000
const SHARDS = 8
const ALL = Array.from({ length: SHARDS }, (_, index) => `${index} of ${SHARDS}`)
const stamp = (file: string) =>
  `echo "$SHELLCRON_SHARD_INDEX of $SHELLCRON_SHARD_COUNT" >> ${join(pool.dir, file)}`
const parts = async (file: string) =>
  (await readFile(join(pool.dir, file), 'utf8').catch(() => '')).split('\n').filter(Boolean).sort()
const sharded = (shards: number, file: string, over = {}) => ({
  ...command(stamp(file), over),
  placement: { mode: 'Shards' as const, shards, agents: [] },
})
/** A schedule whose last time is due, and no older one. */
const dueNow = (now = Date.now()) => ({
  schedules: ['@every 1h'],
  scheduleChangedAt: now - (now % HOUR) - 1,
  catchUp: 'Latest' as const,
})

test('every shard runs once, with its index', async () => {
  await pool.agent('a')
  await pool.agent('b')
  await pool.putJob({ name: 'j', ...dueNow(), command: sharded(SHARDS, 'once') })
  const results = await eventually('all have ended', async () => {
    const results = await pool.results()
    return results.length >= SHARDS && results
  })
  expect(await parts('once')).toEqual(ALL)
  expect(results.map(({ target, outcome }) => `${target} ${outcome}`).sort()).toEqual(
    ALL.map((_, index) => `${index} Succeeded`),
  )
})

test('the shards are spread over the agents', async () => {
  await pool.agent('a')
  await pool.agent('b')
  const perSecond = { schedules: ['* * * * * *'], scheduleChangedAt: Date.now() }
  await pool.putJob({ name: 'j', ...perSecond, command: sharded(SHARDS, 'spread') })
  await eventually('each has run some', async () => {
    const agents = new Set((await pool.results()).map(({ agent }) => agent))
    return agents.has('a') && agents.has('b')
  })
})

test('after an edit to fewer shards the others no longer run', async () => {
  await pool.agent('a')
  await pool.putJob({ name: 'j', ...dueNow(), command: sharded(SHARDS, 'first') })
  await eventually('all have ended', async () => (await pool.results()).length === SHARDS)
  const edited = { name: 'j', generation: 2, schedules: ['* * * * * *'], scheduleChangedAt: Date.now() }
  await pool.putJob({ ...edited, command: sharded(2, 'fewer') })
  await eventually('it runs', async () => (await parts('fewer')).length >= 4)
  expect(new Set(await parts('fewer'))).toEqual(new Set(['0 of 2', '1 of 2']))
})

test('a shard whose first agent is dead is claimed by the next', async () => {
  await pool.agent('a')
  const b = await pool.agent('b')
  await eventually(
    'both live',
    async () => (await pool.etcd.list(pool.keys.agents('default'))).items.length === 2,
  )
  await b.crash()
  await pool.putJob({ name: 'j', ...dueNow(), command: sharded(SHARDS, 'rest') })
  await eventually('all have run', async () => (await parts('rest')).length === SHARDS, 60_000)
  expect(await parts('rest')).toEqual(ALL)
})
