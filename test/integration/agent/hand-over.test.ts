import { expect, test } from 'vitest'
import type { Launcher } from '../../../agent/launcher/launcher.ts'
import { boottimeMs } from '../../../platform/boottime.ts'
import type { Etcd } from '../../../store/etcd/client.ts'
import { eventually } from '../../fault/eventually.ts'
import { startLongRun } from '../../fixtures/long-run.ts'
import { poolForEach } from '../../fixtures/pool-for-each.ts'

/** An agent that is stopped leaves its runs to the next agent on its machine, which may start later than the TTL. */
const TTL = 5
const pool = poolForEach({ ttlSeconds: TTL, members: ['a', 'b'] })

const registered = () => pool.etcd.get(pool.keys.agent('default', 'a'))

/** Fences and registrations, in order. */
let events: string[] = []
const fences = (real: Launcher): Launcher => ({
  ...real,
  fence: (session, until) => {
    events.push(`fence ${until - boottimeMs() > TTL * 1_000 ? 'long' : 'short'}`)
    real.fence(session, until)
  },
})
/** `fail`: every registration after the first is applied, but its answer is lost. */
const registrations =
  (fail = false) =>
  (real: Etcd): Etcd => ({
    ...real,
    txn: async txn => {
      const isMine = txn.then.some(op => 'put' in op && op.put === pool.keys.agent('default', 'a'))
      const answer = await real.txn(txn)
      if (isMine) events.push('registered')
      if (isMine && fail && events.filter(each => each === 'registered').length > 1)
        throw new Error('the answer was lost')
      return answer
    },
  })

async function longRun(options: Parameters<typeof pool.agent>[1]) {
  events = []
  const first = await pool.agent('a', options)
  return { first, ...(await startLongRun(pool)) }
}

test('a run outlives the TTL without an agent, and is adopted in the same session', async () => {
  const { first, session, finish } = await longRun({ launcher: fences, etcd: registrations() })
  events = []
  await first.agent.handOver()
  expect(events).toEqual(['registered', 'fence long'])
  await first.crash()
  const left = Date.now()
  await pool.agent('b')
  await eventually('the TTL has passed twice', () => Date.now() > left + 2 * TTL * 1_000)
  expect(await pool.ended('long')).toBeUndefined()

  events = []
  await pool.agent('a', { launcher: fences, etcd: registrations() })
  await eventually('it is back', () => events.includes('registered'))
  // The fence is lowered before the registration is sent.
  expect(events.slice(0, 2)).toEqual(['fence short', 'registered'])
  const back = await registered()
  expect(back?.create).toBe(session)
  expect(await pool.etcd.keepAlive(back?.lease ?? '', 5_000)).toBeLessThanOrEqual(TTL)
  await finish()
  expect(await pool.ran()).toHaveLength(1)
})

test('if the answer is lost, the fence is not raised, and the next agent still finds the session', async () => {
  const { first, session, finish } = await longRun({ launcher: fences, etcd: registrations(true) })
  events = ['registered']
  await expect(first.agent.handOver()).rejects.toThrow('lost')
  expect(events).not.toContain('fence long')
  await first.crash()
  await pool.agent('a')
  await finish()
  expect((await registered())?.create).toBe(session)
})

test('a lease that is long enough is never shortened, and the next agent keeps it', async () => {
  const long = { ttlSeconds: 200, paused: false, draining: false, sealKey: '' }
  await pool.etcd.txn({
    compare: [],
    then: [{ put: pool.keys.pool('default'), value: JSON.stringify(long) }],
  })
  const { first, session, finish } = await longRun({ launcher: fences, etcd: registrations() })
  events = []
  await first.agent.handOver()
  expect(events).toEqual(['registered', 'fence long'])
  const left = await registered()
  expect(await pool.etcd.keepAlive(left?.lease ?? '', 5_000)).toBe(200)
  await first.crash()
  await pool.agent('a')
  await finish()
  expect(await registered()).toMatchObject({ create: session, lease: left?.lease })
})

test('an agent without runs hands nothing over', async () => {
  events = []
  const idle = await pool.agent('a', { launcher: fences, etcd: registrations() })
  await eventually('a session', registered)
  await idle.agent.handOver()
  expect(events).not.toContain('fence long')
})
