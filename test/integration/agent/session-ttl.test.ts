import { beforeEach, expect, test } from 'vitest'
import type { Launcher } from '../../../agent/launcher/launcher.ts'
import { boottimeMs } from '../../../platform/boottime.ts'
import type { Etcd } from '../../../store/etcd/client.ts'
import { EtcdAmbiguous } from '../../../store/etcd/errors.ts'
import type { Txn } from '../../../store/etcd/types.ts'
import { eventually } from '../../fault/eventually.ts'
import { startLongRun } from '../../fixtures/long-run.ts'
import { poolForEach } from '../../fixtures/pool-for-each.ts'

/** An edit of the pool's TTL reaches living sessions. */
const pool = poolForEach({ ttlSeconds: 10, members: ['a'] })

const registered = () => pool.etcd.get(pool.keys.agent('default', 'a'))
const setTtl = (ttlSeconds: number) =>
  pool.etcd.txn({
    compare: [],
    then: [{ put: pool.keys.pool('default'), value: JSON.stringify({ ttlSeconds }) }],
  })
/** The TTL of the lease that holds the registration. The keepalive does not hurt: the session is alive anyway. */
const ttl = async () => pool.etcd.keepAlive((await registered())?.lease ?? '', 5_000)
const hasTtl = (seconds: number) => eventually(`a TTL of ${seconds} s`, async () => (await ttl()) === seconds)

let events: string[] = []
beforeEach(() => {
  events = []
})
const fences = (real: Launcher): Launcher => ({
  ...real,
  fence: (session, until) => {
    events.push(until - boottimeMs() > 0.7 * 10_000 ? 'fence long' : 'fence short')
    real.fence(session, until)
  },
})
const isMove = ({ then }: Txn) =>
  then.some(op => 'put' in op && op.put === pool.keys.agent('default', 'a')) && then.length === 1

test('a longer and a shorter TTL, under the same session', async () => {
  const moves = (real: Etcd): Etcd => ({
    ...real,
    txn: async txn => {
      const answer = await real.txn(txn)
      if (isMove(txn)) events.push('moved')
      return answer
    },
  })
  await pool.agent('a', { launcher: fences, etcd: moves })
  const { session, finish } = await startLongRun(pool)
  events = []
  await setTtl(60)
  await hasTtl(60)
  await eventually('the fence is raised', () => events.includes('fence long'))
  expect(events.slice(events.indexOf('moved'))[1]).toBe('fence long')
  expect(events.slice(0, events.indexOf('moved'))).not.toContain('fence long')
  events = []
  await setTtl(10)
  await hasTtl(10)
  expect(events[events.indexOf('moved') - 1]).toBe('fence short')
  await finish()
  expect((await registered())?.create).toBe(session)
  expect(await pool.ran()).toHaveLength(1)
})

test('of an agent that started before its pool was known', async () => {
  await pool.remove(pool.keys.pool('default'))
  await pool.agent('a')
  const { create } = await eventually('a session', registered)
  expect(await ttl()).toBe(30)
  await setTtl(10)
  await hasTtl(10)
  expect((await registered())?.create).toBe(create)
})

test.each(['applied', 'not applied', 'applied late'])(
  'if the answer is lost and the request was %s, the session lives and follows',
  async fate => {
    let lost: Txn | undefined
    const unclear = (real: Etcd): Etcd => ({
      ...real,
      txn: async txn => {
        if (!lost && events.includes('edited') && isMove(txn)) {
          lost = txn
          if (fate === 'applied') await real.txn(txn)
          throw new EtcdAmbiguous('Lost', 'no answer')
        }
        const answer = await real.txn(txn)
        // The first request comes after the second, which has been answered.
        if (fate === 'applied late' && lost && isMove(txn)) expect((await real.txn(lost)).ok).toBe(false)
        return answer
      },
    })
    await pool.agent('a', { launcher: fences, etcd: unclear })
    const { session, finish } = await startLongRun(pool)
    events.push('edited')
    await setTtl(60)
    await eventually('the answer is lost', () => lost)
    events = ['edited']
    await hasTtl(60)
    await eventually('the fence is raised', () => events.includes('fence long'))
    await finish()
    expect((await registered())?.create).toBe(session)
    expect(await pool.ran()).toHaveLength(1)
  },
)
