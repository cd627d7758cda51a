import { Etcd3 } from 'etcd3'
import { describe, expect, test } from 'vitest'
import { EtcdAmbiguous, EtcdUnavailable } from '../../../store/etcd/errors.ts'
import { etcdBehindProxy } from '../../fixtures/etcd-behind-proxy.ts'
import { eventually, isOpenAfter } from '../eventually.ts'

// Calls over a faulty connection: what etcd3 1.1.2 alone does, and what this client does.

const { cluster, proxy, through, bare } = etcdBehindProxy()

/** How many times a key was put since it was created. */
async function puts(key: string): Promise<number> {
  const client = new Etcd3({ hosts: cluster.endpoints })
  try {
    const answer = await client.kv.range({ key: Buffer.from(key) })
    return Number(answer.kvs[0]?.version ?? 0)
  } finally {
    client.close()
  }
}

/** Passes requests, and cuts the connection each time etcd has applied one more put of `key`. */
async function loseAnswers(key: string, call: Promise<unknown>): Promise<void> {
  let settled = false
  void Promise.allSettled([call]).then(() => {
    settled = true
  })
  let applied = 0
  await eventually('the call has ended', async () => {
    const now = await puts(key)
    if (now > applied) proxy.cut()
    applied = now
    return settled
  })
}

describe('a transaction whose answer is lost', () => {
  test('etcd3 alone applies it again and again', async () => {
    await bare().get('warm')
    proxy.set({ kind: 'no-answers', marker: 'bare-key' })
    const call = bare().put('bare-key').value('x').exec()
    await loseAnswers('bare-key', call)
    await expect(call).rejects.toThrow('')
    expect(await puts('bare-key')).toBeGreaterThan(1)
  })

  test('this client applies it once and rejects with Ambiguous', async () => {
    await through.get('warm')
    proxy.set({ kind: 'no-answers', marker: 'our-key' })
    const call = through.txn({ compare: [], then: [{ put: 'our-key', value: 'x' }] })
    await loseAnswers('our-key', call)
    await expect(call).rejects.toBeInstanceOf(EtcdAmbiguous)
    expect(await puts('our-key')).toBe(1)
  })

  test('every transaction of a batch is Ambiguous, and each is applied once', async () => {
    proxy.set({ kind: 'no-answers', marker: 'batch/0' })
    const txns = [0, 1, 2].map(n => ({ compare: [], then: [{ put: `batch/${n}`, value: 'x' }] }))
    const answers = await through.batch(txns)
    for (const answer of answers)
      expect('ambiguous' in answer && answer.ambiguous).toBeInstanceOf(EtcdAmbiguous)
    for (const n of [0, 1, 2]) expect(await puts(`batch/${n}`)).toBe(1)
  })

  test('an abort after sending is Ambiguous, one before sending rejects with its reason', async () => {
    await through.get('warm')
    proxy.set({ kind: 'no-answers', marker: 'abort-key' })
    const stop = new AbortController()
    const call = through.txn({ compare: [], then: [{ put: 'abort-key', value: 'x' }] }, stop.signal)
    await eventually('it was applied', () => puts('abort-key'))
    stop.abort(new Error('enough'))
    await expect(call).rejects.toBeInstanceOf(EtcdAmbiguous)
    await expect(through.txn({ compare: [], then: [] }, stop.signal)).rejects.toThrow('enough')
  })
})

describe('a call on a connection that loses every packet', () => {
  test('hangs with etcd3 alone', async () => {
    await bare().get('warm')
    proxy.set({ kind: 'blackhole' })
    const call = bare().get('key').string()
    void call.catch(() => undefined)
    expect(await isOpenAfter(4_000, call)).toBe(true)
  })

  test('ends at its deadline with this client: reads are Unavailable, transactions Ambiguous', async () => {
    await through.get('warm')
    proxy.set({ kind: 'blackhole' })
    const txn = through.txn({ compare: [], then: [{ put: 'hole', value: 'x' }] })
    await expect(txn).rejects.toBeInstanceOf(EtcdAmbiguous)
    const read = through.get('hole')
    await expect(read).rejects.toBeInstanceOf(EtcdUnavailable)
    await expect(read).rejects.not.toBeInstanceOf(EtcdAmbiguous)
    expect(await puts('hole')).toBe(0)
  })

  test('replaces a dead connection that was never closed', async () => {
    await through.get('warm')
    proxy.stall()
    expect(await through.get('no-such-key')).toBeUndefined()
    expect(proxy.accepted).toBeGreaterThan(1)
  })
})

describe('an etcd that cannot be reached', () => {
  test('makes a transaction Unavailable: it was not sent', async () => {
    proxy.set({ kind: 'refuse' })
    const call = through.txn({ compare: [], then: [{ put: 'refused', value: 'x' }] })
    await expect(call).rejects.toBeInstanceOf(EtcdUnavailable)
    await expect(call).rejects.toMatchObject({ code: 'Unreachable' })
    expect(await puts('refused')).toBe(0)
  })

  test('is waited for until the deadline of a transaction', async () => {
    proxy.set({ kind: 'refuse' })
    const call = through.txn({ compare: [], then: [{ put: 'late', value: 'x' }] })
    await eventually('it tried', () => proxy.accepted > 1)
    proxy.set({ kind: 'pass' })
    expect((await call).ok).toBe(true)
  })

  test('gets no later requests of a batch', async () => {
    proxy.set({ kind: 'no-answers', marker: 'ordered' })
    const txn = { compare: [], then: [{ put: 'ordered', value: 'x' }] }
    const answers = await through.batch([txn, txn, txn])
    const faults = answers.map(answer => ('ambiguous' in answer ? answer.ambiguous : undefined))
    expect(faults[0]).toBeInstanceOf(EtcdAmbiguous)
    expect(faults[1]).toBeInstanceOf(EtcdUnavailable)
    expect(faults[2]).toBeInstanceOf(EtcdUnavailable)
    expect(await puts('ordered')).toBe(1)
  })
})
