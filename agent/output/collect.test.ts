import { expect, test } from 'vitest'
import { collect } from './collect.ts'
import { type Launch, unknown } from './launch.ts'
import { openLosses } from './losses.ts'

const attempt = { uid: 'u', run: 'n.j.1', attempt: 1, namespace: 'n', name: 'j' }

test('a launch that is told of again while a batch is collected is in it once, and stays ready', async () => {
  const launch = unknown('l')
  const ready = new Set<Launch>([launch])
  const batch = await collect({
    losses: await openLosses('/nonexistent/losses'),
    resting: new Set(),
    ready,
    reader: () => async of => {
      // It ends meanwhile.
      ready.add(of)
      return { ...attempt, offset: 0, next: 1, chunks: new Uint8Array(1) }
    },
  })
  expect([batch.length, ready.has(launch)]).toEqual([1, true])
})
