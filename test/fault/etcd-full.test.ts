import { expect, test } from 'vitest'
import { Unavailable } from '../../runtime/errors.ts'
import { etcdForAll } from '../fixtures/etcd-for-all.ts'

const quota = 16 * 1024 * 1024

const { etcd } = etcdForAll(1, [`--quota-backend-bytes=${quota}`])

async function fill(): Promise<unknown> {
  for (let n = 0; n < 100; n += 1) {
    const put = { compare: [], then: [{ put: `k${n}`, value: 'x'.repeat(1_000_000) }] }
    const error = await etcd.txn(put).then(
      () => undefined,
      fault => fault,
    )
    if (error) return error
  }
  return undefined
}

test('a full etcd says NoSpace, to leases and batches too; deletions work, the status tells', async () => {
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
