import { expect, test } from 'vitest'
import { Unavailable } from '../../../platform/errors.ts'
import { createFakeClock } from '../../../platform/fake-clock.ts'
import { silentLog } from '../../../platform/log.ts'
import { Follower, type FollowerOptions } from './follower.ts'

test('an edit is applied within two seconds of the return of etcd, however long its calls took before', async () => {
  const clock = createFakeClock()
  const back = 12_000
  let appliedAt: number | undefined
  const folder = {
    version: 1,
    files: new Map(),
    unreadable: [],
    scan: async () => true,
    changed: (ms: number, signal: AbortSignal) => clock.sleep(ms, signal).catch(() => undefined),
    close: () => undefined,
  }
  const records = {
    removed: 0,
    async change() {
      if (clock.now() >= back) appliedAt ??= clock.now()
      else {
        await clock.sleep(1_500)
        throw new Unavailable('etcd does not answer')
      }
    },
  }
  const of = { folder, records, lookups: { check: async () => true }, problems: {}, directory: '.', clock }
  const follower = new Follower({ ...of, log: silentLog } as unknown as FollowerOptions)
  const stop = new AbortController()
  follower.start(stop.signal).catch(() => undefined)
  await clock.goTo(60_000)
  stop.abort(new Error('the test is over'))
  expect(appliedAt).toBeGreaterThanOrEqual(back)
  expect(appliedAt).toBeLessThanOrEqual(back + 2_000)
})
