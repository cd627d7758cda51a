import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { Etcd } from '../../../store/etcd/client.ts'
import { eventually } from '../../fault/eventually.ts'
import { startLongRun } from '../../fixtures/long-run.ts'
import { command, due } from '../../fixtures/pool.ts'
import { poolForEach } from '../../fixtures/pool-for-each.ts'
import { fill, mayMount, mountSmall, unmount } from '../../fixtures/small-disk.ts'

/** The disk of the agent's state directory is full. */
describe.skipIf(!mayMount)('an agent', () => {
  const pool = poolForEach({ ttlSeconds: 5, members: ['a'] })
  let disk: string
  let leases = 0
  const counted = (real: Etcd): Etcd => ({
    ...real,
    lease(seconds) {
      leases++
      return real.lease(seconds)
    },
  })
  beforeEach(async () => {
    leases = 0
    disk = join(pool.dir, 'a')
    await mkdir(disk)
    mountSmall(disk)
  })
  afterEach(() => void unmount(disk))

  const registered = () => pool.etcd.get(pool.keys.agent('default', 'a'))

  test('with a full disk keeps its session and runs jobs, and so does the next agent', async () => {
    fill(disk)
    const first = await pool.agent('a', { etcd: counted })
    await pool.putJob({ name: 'one', ...due(), command: command(`echo x >> ${pool.truth}`) })
    await eventually('it has run', () => pool.ended('one'))
    expect(leases).toBe(1)
    const session = (await registered())?.create
    await first.crash()
    await pool.agent('a', { etcd: counted })
    await pool.putJob({ name: 'two', ...due(), command: command(`echo x >> ${pool.truth}`) })
    expect(await eventually('it has run', () => pool.ended('two'))).toMatchObject({ outcome: 'Succeeded' })
    // The session could not be saved, so it could not be resumed.
    expect((await registered())?.create).not.toBe(session)
  })

  test('that stops with a full disk leaves its session and lease unchanged for the next agent', async () => {
    const first = await pool.agent('a', { etcd: counted })
    const { session, finish } = await startLongRun(pool)
    const { lease } = (await registered()) ?? {}
    fill(disk)
    await first.agent.handOver()
    await first.crash()
    await pool.agent('a', { etcd: counted })
    await finish()
    expect(await registered()).toMatchObject({ create: session, lease })
  })

  test('that starts with a full disk resumes the session that was handed over', async () => {
    const first = await pool.agent('a', { etcd: counted })
    const { session, finish } = await startLongRun(pool)
    await first.agent.handOver()
    await first.crash()
    const { lease } = (await registered()) ?? {}
    fill(disk)
    leases = 0
    await pool.agent('a', { etcd: counted })
    await finish()
    expect(await registered()).toMatchObject({ create: session, lease })
    expect(leases).toBe(1)
  })
})
