import { expect, test } from 'vitest'
import { nextBeacon } from './beacon.ts'

const time = 1_000

test.each([
  ['the first one begins the first epoch', undefined, undefined, { epoch: 1, n: 1 }],
  ['it counts on', { epoch: 1, n: 7 }, { epoch: 1, n: 7 }, { epoch: 1, n: 8 }],
  ['etcd may be ahead of what is remembered', { epoch: 1, n: 9 }, { epoch: 1, n: 7 }, { epoch: 1, n: 10 }],
  ['without memory etcd is believed', { epoch: 3, n: 9 }, undefined, { epoch: 3, n: 10 }],
  [
    'a lower number means a restored snapshot: a new epoch',
    { epoch: 1, n: 5 },
    { epoch: 1, n: 9 },
    { epoch: 2, n: 10 },
  ],
  ['so does an older epoch', { epoch: 1, n: 50 }, { epoch: 2, n: 40 }, { epoch: 3, n: 51 }],
  ['an empty etcd after all that is a restored one', undefined, { epoch: 2, n: 40 }, { epoch: 3, n: 41 }],
])('%s', (_, there, known, expected) => {
  expect(nextBeacon(there && { ...there, time: 0 }, known, time)).toEqual({ ...expected, time })
})
