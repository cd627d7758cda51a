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

/** What is compared of the registration of the owner, when its burial gives the next attempt to `session` of it. */
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

test('a retry that burial gives to a later session of the buried is for the session that lives', () => {
  expect(compared(9, 9)).toEqual([{ key: OWNER, create: 9 }])
  // Seen at two moments: it cannot be both, so that it is refused and looked at again.
  expect(compared(9, 8)).toEqual([
    { key: OWNER, create: 9 },
    { key: OWNER, create: 8 },
  ])
})
