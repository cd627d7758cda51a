import { expect, test } from 'vitest'
import { watchEtcdQuota } from '../../../agent/health/etcd-quota.ts'
import { Unavailable } from '../../../platform/errors.ts'
import { createFakeClock } from '../../../platform/fake-clock.ts'
import { silentLog } from '../../../platform/log.ts'
import { etcdForAll } from '../../fixtures/etcd-for-all.ts'
import { eventually } from '../eventually.ts'

// The file grows by 16 MiB at a time: with a smaller quota it would be full before 80 % were in use.
const quota = 100 * 1024 * 1024

const { etcd } = etcdForAll(1, [`--quota-backend-bytes=${quota}`])

async function fill(): Promise<unknown> {
  for (let n = 0; n < 100; n += 1) {
    const error = await put(`k${n}`).then(
      () => undefined,
      fault => fault,
    )
    if (error) return error
  }
  return undefined
}

const put = (key: string) => etcd.txn({ compare: [], then: [{ put: key, value: 'x'.repeat(1_400_000) }] })

test('agents are warned when 80 % of the quota is used, until there is room again', async () => {
  const told: boolean[] = []
  const clock = createFakeClock(0)
  const ending = new AbortController()
  const watching = watchEtcdQuota({ etcd, clock, log: silentLog }, ending.signal, is => told.push(is))
  const look = async () => {
    const before = told.length
    await clock.goTo(clock.now() + 60_000)
    return eventually('it has checked', () => (told.length > before ? [told.at(-1)] : undefined))
  }
  for (let n = 0; n < 40; n++) await put(`few${n}`)
  await eventually('it has checked', () => told.length > 0)
  expect(await look()).toEqual([false])
  for (let n = 0; n < 22; n++) await put(`many${n}`)
  await eventually('it is in the status', async () => (await etcd.status()).dbSizeInUse >= 0.8 * quota)
  expect(await look()).toEqual([true])
  ending.abort()
  await watching
  expect(told.at(-1)).toBe(false)
})

test('a full etcd answers NoSpace, also to leases and batches; deletions work, and the status has the alarm', async () => {
  const error = await fill()
  expect(error).toBeInstanceOf(Unavailable)
  expect(error).toMatchObject({ code: 'NoSpace' })

  await expect(etcd.lease(10)).rejects.toMatchObject({ code: 'NoSpace' })
  const answers = await etcd.batch(['a', 'b'].map(key => ({ compare: [], then: [{ put: key, value: 'x' }] })))
  expect(answers).toMatchObject([{ ambiguous: { code: 'NoSpace' } }, { ambiguous: { code: 'NoSpace' } }])
  expect(await etcd.get('a')).toBeUndefined()

  const status = await etcd.status()
  expect(status.alarms).toEqual(['NOSPACE'])
  expect(status.dbSizeQuota).toBe(quota)
  expect((await etcd.txn({ compare: [], then: [{ delete: 'k0' }] })).ok).toBe(true)
  expect(await etcd.get('k0')).toBeUndefined()
})
