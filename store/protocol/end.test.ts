import { expect, test } from 'vitest'
import { createKeys } from '../../core/keys.ts'
import type { Active } from '../../core/records/state.ts'
import { end } from './end.ts'

const keys = createKeys('/end/v1/')
const OWNER = keys.agent('default', 'w1')
const active: Active = {
  run: 'ops.a.1',
  kind: 'job',
  uid: 'u1',
  generation: 1,
  namespace: 'ops',
  name: 'a',
  target: '-',
  time: 1,
  notBefore: 1,
  attempt: 1,
  session: 5,
  instance: 'i',
}

/** The comparisons of the owner's registration, in a burial that gives the next attempt to the owner's `session`. */
function compared(seen: number, session: number) {
  const { txn } = end({
    keys,
    pool: 'default',
    owner: 'w1',
    active: { key: 'active', mod: 1, value: active },
    cells: [],
    verdict: { outcome: 'Lost', reason: 'AgentLost' },
    now: 10,
    ownerSeen: seen,
    retry: {
      backoffLimit: 1,
      notBefore: 20,
      entry: { key: 'entry', mod: 1 },
      next: { agent: 'w1', session, instance: 'i2' },
    },
  })
  return txn.compare.filter(({ key }) => key === OWNER)
}

test('burial gives a retry to a later session of the same agent only while that session lives', () => {
  expect(compared(9, 9)).toEqual([{ key: OWNER, create: 9 }])
  // Read at two moments: both cannot hold, so etcd refuses the transaction and the caller reads again.
  expect(compared(9, 8)).toEqual([
    { key: OWNER, create: 9 },
    { key: OWNER, create: 8 },
  ])
})
